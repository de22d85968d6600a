/**
 * The applied offset of each partition. The database is authoritative: an offset advances in the
 * transaction that writes the rows, or not at all.
 */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { Claim } from './apply-store'
import { isSettledIn } from './epochs-store'

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

/** From a stored offset to the next. Without a last record the stored one stays. */
export type Advance = { from: StoredOffset; to: bigint; last: LastRecord | undefined }

/**
 * Compare-and-set of applied offsets of one cluster, all or none: a mismatch means that a partition has a
 * new owner. Their rows are locked first, since an update would change those that do match. With an epoch
 * of the ledger also none where that is not the only one there is.
 */
export const advanceOffsets =
  (advances: readonly Advance[], epoch?: number): Claim =>
  (sql) => {
    const clusterId = advances[0]?.from.clusterId ?? null
    const list = (of: (advance: Advance) => string | number | bigint | undefined) => arrayOf(advances.map(of))
    return sql`
    with held as (
      select topic, partition, to_offset, advance.last_offset, advance.last_checksum
      from consumed_offsets join unnest(
        ${list(({ from }) => from.topic)}::text[], ${list(({ from }) => from.partition)}::integer[],
        ${list(({ from }) => from.next)}::bigint[], ${list(({ to }) => to)}::bigint[],
        ${list(({ last }) => last?.offset)}::bigint[], ${list(({ last }) => last?.checksum)}::text[]
      ) as advance (topic, partition, from_offset, to_offset, last_offset, last_checksum)
        using (topic, partition)
      where cluster_id = ${clusterId} and next_offset = from_offset
      for update of consumed_offsets
    )
    update consumed_offsets as stored set next_offset = to_offset, updated_at = now(),
      last_offset = coalesce(held.last_offset, stored.last_offset),
      last_checksum = coalesce(held.last_checksum, stored.last_checksum)
    from held
    where stored.cluster_id = ${clusterId} and stored.topic = held.topic and stored.partition = held.partition
      and (select count(*) from held) = ${advances.length}::integer
      ${epoch === undefined ? sql`` : sql`and ${isSettledIn(sql, epoch)}`}
    returning true`
  }

/** For a topic that was deleted and created again. */
export async function resetOffset(
  sql: Statements,
  { clusterId, topic, partition, next }: StoredOffset,
): Promise<void> {
  await sql`
    update consumed_offsets set next_offset = 0, last_offset = null, last_checksum = null, updated_at = now()
    where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition}
      and next_offset = ${String(next)}::bigint`
}
