/** Records which seeds have been applied. */
import type { Statements } from '../../platform/postgres/statements'

/** True the first time only. Call it in the transaction that writes the seed. */
export async function markSeeded(sql: Statements, name: string): Promise<boolean> {
  const rows =
    await sql`insert into applied_seeds (name) values (${name}) on conflict do nothing returning name`
  return rows.length > 0
}
