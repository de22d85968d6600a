/** The last record that a reaction has processed, by partition. */
import { partitionName } from '../../platform/kafka/offsets'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
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

/** All of one cluster. */
export async function storeLastRecords(
  sql: Statements,
  groupId: string,
  records: readonly (Partition & { last: LastRecord })[],
): Promise<void> {
  const list = (of: (record: Partition & { last: LastRecord }) => string | number | bigint) =>
    arrayOf(records.map(of))
  await sql`
    insert into reaction_last_records (group_id, cluster_id, topic, partition, last_offset, last_checksum)
    select ${groupId}, ${records[0]?.clusterId ?? null}, * from unnest(
      ${list(({ topic }) => topic)}::text[], ${list(({ partition }) => partition)}::integer[],
      ${list(({ last }) => last.offset)}::bigint[], ${list(({ last }) => last.checksum)}::text[]
    )
    on conflict (group_id, cluster_id, topic, partition) do update
    set last_offset = excluded.last_offset, last_checksum = excluded.last_checksum`
}

export async function deleteLastRecord(
  sql: Statements,
  groupId: string,
  { clusterId, topic, partition }: Partition,
): Promise<void> {
  await sql`
    delete from reaction_last_records
    where group_id = ${groupId} and cluster_id = ${clusterId}
      and topic = ${topic} and partition = ${partition}`
}
