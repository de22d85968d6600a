/** Which seed data was applied. */
import type { Statements } from '../../platform/postgres/statements'
import type { Claim } from '../projection/apply-store'

export const seedName = 'events'

/** Claims the seed for the statement that applies it, once. */
export const markSeeded =
  (name: string): Claim =>
  (sql) =>
    sql`insert into applied_seeds (name) values (${name}) on conflict do nothing returning true`

export async function isSeeded(sql: Statements): Promise<boolean> {
  return (await sql`select from applied_seeds where name = ${seedName}`).length > 0
}
