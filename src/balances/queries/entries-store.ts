/** Entries of accounts by version, and the version at a time. */
import type { PendingQuery, Row } from 'postgres'
import { keysOf, selectList } from '../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { balances, entries } from '../db/schema'
import type { BalanceRow, EntryRow } from '../projection/types'

export type Entry = Omit<EntryRow, 'accountId' | 'epoch'>

/** What all entries of an account share. `openingLimitMinor` is its limit until a change. */
export type AccountTerms = Pick<BalanceRow, 'currency' | 'openingLimitMinor'>
export type AccountEntry = Entry & { accountId: string } & AccountTerms

const columns = selectList(entries, keysOf(entries, ['accountId', 'epoch']))
const terms = selectList(balances, ['currency', 'openingLimitMinor'])

/**
 * The entries after each cursor `<version>:<account>`, oldest first, at most `limit` each. Cursors
 * without any are left out.
 */
export async function listFollowing(sql: Statements, cursors: readonly string[], limit: number) {
  const rows = await sql<(AccountEntry & { after: string })[]>`
    select after, account_id as "accountId", ${terms(sql)}, following.*
    from unnest(${arrayOf(cursors)}::text[]) as cursors (after)
    join balances on account_id = substr(after, strpos(after, ':') + 1)
    cross join lateral (
      select ${columns(sql)} from entries
      where entries.account_id = balances.account_id and version > split_part(after, ':', 1)::bigint
      order by version limit ${limit}
    ) as following
    order by version`
  return Map.groupBy(rows, ({ after }) => after)
}

/** Joins each key with its entry, in order. Keys without an entry are left out. */
export async function withEntries<Key extends Pick<AccountEntry, 'accountId' | 'version'>>(
  sql: Statements,
  keys: readonly Key[],
): Promise<(Key & AccountEntry)[]> {
  const rows = await sql<(AccountEntry & { index: number })[]>`
    select index::integer - 1 as index, account_id as "accountId", ${terms(sql)}, entry.*
    from unnest(
      ${arrayOf(keys.map((key) => key.accountId))}::text[],
      ${arrayOf(keys.map((key) => key.version))}::bigint[]
    ) with ordinality as keys (account_id, key_version, index)
    join balances using (account_id)
    cross join lateral (
      select ${columns(sql)} from entries
      where entries.account_id = balances.account_id and version = key_version
    ) as entry
    order by keys.index`
  return rows.map(({ index, ...row }) => ({ ...(keys[index] as Key), ...row }))
}

/** Versions above `floor` and below `before`, newest first. */
export async function listEntries(
  sql: Statements,
  accountId: string,
  { floor, before, limit }: { floor: bigint; before: bigint; limit: number },
): Promise<Entry[]> {
  return sql<Entry[]>`
    select ${columns(sql)} from entries
    where account_id = ${accountId}
      and version > ${String(floor)}::bigint and version < ${String(before)}::bigint
    order by version desc limit ${limit}`
}

export async function findEntryAfter(
  sql: Statements,
  accountId: string,
  version: bigint,
): Promise<Entry | undefined> {
  const [entry] = await sql<Entry[]>`
    select ${columns(sql)} from entries
    where account_id = ${accountId} and version > ${String(version)}::bigint
    order by version limit 1`
  return entry
}

/**
 * The recorded version of an account at a time: 0 before its first entry. Versions are in the order
 * of writing, so a binary search over the primary key finds it; no other index is needed. Where
 * writers' clocks disagreed, the result is some version that was written by then, and whose
 * successor was not.
 */
export const findVersionAt = (sql: Statements, accountId: string, at: string): Promise<bigint> =>
  searchVersion(sql, accountId, sql`created_at <= ${at}::timestamptz`)

/** As `findVersionAt`, exclusive of the time itself. */
export const findVersionBefore = (sql: Statements, accountId: string, time: string): Promise<bigint> =>
  searchVersion(sql, accountId, sql`created_at < ${time}::timestamptz`)

async function searchVersion(
  sql: Statements,
  accountId: string,
  isPast: PendingQuery<Row[]>,
): Promise<bigint> {
  const [found] = await sql<{ version: bigint }[]>`
    with recursive search as (
      select 0::bigint as low, coalesce(max(version), 0) as high from entries where account_id = ${accountId}
      union all
      select case when is_past then probed else low end,
        case when is_past then high else (low + high + 1) / 2 - 1 end
      from search left join lateral (
        select version as probed, ${isPast} as is_past from entries
        where account_id = ${accountId} and version between (low + high + 1) / 2 and high
        order by version limit 1
      ) as probe on true
      where low < high
    )
    select max(low) as version from search`
  return found?.version ?? 0n
}

/**
 * The effect of backdated and postdated entries on a balance at `at`, and the count of entries
 * above `version`, up to `countMax`.
 */
export async function sumShifted(
  sql: Statements,
  accountId: string,
  { version, at, countMax }: { version: bigint; at: string; countMax: number },
): Promise<{ laterMinor: bigint; earlierMinor: bigint; above: bigint }> {
  // As text: a sum of amounts may exceed a bigint.
  const [sums] = await sql<{ laterMinor: string; earlierMinor: string; above: bigint }[]>`
    select
      coalesce(sum(amount_minor) filter (
        where version > ${String(version)}::bigint and effective_at <= ${at}::timestamptz
      ), 0)::text as "laterMinor",
      coalesce(sum(amount_minor) filter (
        where version <= ${String(version)}::bigint and effective_at > ${at}::timestamptz
      ), 0)::text as "earlierMinor",
      (select count(*) from (
        select from entries
        where account_id = ${accountId} and version > ${String(version)}::bigint limit ${countMax}
      ) as counted) as above
    from entries where account_id = ${accountId} and effective_at is not null`
  const { laterMinor = 0, earlierMinor = 0, above = 0n } = sums ?? {}
  return { laterMinor: BigInt(laterMinor), earlierMinor: BigInt(earlierMinor), above }
}

/** Entries between `version` and `before` that are backdated to `at` or earlier, newest first. */
export async function listBackdated(
  sql: Statements,
  accountId: string,
  { version, at, before, limit }: { version: bigint; at: string; before: bigint; limit: number },
): Promise<Entry[]> {
  // Materialized, so that the planner does not scan the primary key instead of the few backdated entries.
  return sql<Entry[]>`
    with backdated as materialized (
      select * from entries
      where account_id = ${accountId} and effective_at is not null and effective_at <= ${at}::timestamptz
    )
    select ${columns(sql)} from backdated as entries
    where version > ${String(version)}::bigint and version < ${String(before)}::bigint
      and amount_minor is not null
    order by version desc limit ${limit}`
}
