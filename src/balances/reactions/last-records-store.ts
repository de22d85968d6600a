/** The last record that a reaction has processed, by partition. */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { LastRecord, Partition } from '../projection/offsets-store'

/** Of those partitions that have one. */
export async function loadLastRecords(
  sql: Statements,
  groupId: string,
  clusterId: string,
  partitions: { topic: string; partition: number }[],
): Promise<{ topic: string; partition: number; last: LastRecord }[]> {
  const rows = await sql<({ topic: string; partition: number } & LastRecord)[]>`
    select topic, partition, last_offset as "offset", last_checksum as checksum
    from reaction_last_records
    where group_id = ${groupId} and cluster_id = ${clusterId} and (topic, partition) in (
      select topic, number::integer
      from unnest(
        ${arrayOf(partitions.map(({ topic }) => topic))}::text[],
        ${arrayOf(partitions.map(({ partition }) => partition))}::text[]
      ) as assigned (topic, number)
    )`
  return rows.map(({ topic, partition, ...last }) => ({ topic, partition, last }))
}

/** Deletes it where `last` is undefined. */
export async function storeLastRecord(
  sql: Statements,
  groupId: string,
  { clusterId, topic, partition }: Partition,
  last: LastRecord | undefined,
): Promise<void> {
  if (last)
    await sql`
      insert into reaction_last_records (group_id, cluster_id, topic, partition, last_offset, last_checksum)
      values (${groupId}, ${clusterId}, ${topic}, ${partition},
        ${String(last.offset)}::bigint, ${last.checksum})
      on conflict (group_id, cluster_id, topic, partition) do update
      set last_offset = excluded.last_offset, last_checksum = excluded.last_checksum`
  else
    await sql`
      delete from reaction_last_records
      where group_id = ${groupId} and cluster_id = ${clusterId}
        and topic = ${topic} and partition = ${partition}`
}
