/** Clients whose personal data was erased. A trigger inserts them, with the version that erases. */
import { arrayOf, type Statements } from '../../platform/postgres/statements'

/** Those whose personal data may still be on the topic. */
export async function listPendingErasures(sql: Statements): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select client_id as id from erasures where purged_at is null order by client_id`
  return rows.map(({ id }) => id)
}

export async function markPurged(sql: Statements, clientIds: readonly string[]): Promise<void> {
  await sql`
    update erasures set purged_at = now()
    where client_id = any(${arrayOf(clientIds)}::uuid[]) and purged_at is null`
}
