/**
 * The applied offset of each partition. The database is authoritative: an offset advances in the
 * transaction that writes the rows, or not at all.
 */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { Claim } from './apply-store'

export type Partition = { clusterId: string; topic: string; partition: number }

/** The last applied record: its offset, and a checksum of its time and content to recognise it by. */
export type LastRecord = { offset: bigint; checksum: string }

/** `next` is the offset to apply next. */
export type StoredOffset = Partition & { next: bigint; last: LastRecord | undefined }

/** Offsets of these partitions. One that was never assigned starts at 0, and is stored so. */
export async function loadOffsets(
  sql: Statements,
  clusterId: string,
  partitions: { topic: string; partition: number }[],
): Promise<StoredOffset[]> {
  const topics = partitions.map(({ topic }) => topic)
  const numbers = partitions.map(({ partition }) => String(partition))
  await sql`
    insert into consumed_offsets (cluster_id, topic, partition, next_offset)
    select ${clusterId}, topic, partition::integer, 0
    from unnest(${arrayOf(topics)}::text[], ${arrayOf(numbers)}::text[]) as assigned (topic, partition)
    on conflict do nothing`
  const rows = await sql<
    (Omit<StoredOffset, 'last'> & { lastOffset: bigint | null; lastChecksum: string | null })[]
  >`
    select cluster_id as "clusterId", topic, partition, next_offset as next,
      last_offset as "lastOffset", last_checksum as "lastChecksum"
    from consumed_offsets
    join unnest(${arrayOf(topics)}::text[], ${arrayOf(numbers)}::text[]) as assigned (topic, number)
      using (topic)
    where cluster_id = ${clusterId} and partition = number::integer`
  return rows.map(({ lastOffset: offset, lastChecksum: checksum, ...stored }) => ({
    ...stored,
    last: offset === null || checksum === null ? undefined : { offset, checksum },
  }))
}

/** All offsets in a cluster, whichever process applies there. */
export async function listOffsets(
  sql: Statements,
  clusterId: string,
): Promise<{ topic: string; partition: number; nextOffset: bigint }[]> {
  return sql<{ topic: string; partition: number; nextOffset: bigint }[]>`
    select topic, partition, next_offset as "nextOffset"
    from consumed_offsets where cluster_id = ${clusterId}`
}

const whereStill = (sql: Statements, { clusterId, topic, partition, next }: StoredOffset) => sql`
  where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}
    and next_offset = ${String(next)}::bigint`

/**
 * Compare-and-set of the applied offset: a mismatch means that the partition has a new owner.
 * Without a last record the stored one stays.
 */
export const advanceOffset =
  (from: StoredOffset, { to, last }: { to: bigint; last: LastRecord | undefined }): Claim =>
  (sql) =>
    sql`
    update consumed_offsets set next_offset = ${String(to)}::bigint, updated_at = now(),
      last_offset = coalesce(${last ? String(last.offset) : null}::bigint, last_offset),
      last_checksum = coalesce(${last?.checksum ?? null}, last_checksum)
    ${whereStill(sql, from)}
    returning true`

/** For a topic that was deleted and created again. */
export async function resetOffset(sql: Statements, from: StoredOffset): Promise<void> {
  await sql`
    update consumed_offsets set next_offset = 0, last_offset = null, last_checksum = null, updated_at = now()
    ${whereStill(sql, from)}`
}
