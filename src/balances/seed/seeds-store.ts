/** Remembers which fictitious data was put in. */
import type { Statements } from '../../platform/postgres/statements'
import type { Claim } from '../projection/apply-store'

/** There is one. */
export const seedName = 'events'

/** Claims the right to put the data in: given once, in the transaction that does it. */
export const markSeeded =
  (name: string): Claim =>
  (sql) =>
    sql`insert into applied_seeds (name) values (${name}) on conflict do nothing returning true`

export async function isSeeded(sql: Statements): Promise<boolean> {
  return (await sql`select from applied_seeds where name = ${seedName}`).length > 0
}
