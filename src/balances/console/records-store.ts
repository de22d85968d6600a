/** What the tables know of a record: how far its partition was applied, and whether it is a dead letter. */
import type { Statements } from '../../platform/postgres/statements'

export type RecordPlace = { topic: string; partition: number; offset: bigint }

/** Of a record that could not be applied. One about a whole batch stands for each record of it. */
export type RecordLetter = { id: bigint; cause: string; detail: string; recordedAt: string }

/** `nextOffset` is undefined where the partition was never assigned. */
export type StoredRecord = { nextOffset: bigint | undefined; deadLetter: RecordLetter | undefined }

/** How much of a reason is shown: it may quote a record. */
const detailMax = 500

/**
 * In one statement, so that both are of one moment. Without a cluster, of the one that was applied last:
 * offsets mean something only together with their cluster, and the broker may not have named it yet.
 */
export async function findRecord(
  sql: Statements,
  { topic, partition, offset }: RecordPlace,
  clusterId: string | undefined,
): Promise<StoredRecord> {
  const [row] = await sql<(Partial<RecordLetter> & { nextOffset: bigint; id: bigint | null })[]>`
    select next_offset as "nextOffset", id, cause, left(detail, ${detailMax}) as detail,
      recorded_at as "recordedAt"
    from (
      select cluster_id, next_offset from consumed_offsets
      where topic = ${topic} and partition = ${partition}::integer
        ${clusterId === undefined ? sql`` : sql`and cluster_id = ${clusterId}`}
      order by updated_at desc limit 1
    ) as position left join lateral (
      -- The nearest one at or below it is the only one that can cover it.
      select * from (
        select id, cause, detail, recorded_at, coalesce(last_offset, record_offset) as until
        from dead_letters
        where cluster_id = position.cluster_id and topic = ${topic} and partition = ${partition}::integer
          and record_offset <= ${String(offset)}::bigint
        order by record_offset desc, id desc limit 1
      ) as nearest
      where until >= ${String(offset)}::bigint
    ) as letter on true`
  if (!row) return { nextOffset: undefined, deadLetter: undefined }
  const { nextOffset, ...letter } = row
  return { nextOffset, deadLetter: letter.id === null ? undefined : (letter as RecordLetter) }
}
