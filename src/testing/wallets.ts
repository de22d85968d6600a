/** Wallets without a read side, for tests of the ledger. */
import { expect } from 'bun:test'
import postgres, { type Sql } from 'postgres'
import type { ServiceConfig } from '../config'
import { createLog } from '../platform/log'
import { startWallet } from '../wallet/start'
import { backing } from './backing'
import { type Caller, callerOf, serviceConfig } from './stack'

export const log = createLog({ service: 'test', level: 'error', format: 'json' })

/** People and accounts of the seed. */
export const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
export const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
export const world = '00000000-0000-0000-0000-00000042524c'

export type Wallets = {
  config: ServiceConfig
  /** A connection of the test's own to the wallets' database, as its owner. */
  sql: Sql
  /** One per wallet. */
  callers: Caller[]
  /** The first of them. */
  wallet: Caller
  /** Transactions made since the seed. */
  made(): Promise<number>
  cutConnections(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** One seeded database, and as many wallets on it as asked for. */
export async function startWallets(count = 1): Promise<Wallets> {
  const shared = await backing()
  const database = await shared.createDatabase('wallet')
  const { brokers } = shared
  const config = serviceConfig('wallet', { database, brokers, topicPrefix: shared.topicPrefix(), seed: true })
  const services = await Promise.all(Array.from({ length: count }, () => startWallet(config, log)))
  const callers = services.map((service) => callerOf(service.port))
  const sql = postgres(database.url, { max: 1, onnotice: () => {} })
  return {
    config,
    sql,
    callers,
    wallet: callers[0] as Caller,
    made: async () => Number((await sql`select count(*)::int - 17 as count from transactions`)[0]?.count),
    cutConnections: () => shared.cutConnections(database.name),
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()))
      await sql.end()
    },
  }
}

/** Everything that has to be true of a ledger at any instant. */
export async function expectSoundLedger({ sql }: Pick<Wallets, 'sql'>): Promise<void> {
  const [sum] = await sql`select sum(balance_minor)::text as total from accounts`
  expect(sum?.total).toBe('0')
  const wrong = await sql`
    select id from accounts
    left join lateral (
      select count(*) as entries, coalesce(max(version), 0) as version, coalesce(sum(amount_minor), 0) as balance
      from entries where account_id = accounts.id
    ) as fold on true
    left join lateral (
      select coalesce(sum(amount_minor), 0) as held from holds where account_id_from = accounts.id and status = 'placed'
    ) as open on true
    where fold.entries <> accounts.version or fold.version <> accounts.version or fold.balance <> accounts.balance_minor
      or open.held <> accounts.held_minor`
  expect([...wrong]).toEqual([])
}
