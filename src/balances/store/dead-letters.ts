/** Records that were kept aside. */
import type { Statements } from '../../platform/database'
import { rfc3339 } from './balances'

/** Times are RFC 3339, UTC. */
export type DeadLetter = {
  id: bigint
  topic: string
  partition: number
  recordOffset: bigint
  cause: string
  detail: string
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, string>
  recordAt: string | null
  recordedAt: string
}

/** Newest first. */
export async function listDeadLetters(sql: Statements, limit: number): Promise<DeadLetter[]> {
  const rows = await sql<DeadLetter[]>`
    select id, topic, partition, record_offset as "recordOffset", cause, detail, key, value, headers,
      record_at as "recordAt", recorded_at as "recordedAt"
    from dead_letters order by id desc limit ${limit}`
  return rows.map((row) => ({
    ...row,
    recordAt: row.recordAt && rfc3339(row.recordAt),
    recordedAt: rfc3339(row.recordedAt),
  }))
}

export async function countDeadLetters(sql: Statements): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from dead_letters`
  return row?.count ?? 0
}
