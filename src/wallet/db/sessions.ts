/** Sessions that outlive their connection. */

import { Fault } from '../../platform/fault'
import { arrayOf, type Statements } from '../../platform/postgres/statements'

const sessionEndsMs = 2000

/**
 * Ends sessions of the same name that have lost their client, and waits until they are gone: what
 * they were sent takes effect before, or never. Throws a
 * `Fault` when one does not end.
 */
export async function endSessions(sql: Statements, sessions: number[]): Promise<void> {
  // A number may be another's by now: of a process like this one, which connects again, or of
  // anybody else, who is left alone.
  const rows = await sql<{ ended: boolean }[]>`
    select pg_terminate_backend(pid, ${sessionEndsMs}) as ended from pg_stat_activity
    where pid = any(${arrayOf(sessions)}::int[]) and pid <> pg_backend_pid() and usename = current_user
      and datname = current_database() and application_name = current_setting('application_name')`
  if (rows.some(({ ended }) => !ended))
    throw new Fault(
      'outcome_unknown',
      'a session that was lost has not ended: what it was sent may still be carried out',
    )
}
