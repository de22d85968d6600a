/** Ends database sessions that outlived their connection. */
import { Fault } from '../../platform/fault'
import { arrayOf, type Statements } from '../../platform/postgres/statements'

const sessionEndsMs = 2000

/**
 * Waits until they are gone: afterwards none of their statements can take effect. Throws a `Fault`
 * when one does not end.
 */
export async function endSessions(sql: Statements, sessions: number[]): Promise<void> {
  // A process id may have been reused: only sessions of the same user and application are ended.
  const rows = await sql<{ ended: boolean }[]>`
    select pg_terminate_backend(pid, ${sessionEndsMs}) as ended from pg_stat_activity
    where pid = any(${arrayOf(sessions)}::int[]) and pid <> pg_backend_pid() and usename = current_user
      and datname = current_database() and application_name = current_setting('application_name')`
  if (rows.some(({ ended }) => !ended))
    throw new Fault(
      'outcome_unknown',
      'a lost database session has not ended: its last statement may still be executed',
    )
}
