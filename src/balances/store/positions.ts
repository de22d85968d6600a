/** How far each partition was applied. The database is the truth about it: the position moves with the rows, or not at all. */
import { arrayOf, type Statements } from '../../platform/database'
import type { Claim } from './apply'

export type Partition = { clusterId: string; topic: string; partition: number }

/** Next offset to apply, by partition. One that was never dealt to anybody begins at 0, and is stored so. */
export async function loadPositions(
  sql: Statements,
  clusterId: string,
  partitions: { topic: string; partition: number }[],
): Promise<{ topic: string; partition: number; nextOffset: bigint }[]> {
  const topics = partitions.map(({ topic }) => topic)
  const numbers = partitions.map(({ partition }) => String(partition))
  await sql`
    insert into consumed_offsets (cluster_id, topic, partition, next_offset)
    select ${clusterId}, topic, partition::integer, 0
    from unnest(${arrayOf(topics)}::text[], ${arrayOf(numbers)}::text[]) as dealt (topic, partition)
    on conflict do nothing`
  return sql<{ topic: string; partition: number; nextOffset: bigint }[]>`
    select topic, partition, next_offset as "nextOffset" from consumed_offsets
    join unnest(${arrayOf(topics)}::text[], ${arrayOf(numbers)}::text[]) as dealt (topic, number)
      using (topic)
    where cluster_id = ${clusterId} and partition = number::integer`
}

/** All positions in the log of a cluster, whoever applies there. */
export async function listPositions(
  sql: Statements,
  clusterId: string,
): Promise<{ topic: string; partition: number; nextOffset: bigint }[]> {
  return sql<{ topic: string; partition: number; nextOffset: bigint }[]>`
    select topic, partition, next_offset as "nextOffset" from consumed_offsets where cluster_id = ${clusterId}`
}

/** Moves a position, for him who knows where it stands. Whoever finds it elsewhere has lost the partition to another member. */
export const movePosition =
  ({ clusterId, topic, partition }: Partition, { from, to }: { from: bigint; to: bigint }): Claim =>
  (sql) =>
    sql`
    update consumed_offsets set next_offset = ${String(to)}::bigint, updated_at = now()
    where cluster_id = ${clusterId} and topic = ${topic} and partition = ${partition} and next_offset = ${String(from)}::bigint
    returning true`

/** For a topic that was deleted and made anew. */
export async function resetPosition(sql: Statements, partition: Partition, from: bigint): Promise<void> {
  await movePosition(partition, { from, to: 0n })(sql)
}
