/** Wallets without the read side, for ledger tests. */
import { expect } from 'bun:test'
import postgres, { type Sql } from 'postgres'
import type { ServiceConfig } from '../config/config'
import type { RunningService } from '../platform/process/service'
import type { Log } from '../platform/telemetry/log'
import type { Clock } from '../wallet/ledger/clock'
import { createOptimisticState } from '../wallet/ledger/optimistic-state'
import { patience, startWallet } from '../wallet/service'
import { backing, log } from './backing'
import { findFaults } from './ledger-faults'
import { type Caller, callerOf, serviceConfig } from './stack'

export { eva, frank } from '../config/local'
export { log }

/** A clock that ignores the database time. */
export const steadyClock = (now = () => new Date()): Clock => ({ now, observe() {}, isFresh: () => true })

/** An account of the seed, as are those of `config/local`. */
export const world = '00000000-0000-0000-0000-00000042524c'

export type Wallets = {
  config: ServiceConfig
  /** A separate connection to the database, as its owner. */
  sql: Sql
  /** One per wallet. */
  callers: Caller[]
  /** The first of them. */
  wallet: Caller
  /** Messages logged at level error. */
  errors: string[]
  /** Number of transactions since the seed. */
  made(): Promise<number>
  cutConnections(share?: number): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts `count` wallets on one seeded database. `begin` runs before the seed.
 */
export async function startWallets(count = 1, begin?: (sql: Sql) => Promise<unknown>): Promise<Wallets> {
  const shared = await backing()
  const database = await shared.createDatabase('wallet', 'wallet', !begin)
  const { brokers } = shared
  const config = serviceConfig('wallet', { database, brokers, topicPrefix: shared.topicPrefix(), seed: true })
  const sql = postgres(database.url, { max: 1, onnotice: () => {} })
  await begin?.(sql)
  const errors: string[] = []
  const starting = Array.from({ length: count }, () => startWatched(config, errors))
  const services = await Promise.all(starting)
  return {
    ...walletsOf({ config, sql, errors, services }),
    cutConnections: (share) => shared.cutConnections(database.name, share),
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()))
      await sql.end()
    },
  }
}

/** Its messages at level error are added to `errors`. */
export function startWatched(
  config: ServiceConfig,
  errors: string[],
  optimistic = createOptimisticState(),
): Promise<RunningService> {
  const error = (fields: object, text: string) => {
    errors.push(text)
    log.error(fields, text)
  }
  const watched: Log = Object.create(log, { error: { value: error } })
  return startWallet(config, watched, { ...patience, optimistic })
}

type Started = Pick<Wallets, 'config' | 'sql' | 'errors'> & { services: readonly RunningService[] }

/** What tests do with wallets. */
export function walletsOf({ config, sql, errors, services }: Started) {
  const callers = services.map((service) => callerOf('wallet', service.port))
  return {
    config,
    sql,
    callers,
    errors,
    wallet: callers[0] as Caller,
    made: async () => Number((await sql`select count(*)::int - 17 as count from transactions`)[0]?.count),
  }
}

/** Checks the invariants of the ledger. */
export async function expectSoundLedger({ sql }: Pick<Wallets, 'sql'>): Promise<void> {
  expect(await findFaults(sql)).toEqual([])
}
