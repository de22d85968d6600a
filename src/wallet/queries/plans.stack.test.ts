/**
 * A page costs the same however long a history is, with or without statistics of the planner: what is
 * counted are the blocks of tables and indexes that a query touches.
 */
import { expect, test } from 'bun:test'
import type { Sql } from 'postgres'
import { type Database, openDatabase } from '../../platform/postgres/database'
import type { Types } from '../../platform/postgres/statements'
import { backing } from '../../testing/backing'
import type { Wallet } from '../ledger/ledger'
import { readTransactionPage } from './list-transactions'

const client = '00000000-0000-4000-9000-000000000001'
/** The account with the history. */
const busy = '00000000-0000-4000-8000-000000000000'
/** The n-th of the accounts that it deals with, and of transactions. */
const uuidOf = "('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
const before = { entries: 100, accounts: 10 }
const history = { entries: 30_000, accounts: 300 }
const filled = ['clients', 'accounts', 'entries', 'transactions']

/** When the statistics were gathered: never, while there was little, or now. */
const statistics = ['never', 'before', 'now'] as const

async function openHistory(gathered: (typeof statistics)[number]): Promise<Database> {
  const { url } = await (await backing()).createDatabase('wallet', 'wallet', true)
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'plans' })
  const { sql } = database
  for (const table of filled) {
    await sql.unsafe(`alter table ${table} disable trigger user`)
    await sql.unsafe(`alter table ${table} set (autovacuum_enabled = off)`)
  }
  await sql.unsafe(`insert into clients (id, created_at, updated_at) values ('${client}', now(), now())`)
  await fill(sql, { from: 0, ...before })
  if (gathered === 'before') await sql`analyze`
  await fill(sql, { from: before.entries + 1, ...history })
  await sql`update accounts set version = ${history.entries} where id = ${busy}`
  if (gathered === 'now') await sql`analyze`
  return database
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

test.each(statistics)('transactions of an account, with statistics gathered: %s', async (gathered) => {
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
