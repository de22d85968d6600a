/** What the tables say of movements that no process here has seen pass. */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { type AccountEntry, withEntries } from '../queries/entries-store'

export type Place = { topic: string; partition: number; offset: bigint }

/** A transaction that added entries. */
export type Apply = { xid: string; size: number }

/** `appliedAt` is null where it is not remembered. */
export type AppliedEntry = AccountEntry & { appliedAt: string | null }

export type DeadLetterRow = Place & { id: bigint; cause: string; detail: string; recordedAt: string }

/** Transactions that added entries after this one, newest first, at most `limit`. Without one, the newest. */
export async function listApplies(sql: Statements, after: string | undefined, limit: number) {
  return sql<Apply[]>`
    select xid::text as xid, size from changes
    where xid < pg_snapshot_xmin(pg_current_snapshot()) and size > 0
      ${after === undefined ? sql`` : sql`and xid > ${after}::xid8`}
    order by xid desc limit ${after === undefined ? 1 : limit}`
}

/** The newest entries, at most `limit`, newest first: of these transactions, or of all that are listed. */
export async function listNewestEntries(
  sql: Statements,
  { xids, limit }: { xids?: readonly string[]; limit: number },
): Promise<AppliedEntry[]> {
  const keys = await sql<{ accountId: string; version: bigint; appliedAt: string }[]>`
    select account_id as "accountId", version, applied_at as "appliedAt"
    from (
      select xid, applied_at, account_ids[size - ${limit} + 1:] as account_ids,
        versions[size - ${limit} + 1:] as versions
      from changes
      where xid < pg_snapshot_xmin(pg_current_snapshot()) and size > 0
        ${xids ? sql`and xid = any(${arrayOf(xids)}::xid8[])` : sql``}
      order by xid desc limit ${limit}
    ) as newest
    cross join unnest(account_ids, versions) with ordinality as listed (account_id, version, place)
    order by xid desc, place desc limit ${limit}`
  return withEntries(sql, keys)
}

/** Newest first, at most `limit`. */
export async function listNewestDeadLetters(sql: Statements, limit: number): Promise<DeadLetterRow[]> {
  return sql<DeadLetterRow[]>`
    select id, topic, partition, record_offset as "offset", cause, left(detail, 300) as detail,
      recorded_at as "recordedAt"
    from dead_letters order by id desc limit ${limit}`
}
