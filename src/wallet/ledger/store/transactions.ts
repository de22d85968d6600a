/** Transactions, read back. They are written by `append` alone. */
import { eq, sql } from 'drizzle-orm'
import type { Database } from '../../../platform/postgres/database'
import { arrayOf } from '../../../platform/postgres/statements'
import { transactions } from '../../db/schema'
import type { Original } from '../../domain/reversal'
import type { Transaction, TransactionKind } from '../../domain/types'

export async function findTransaction({ orm }: Database, id: string): Promise<Transaction | undefined> {
  const [row] = await orm.select().from(transactions).where(eq(transactions.id, id))
  return row
}

/** Those of the transactions that exist, by id. */
export async function loadTransactions({ orm }: Database, ids: string[]): Promise<Map<string, Transaction>> {
  if (ids.length === 0) return new Map()
  const rows = await orm.select().from(transactions).where(isAnyOf(ids))
  return new Map(rows.map((row) => [row.id, row]))
}

/** Transactions that are to be reversed, each with what was taken back of it so far. */
export async function loadOriginals({ orm }: Database, ids: string[]): Promise<Map<string, Original>> {
  if (ids.length === 0) return new Map()
  const reversedMinor = sql<string>`(
    select coalesce(sum(reversal.amount_minor), 0) from transactions as reversal where reversal.reverses = transactions.id
  )`
  const rows = await orm
    .select({ transaction: transactions, reversedMinor })
    .from(transactions)
    .where(isAnyOf(ids))
  return new Map(
    rows.map((row) => [row.transaction.id, { ...row, reversedMinor: BigInt(row.reversedMinor) }]),
  )
}

const isAnyOf = (ids: string[]) => sql`${transactions.id} = any(${arrayOf(ids)}::uuid[])`

export type TransactionFilter = {
  kind: TransactionKind | undefined
  /** Recorded at this time or later. RFC 3339, as `until`. */
  since: string | undefined
  /** Recorded before this time. */
  until: string | undefined
}

/**
 * A place in the history of an account: everything from below the entry of this number. From the
 * newest one when null.
 */
export type Place = { accountId: string; before: bigint | null }
export type Line = { accountId: string; version: bigint; transactionId: string; createdAt: string }
/**
 * A line of a list, and thereby what follows on it: what is older; of the same time what is of the
 * account, and of those behind it.
 */
export type TransactionCursor = Pick<Line, 'accountId' | 'version' | 'createdAt'>

/**
 * Where a list goes on in each of its accounts, behind a line or from the newest one. Versions are
 * in the order of writing, so the place is found by halving. Where nothing is left of an account,
 * that is a place, too: what it paid to another one is in its own history.
 */
export async function findHistoryPositions(
  { sql: statements }: Database,
  accountIds: readonly string[],
  after: TransactionCursor | undefined,
): Promise<Place[]> {
  if (!after) return accountIds.map((accountId) => ({ accountId, before: null }))
  const rows = await statements<Place[]>`
    select account_id as "accountId", low + 1 as before
    from unnest(${arrayOf(accountIds)}::uuid[]) with ordinality as asked (account_id, position)
    cross join lateral (
      with recursive search as (
        select 0::bigint as low, version as high from accounts where id = asked.account_id
        union all
        select case when is_past then probed else low end, case when is_past then high else probed - 1 end
        from search cross join lateral (
          select version as probed, created_at < ${after.createdAt}::timestamptz
            or (created_at = ${after.createdAt}::timestamptz and account_id > ${after.accountId}::uuid) as is_past
          from entries where account_id = asked.account_id and version = (low + high + 1) / 2
        ) as probe
        where low < high
      )
      select max(low) as low from search
    ) as found
    where account_id <> ${after.accountId}::uuid
    order by position`
  const own = { accountId: after.accountId, before: after.version }
  return accountIds.includes(after.accountId) ? [own, ...rows] : rows
}

/**
 * Of each account at most `size` lines about transactions, newest first, one account after the
 * other. What moved money between two of the accounts is in the history of the one that paid only.
 */
export async function listHistoryLines(
  { sql: statements }: Database,
  places: Place[],
  { kind, since, until }: TransactionFilter,
  size: number,
): Promise<Line[]> {
  const ids = arrayOf(places.map((place) => place.accountId))
  // By the entries of an account, whose key is the order that is wanted.
  const rows = await statements`
    select line.*
    from unnest(${ids}::uuid[], ${arrayOf(places.map((place) => place.before))}::bigint[])
      with ordinality as place (account_id, before, position)
    cross join lateral (
      select entries.account_id, entries.version, entries.transaction_id, entries.created_at
      from entries join transactions on transactions.id = entries.transaction_id
      where entries.account_id = place.account_id
        and entries.version < coalesce(place.before, ${maxVersion})
        and transactions.kind = coalesce(${kind ?? null}, transactions.kind)
        and transactions.created_at >= coalesce(${since ?? null}::timestamptz, '-infinity')
        and transactions.created_at < coalesce(${until ?? null}::timestamptz, 'infinity')
        and (entries.account_id = transactions.account_id_from or transactions.account_id_from <> all (${ids}::uuid[]))
      order by entries.version desc
      limit ${size}
    ) as line
    order by place.position, line.version desc`
  return rows.map((row) => ({
    accountId: row.account_id,
    version: row.version,
    transactionId: row.transaction_id,
    createdAt: new Date(row.created_at).toISOString(),
  }))
}

const maxVersion = 2n ** 63n - 1n
