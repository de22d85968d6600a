/** That events have to be signed, as the database remembers it. */
import type { Statements } from '../../platform/postgres/statements'

export const requireSigned = async (sql: Statements): Promise<void> =>
  void (await sql`insert into signed_events default values on conflict do nothing`)

/** False when it was not required. */
export const acceptUnsigned = async (sql: Statements): Promise<boolean> =>
  (await sql`delete from signed_events`).count > 0

/** Since when it is required; undefined when it is not. */
export async function signedSince(sql: Statements): Promise<string | undefined> {
  const [row] = await sql<{ since: string }[]>`select since from signed_events`
  return row && new Date(row.since).toISOString()
}
