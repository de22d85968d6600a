/**
 * A page costs the same however long a history is, with or without statistics of the planner: what is
 * counted are the blocks of tables and indexes that a query touches.
 */
import { expect, test } from 'bun:test'
import type { Sql } from 'postgres'
import { type Database, openDatabase } from '../../platform/postgres/database'
import type { Types } from '../../platform/postgres/statements'
import { backing } from '../../testing/backing'
import { drawn } from '../../testing/random'
import { eva } from '../../testing/wallets'
import type { Wallet } from '../ledger/ledger'
import { readSearchPage, readTransactionPage } from './list-transactions'
import { listAccounts, listClients, listHolds, listWorldAccounts } from './lists-store'

const client = '00000000-0000-4000-9000-000000000001'
/** The account with the history. */
const busy = '00000000-0000-4000-8000-000000000000'
/** The n-th of the accounts that it deals with, and of transactions. */
const uuidOf = "('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
const before = { entries: 100, accounts: 10 }
const history = { entries: 30_000, accounts: 300 }
const filled = ['clients', 'personal_data', 'accounts', 'entries', 'transactions', 'holds']

/** When the statistics were gathered: never, while there was little, or now. */
const statistics = ['never', 'before', 'now'] as const

async function openFilled(
  gathered: (typeof statistics)[number],
  fills: [few: (sql: Sql<Types>) => Promise<void>, rest: (sql: Sql<Types>) => Promise<void>],
): Promise<Database> {
  const { url } = await (await backing()).createDatabase('wallet', 'wallet', true)
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'plans' })
  const { sql } = database
  for (const table of filled) {
    await sql.unsafe(`alter table ${table} disable trigger user`)
    await sql.unsafe(`alter table ${table} set (autovacuum_enabled = off)`)
  }
  // Its check of each row would be planned while there are no clients.
  await sql`alter table accounts drop constraint accounts_client_id_clients_id_fk`
  await sql.unsafe(`insert into clients (id, created_at, updated_at) values ('${client}', now(), now())`)
  await fills[0](sql)
  if (gathered === 'before') await sql`analyze`
  await fills[1](sql)
  if (gathered === 'now') await sql`analyze`
  return database
}

const openHistory = (gathered: (typeof statistics)[number]) =>
  openFilled(gathered, [
    (sql) => fill(sql, { from: 0, ...before }),
    async (sql) => {
      await fill(sql, { from: before.entries + 1, ...history })
      await sql`update accounts set version = ${history.entries} where id = ${busy}`
    },
  ])

const many = 30_000
/** Transactions of one reference and metadata, captured holds, clients and accounts: all are alike. */
async function fillLists(sql: Sql<Types>, { from, to }: { from: number; to: number }): Promise<void> {
  const numbers = `generate_series(${from}, ${to}) as n`
  const time = "'2024-01-01'::timestamptz + n * interval '1 minute'"
  await sql.unsafe(`
    insert into clients (id, created_at, updated_at) select ${uuidOf}, now(), now() from ${numbers};
    insert into personal_data (client_id, version, name, email)
    select ${uuidOf}, 1, 'A', n || '@example.com' from ${numbers};
    insert into accounts (id, client_id, currency, status, created_at, updated_at)
    select ${uuidOf}, ${uuidOf}, case when n % 2 = 0 then 'BRL' else 'USD' end,
      case when n % 2 = 0 then 'open' else 'closed' end, now(), now()
    from ${numbers};
    insert into transactions (id, kind, account_id_from, account_id_to, version_from, version_to,
      amount_minor, currency, reference, metadata, effective_at, created_at)
    select ${uuidOf}, 'transfer', '${busy}', '${client}', n, n, 1, 'BRL', 'bulk', '{"channel":"app"}',
      ${time}, ${time}
    from ${numbers};
    insert into holds (id, account_id_from, account_id_to, amount_minor, currency, expires_at, created_at,
      status, ended_by, captured_minor, version_placed)
    select ${uuidOf}, '${busy}', '${client}', 1, 'BRL', now(), now(), 'captured', ${uuidOf}, 1, n
    from ${numbers}`)
}

/** Transfers to the busy account from all others in turns, one a minute. */
async function fill(sql: Sql<Types>, { from, entries, accounts }: typeof before & { from: number }) {
  const time = "'2024-01-01'::timestamptz + n * interval '1 minute'"
  await sql.unsafe(`
    insert into accounts (id, client_id, currency, created_at, updated_at)
    select ${uuidOf}, '${client}', 'BRL', now(), now() from generate_series(0, ${accounts}) as n
    on conflict do nothing;
    with transfer as (
      select n, ${uuidOf} as id, ${uuidOf.replace('to_hex(n)', `to_hex(1 + n % ${accounts})`)} as payer,
        1 + n / ${accounts} as version, ${time} as time
      from generate_series(${Math.max(1, from)}, ${entries}) as n
    ), payer as (
      insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
      select payer, row_number() over (partition by payer order by n) + ${from}, id, -1, 0, time from transfer
    ), payee as (
      insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
      select '${busy}', n, id, 1, n, time from transfer
    )
    insert into transactions (id, kind, account_id_from, account_id_to, version_from, version_to,
      amount_minor, currency, effective_at, created_at)
    select id, 'transfer', payer, '${busy}', version, n, 1, 'BRL', time, time from transfer`)
}

/** Blocks that `read` touches, in the worst of several calls: a prepared statement changes its plan. */
async function blocksOf({ sql }: Database, read: () => Promise<unknown>): Promise<number> {
  const touched = async () => {
    await sql`select pg_stat_force_next_flush()`
    const [row] = await sql<{ blocks: number }[]>`
      select sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit, 0) + coalesce(idx_blks_read, 0))::int
        as blocks from pg_statio_user_tables`
    return row?.blocks ?? Number.NaN
  }
  const counts: number[] = []
  for (let call = 0; call < 7; call++) {
    const begun = await touched()
    await read()
    counts.push((await touched()) - begun)
  }
  return Math.max(...counts)
}

const anyTime = { since: undefined, until: undefined, effectiveSince: undefined, effectiveUntil: undefined }
const unfiltered = { ...anyTime, kind: undefined }
/** Far less than the 800 of the history alone; 5,000 entries, each with its transaction, where few match. */
const [blocksMax, searchedMax] = [600, 25_000]

test.each(drawn(statistics))('transactions of an account, with statistics gathered: %s', async (gathered) => {
  const database = await openHistory(gathered)
  try {
    const wallet = { database } as Wallet
    const pages = [
      ['all', { ...unfiltered }, 50, blocksMax],
      ['of a kind that all are', { ...unfiltered, kind: 'transfer' }, 50, blocksMax],
      ['since a time', { ...unfiltered, since: '2024-01-03T00:00:00Z' }, 50, blocksMax],
      ['until a time', { ...unfiltered, until: '2024-01-03T00:00:00Z' }, 50, blocksMax],
      ['of a kind that none is', { ...unfiltered, kind: 'withdrawal' }, 0, searchedMax],
      ['effective before all', { ...unfiltered, effectiveUntil: '2024-01-01T00:00:00Z' }, 0, searchedMax],
    ] as const
    for (const [name, filter, found, most] of pages) {
      const read = () =>
        readTransactionPage(wallet, { accountId: busy }, filter, { after: undefined, size: 50 })
      expect([name, (await read()).transactions.length]).toEqual([name, found])
      const blocks = await blocksOf(database, read)
      expect([name, blocks, blocks <= most]).toEqual([name, blocks, true])
    }
  } finally {
    await database.close()
  }
})

const page = { after: undefined, limit: 21 }
const search = {
  ...unfiltered,
  owner: undefined,
  reference: undefined,
  holdId: undefined,
  reverses: undefined,
}
const app = { name: 'channel', value: 'app' }
const rare = { name: 'channel', value: 'branch' }

test.each(drawn(statistics))('lists and searches, with statistics gathered: %s', async (gathered) => {
  const database = await openFilled(gathered, [
    (sql) => fillLists(sql, { from: 1, to: 100 }),
    (sql) => fillLists(sql, { from: 101, to: many }),
  ])
  try {
    const wallet = { database } as Wallet
    const accounts = (filter: object) => () =>
      listAccounts(database, { clientId: undefined, currency: undefined, status: undefined, ...filter }, page)
    const holds = (filter: object) => () =>
      listHolds(database, { accountIdFrom: undefined, status: undefined, ...filter }, page)
    const transactions = (filter: object) => async () => {
      const asked = { ...search, metadata: [], ...filter }
      const found = await readSearchPage(wallet, asked, { after: undefined, size: 20 })
      return { rows: found.transactions }
    }
    const reads: [string, () => Promise<{ rows: unknown[] }>, found: number][] = [
      ['clients', () => listClients(database, { email: undefined }, page), 21],
      ['a client by e-mail address', () => listClients(database, { email: '9@example.com' }, page), 1],
      ['accounts', accounts({}), 21],
      ['accounts of a client', accounts({ clientId: client }), 0],
      ['accounts in a currency', accounts({ currency: 'USD' }), 21],
      ['accounts in a currency that none has', accounts({ currency: 'JPY' }), 0],
      ['open accounts', accounts({ status: 'open' }), 21],
      ['closed accounts', accounts({ status: 'closed' }), 21],
      ['frozen accounts', accounts({ status: 'frozen' }), 0],
      ['closed accounts, but none in the currency', accounts({ status: 'closed', currency: 'BRL' }), 0],
      ['open accounts, but none in the currency', accounts({ status: 'open', currency: 'USD' }), 0],
      ['world', () => listWorldAccounts(database, page), 1],
      ['holds', holds({}), 21],
      ['open holds', holds({ status: 'placed' }), 0],
      ['released holds', holds({ status: 'released' }), 0],
      ['holds of an account', holds({ accountIdFrom: busy }), 21],
      ['open holds of an account', holds({ accountIdFrom: busy, status: 'placed' }), 0],
      ['released holds of an account', holds({ accountIdFrom: busy, status: 'released' }), 0],
      ['holds of an account without any', holds({ accountIdFrom: client }), 0],
      ['a reference', transactions({ reference: 'bulk' }), 20],
      ['a reference, but none of the kind', transactions({ reference: 'bulk', kind: 'deposit' }), 0],
      ['a reference, rare metadata', transactions({ reference: 'bulk', metadata: [rare] }), 0],
      ['metadata', transactions({ metadata: [app] }), 20],
      ['metadata, but none of the kind', transactions({ metadata: [app], kind: 'deposit' }), 0],
      ['metadata and reference', transactions({ metadata: [app], reference: 'bulk' }), 20],
      ['metadata, but none of the account', transactions({ metadata: [app], owner: { accountId: eva } }), 0],
      ['rare metadata', transactions({ metadata: [rare] }), 0],
      ['reversals', transactions({ reverses: busy, kind: 'transfer' }), 0],
      ['the capture of a hold', transactions({ holdId: busy }), 0],
    ]
    for (const [name, read, found] of reads) {
      expect([name, (await read()).rows.length]).toEqual([name, found])
      const blocks = await blocksOf(database, read)
      expect([name, blocks, blocks <= blocksMax]).toEqual([name, blocks, true])
    }
  } finally {
    await database.close()
  }
})
