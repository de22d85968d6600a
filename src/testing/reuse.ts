/**
 * A wallet that is used by one test after another, also of other files: its ledger is set back to the seed
 * in between, which costs a tenth of a start. For tests that change rows through the wallet, or as the
 * owner, and nothing else: no schema, no rights, no API keys, and no second wallet.
 */
import { expect } from 'bun:test'
import postgres, { type Sql } from 'postgres'
import { createOptimisticState } from '../wallet/ledger/optimistic-state'
import { backing, beforeStop, type TestDatabase } from './backing'
import { eventually } from './eventually'
import { serviceConfig } from './stack'
import { startWatched, type Wallets, walletsOf } from './wallets'

export type ReusedWallet = Wallets & { databases: { wallet: TestDatabase } }

type Item = Awaited<ReturnType<typeof start>>

const idle: Item[] = []
/** Each burns a little while it waits, so one that no test takes for so long ends. Milliseconds. */
const idleMaxMs = 5000

export async function reuseWallet(): Promise<ReusedWallet> {
  const item = idle.pop() ?? (await start())
  clearTimeout(item.ending)
  const sql = postgres(item.database.url, { max: 1, onnotice: () => {} })
  const errors = item.errors
  return {
    ...walletsOf({ config: item.config, sql, errors, services: [item.service] }),
    databases: { wallet: item.database },
    async cutConnections() {
      throw new Error('a wallet that is used again keeps its connections: use startWallets')
    },
    async [Symbol.asyncDispose]() {
      await sql.end()
      if (errors.length === 0 && (await isSetBack(item))) keep(item)
      else await end(item)
    },
  }
}

async function start() {
  const shared = await backing()
  const database = await shared.createDatabase('wallet', 'wallet', true)
  shared.keepDatabase(database.name)
  const config = serviceConfig('wallet', {
    ...{ database, brokers: shared.brokers, topicPrefix: shared.topicPrefix(true), seed: true },
  })
  const admin = postgres(shared.superuserUrl(database.name), { max: 1, onnotice: () => {} })
  const errors: string[] = []
  const optimistic = createOptimisticState()
  const service = await startWatched(config, errors, optimistic)
  await published(admin)
  const tables = await admin<{ name: string; columns: string }[]>`
    select relname as name,
      (select string_agg(quote_ident(attname), ', ') from pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns
    from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`
  const saved = tables.map(({ name }) => `create table saved.${name} as table public.${name}`)
  await admin.unsafe(['create schema saved', ...saved].join(';'))
  const ending: Timer | undefined = undefined as Timer | undefined
  return { database, config, admin, errors, service, optimistic, reset: resetOf(tables), ending }
}

/** As superuser, without triggers. Rows are deleted and inserted again, since most tables are small. */
const resetOf = (tables: readonly { name: string; columns: string }[]): string =>
  [
    'begin',
    'set local session_replication_role = replica',
    ...tables.map(({ name }) => `delete from public.${name}`),
    ...tables.map(
      ({ name, columns }) =>
        `insert into public.${name} (${columns}) overriding system value
        select ${columns} from saved.${name}`,
    ),
    'commit',
  ].join(';')

async function isSetBack({ admin, reset, optimistic }: Item): Promise<boolean> {
  try {
    const keys = await admin`select from api_keys limit 1`
    // From its first key on, a service asks for one.
    if (keys.length > 0) return false
    await published(admin)
    await admin.unsafe(reset)
    Object.assign(optimistic, createOptimisticState(), { session: optimistic.session })
    return true
  } catch {
    return false
  }
}

/** An event of one test must have no delivery in the next one. */
const published = (admin: Sql) =>
  eventually(async () => expect(await admin`select from outbox limit 1`).toHaveLength(0), { intervalMs: 5 })

function keep(item: Item): void {
  idle.push(item)
  item.ending = setTimeout(() => {
    idle.splice(idle.indexOf(item), 1)
    void end(item)
  }, idleMaxMs)
}

async function end({ service, admin, database, ending }: Item): Promise<void> {
  clearTimeout(ending)
  await service.stop()
  await admin.end()
  await (await backing()).dropDatabase(database.name)
}

beforeStop(() => Promise.all(idle.splice(0).map(end)))
