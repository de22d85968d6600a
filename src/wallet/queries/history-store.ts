/** The history of accounts, in pages. */
import { eq } from 'drizzle-orm'
import type { PendingQuery, Row } from 'postgres'
import type { Database } from '../../platform/postgres/database'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { accounts } from '../db/schema'
import type { TransactionKind } from '../domain/types'

/** Times are RFC 3339; `…Since` is inclusive, `…Until` exclusive. */
export type TransactionFilter = {
  kind: TransactionKind | undefined
  /** By the recorded time. */
  since: string | undefined
  until: string | undefined
  effectiveSince: string | undefined
  effectiveUntil: string | undefined
}

export async function listAccountIds({ orm }: Database, clientId: string): Promise<string[]> {
  const rows = await orm.select({ id: accounts.id }).from(accounts).where(eq(accounts.clientId, clientId))
  return rows.map((row) => row.id)
}

/** The part of an account's history between two versions, both exclusive; null without a limit. */
export type HistoryRange = { accountId: string; after: bigint | null; before: bigint | null }
export type HistoryLine = {
  accountId: string
  version: bigint
  transactionId: string
  createdAt: string
  isListed: boolean
  /** The last that was looked at, listed or not: older ones may match, and the page ends there. */
  isLast: boolean
}
/**
 * The line that a page ends with. The next page starts after it: with older lines, and at the same
 * time with older versions of its account and with accounts of higher ids.
 */
export type TransactionCursor = Pick<HistoryLine, 'accountId' | 'version' | 'createdAt'>

/**
 * The part of each account's history that a page is of. Versions are in time order, so each end is
 * found by binary search. An account with nothing left keeps a range: it decides in which history a
 * transaction between two accounts is listed.
 */
export async function findHistoryRanges(
  { sql: statements }: Database,
  accountIds: readonly string[],
  { since, until, effectiveSince }: TransactionFilter,
  position: TransactionCursor | undefined,
): Promise<HistoryRange[]> {
  if (!position && !since && !until && !effectiveSince)
    return accountIds.map((accountId) => ({ accountId, after: null, before: null }))
  // Nothing is recorded before it takes effect.
  const isBefore = statements`created_at < greatest(
    ${since ?? null}::timestamptz, ${effectiveSince ?? null}::timestamptz)`
  const isBeforeEnd = statements`created_at < ${until ?? null}::timestamptz`
  const isBeyond =
    position &&
    statements`(created_at < ${position.createdAt}::timestamptz or (
      created_at = ${position.createdAt}::timestamptz and account_id > ${position.accountId}::uuid))`
  const none = statements`null::bigint`
  const rows = await statements<HistoryRange[]>`
    select account_id as "accountId",
      ${since || effectiveSince ? lastVersion(statements, isBefore) : none} as after,
      least(
        ${until ? statements`1 + ${lastVersion(statements, isBeforeEnd)}` : none},
        ${
          position && isBeyond
            ? statements`case account_id when ${position.accountId}::uuid then ${position.version}::bigint
                else 1 + ${lastVersion(statements, isBeyond)} end`
            : none
        }
      ) as before
    from unnest(${arrayOf(accountIds)}::uuid[]) with ordinality as requested (account_id, place)
    order by place`
  return [...rows]
}

/** Of the entries of the requested account, the last that meets a condition that all before it meet. */
const lastVersion = (sql: Statements, condition: Fragment): Fragment => sql`(
  with recursive search as (
    select 0::bigint as low, version as high from accounts where id = requested.account_id
    union all
    select case when is_met then probed else low end, case when is_met then high else probed - 1 end
    from search cross join lateral (
      select version as probed, ${condition} as is_met
      from entries where account_id = requested.account_id and version = (low + high + 1) / 2
    ) as probe
    where low < high
  )
  select max(low) from search
)`
type Fragment = PendingQuery<Row[]>

/**
 * At most `size` transactions per account, newest first, one account after the other, among its newest
 * `lookedAt` entries. A transaction between two of the accounts is listed for the payer only, and one of
 * several legs for the first leg of the accounts.
 */
export async function listHistoryLines(
  { sql: statements }: Database,
  ranges: HistoryRange[],
  filter: TransactionFilter,
  { size, lookedAt }: { size: number; lookedAt: number },
): Promise<HistoryLine[]> {
  const column = (of: (range: HistoryRange) => string | bigint | null) => arrayOf(ranges.map(of))
  // Versions have no gaps, so that they bound what is read. A limit would not: where the planner expects
  // few entries of an account, it reads and sorts all of them.
  const rows = await statements<HistoryLine[]>`
    select line.*
    from (
      select account_id, place, coalesce(after, 0) as after, least(before, version + 1) as before
      from unnest(
        ${column(({ accountId }) => accountId)}::uuid[], ${column(({ after }) => after)}::bigint[],
        ${column(({ before }) => before)}::bigint[]
      ) with ordinality as requested (account_id, after, before, place)
      join accounts on accounts.id = account_id
      where least(before, version + 1) > coalesce(after, 0) + 1
    ) as history
    cross join lateral (
      select account_id as "accountId", version, transaction_id as "transactionId",
        created_at as "createdAt", is_listed as "isListed", is_last as "isLast"
      from (
        select entry.*, ${isListed(statements, ranges, filter)} as is_listed,
          version = history.before - ${lookedAt} as is_last
        from (
          select account_id, version, transaction_id, created_at, amount_minor from entries
          where account_id = history.account_id
            and version > history.after
            and version < history.before
            and version >= history.before - ${lookedAt}
        ) as entry
        order by version desc
        offset 0
      ) as candidate
      where is_listed or is_last
      order by version desc
      limit ${size}
    ) as line
    order by history.place, line.version desc`
  return [...rows]
}

/** `offset 0`: each row is found by its key, never in a hash of the whole table. */
function isListed(sql: Statements, ranges: HistoryRange[], filter: TransactionFilter): Fragment {
  const { kind, effectiveSince, effectiveUntil } = filter
  // What moves nothing belongs to a hold. Entries of one transaction follow each other.
  if (ranges.length === 1 && !kind && !effectiveSince && !effectiveUntil)
    return sql`amount_minor <> 0 and not exists (
      select from entries as before
      where before.account_id = entry.account_id and before.version = entry.version - 1
        and before.transaction_id = entry.transaction_id
      offset 0
    )`
  const ids = arrayOf(ranges.map(({ accountId }) => accountId))
  return sql`amount_minor <> 0 and exists (
    select from transactions
    where transactions.id = entry.transaction_id
      ${kind ? sql`and kind = ${kind}` : sql``}
      ${effectiveSince ? sql`and effective_at >= ${effectiveSince}::timestamptz` : sql``}
      ${effectiveUntil ? sql`and effective_at < ${effectiveUntil}::timestamptz` : sql``}
      and (entry.account_id, entry.version) in ((account_id_from, version_from), (account_id_to, version_to))
      and (account_id_from = entry.account_id or account_id_from <> all (${ids}::uuid[]))
      and (leg = 0 or not exists (
        select from transactions as earlier
        where earlier.id = transactions.id and earlier.leg < transactions.leg
          and array[earlier.account_id_from, earlier.account_id_to] && ${ids}::uuid[]
        offset 0
      ))
    offset 0
  )`
}
