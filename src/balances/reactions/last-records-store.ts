/** The last record that a reaction has processed, by partition. */
import { partitionName } from '../../platform/kafka/offsets'
import type { Statements } from '../../platform/postgres/statements'
import type { LastRecord, Partition } from '../projection/offsets-store'

/** By `partitionName`. */
export async function loadLastRecords(
  sql: Statements,
  groupId: string,
  clusterId: string,
): Promise<Map<string, LastRecord>> {
  const rows = await sql<({ topic: string; partition: number } & LastRecord)[]>`
    select topic, partition, last_offset as "offset", last_checksum as checksum
    from reaction_last_records where group_id = ${groupId} and cluster_id = ${clusterId}`
  return new Map(rows.map(({ topic, partition, ...last }) => [partitionName(topic, partition), last]))
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
