/** Remembers which fictitious data was put in. */
import type { Statements } from '../../platform/postgres/statements'

/** True the first time; false ever after. Belongs into the transaction that writes the data. */
export async function markSeeded(sql: Statements, name: string): Promise<boolean> {
  const rows =
    await sql`insert into applied_seeds (name) values (${name}) on conflict do nothing returning name`
  return rows.length > 0
}
