/** The history of accounts, in pages. */
import { eq } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { arrayOf } from '../../platform/postgres/statements'
import { accounts } from '../db/schema'
import type { TransactionKind } from '../domain/types'

export type TransactionFilter = {
  kind: TransactionKind | undefined
  /** Inclusive, by the recorded time. RFC 3339, as `until`. */
  since: string | undefined
  /** Exclusive. */
  until: string | undefined
}

export async function listAccountIds({ orm }: Database, clientId: string): Promise<string[]> {
  const rows = await orm.select({ id: accounts.id }).from(accounts).where(eq(accounts.clientId, clientId))
  return rows.map((row) => row.id)
}

/** The part of an account's history before a version. All of it when null. */
export type HistoryPosition = { accountId: string; before: bigint | null }
export type HistoryLine = { accountId: string; version: bigint; transactionId: string; createdAt: string }
/**
 * The line that a page ends with. The next page starts after it: with older lines, and at the same
 * time with older versions of its account and with accounts of higher ids.
 */
export type TransactionCursor = Pick<HistoryLine, 'accountId' | 'version' | 'createdAt'>

/**
 * Where a page starts in each account. Versions are in time order, so a position is found by binary
 * search. An account with nothing left keeps a position: it decides in which history a transaction
 * between two accounts is listed.
 */
export async function findHistoryPositions(
  { sql: statements }: Database,
  accountIds: readonly string[],
  after: TransactionCursor | undefined,
): Promise<HistoryPosition[]> {
  if (!after) return accountIds.map((accountId) => ({ accountId, before: null }))
  const rows = await statements<HistoryPosition[]>`
    select account_id as "accountId", low + 1 as before
    from unnest(${arrayOf(accountIds)}::uuid[]) with ordinality as requested (account_id, position)
    cross join lateral (
      with recursive search as (
        select 0::bigint as low, version as high from accounts where id = requested.account_id
        union all
        select case when is_past then probed else low end, case when is_past then high else probed - 1 end
        from search cross join lateral (
          select version as probed, created_at < ${after.createdAt}::timestamptz
            or (created_at = ${after.createdAt}::timestamptz and account_id > ${after.accountId}::uuid)
            as is_past
          from entries where account_id = requested.account_id and version = (low + high + 1) / 2
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
 * At most `size` transactions per account, newest first, one account after the other. A transaction
 * between two of the accounts is listed for the payer only.
 */
export async function listHistoryLines(
  { sql: statements }: Database,
  positions: HistoryPosition[],
  { kind, since, until }: TransactionFilter,
  size: number,
): Promise<HistoryLine[]> {
  const ids = arrayOf(positions.map((position) => position.accountId))
  // From `entries`, whose primary key has the order of the page.
  const rows = await statements`
    select line.*
    from unnest(${ids}::uuid[], ${arrayOf(positions.map((position) => position.before))}::bigint[])
      with ordinality as history (account_id, before, position)
    cross join lateral (
      select entries.account_id, entries.version, entries.transaction_id, entries.created_at
      from entries join transactions on transactions.id = entries.transaction_id
      where entries.account_id = history.account_id
        and entries.version < coalesce(history.before, ${maxVersion})
        and transactions.kind = coalesce(${kind ?? null}, transactions.kind)
        and transactions.created_at >= coalesce(${since ?? null}::timestamptz, '-infinity')
        and transactions.created_at < coalesce(${until ?? null}::timestamptz, 'infinity')
        and (entries.account_id = transactions.account_id_from
          or transactions.account_id_from <> all (${ids}::uuid[]))
      order by entries.version desc
      limit ${size}
    ) as line
    order by history.position, line.version desc`
  return rows.map((row) => ({
    accountId: row.account_id,
    version: row.version,
    transactionId: row.transaction_id,
    createdAt: new Date(row.created_at).toISOString(),
  }))
}

const maxVersion = 2n ** 63n - 1n
