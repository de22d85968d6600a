/**
 * How far each partition was applied. The database is the truth about it: the position moves with
 * the rows, or not at all.
 */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { Claim } from './apply-store'

export type Partition = { clusterId: string; topic: string; partition: number }

/**
 * The last record that was applied, so that it is known again: its offset, and a checksum of its
 * time and all that it holds.
 */
export type Mark = { offset: bigint; checksum: string }

export type StoredPosition = { topic: string; partition: number; nextOffset: bigint; last: Mark | undefined }

/**
 * Next offset to apply, by partition, and the record before it. One that was never assigned begins
 * at 0, and is stored so.
 */
export async function loadPositions(
  sql: Statements,
  clusterId: string,
  partitions: { topic: string; partition: number }[],
): Promise<StoredPosition[]> {
  const topics = partitions.map(({ topic }) => topic)
  const numbers = partitions.map(({ partition }) => String(partition))
  await sql`
    insert into consumed_offsets (cluster_id, topic, partition, next_offset)
    select ${clusterId}, topic, partition::integer, 0
    from unnest(${arrayOf(topics)}::text[], ${arrayOf(numbers)}::text[]) as dealt (topic, partition)
    on conflict do nothing`
  const rows = await sql<
    (Omit<StoredPosition, 'last'> & { lastOffset: bigint | null; lastChecksum: string | null })[]
  >`
    select topic, partition, next_offset as "nextOffset", last_offset as "lastOffset", last_checksum as "lastChecksum"
    from consumed_offsets
    join unnest(${arrayOf(topics)}::text[], ${arrayOf(numbers)}::text[]) as dealt (topic, number)
      using (topic)
    where cluster_id = ${clusterId} and partition = number::integer`
  return rows.map(({ lastOffset: offset, lastChecksum: checksum, ...position }) => ({
    ...position,
    last: offset === null || checksum === null ? undefined : { offset, checksum },
  }))
}

/** All positions in the log of a cluster, whoever applies there. */
export async function listOffsets(
  sql: Statements,
  clusterId: string,
): Promise<{ topic: string; partition: number; nextOffset: bigint }[]> {
  return sql<{ topic: string; partition: number; nextOffset: bigint }[]>`
    select topic, partition, next_offset as "nextOffset" from consumed_offsets where cluster_id = ${clusterId}`
}

/**
 * Compare-and-set of the applied offset: a mismatch means that the partition has a new owner.
 * Without a last record the stored one stays.
 */
export const movePosition =
  (
    { clusterId, topic, partition }: Partition,
    { from, to, last }: { from: bigint; to: bigint; last: Mark | undefined },
  ): Claim =>
  (sql) =>
    sql`
    update consumed_offsets set next_offset = ${String(to)}::bigint, updated_at = now(),
      last_offset = coalesce(${last ? String(last.offset) : null}::bigint, last_offset),
      last_checksum = coalesce(${last?.checksum ?? null}, last_checksum)
    where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition} and next_offset = ${String(from)}::bigint
    returning true`

/** For a topic that was deleted and created again. */
export async function resetPosition(
  sql: Statements,
  { clusterId, topic, partition }: Partition,
  from: bigint,
): Promise<void> {
  await sql`
    update consumed_offsets set next_offset = 0, last_offset = null, last_checksum = null, updated_at = now()
    where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition} and next_offset = ${String(from)}::bigint`
}
