/** The database's time, read beside what is decided by it. */
import { arrayOf, type Statements } from '../../../platform/postgres/statements'

/**
 * What the database said its time was, at some moment between `sentMs` and `receivedMs` on
 * `performance.now`.
 */
export type ClockReading = {
  databaseMs: number
  sentMs: number
  receivedMs: number
  /** The newest change of the accounts that were asked about; null where there is none. */
  changedMs: number | null
  /** The server's process that answered. */
  session: number
}

/** With the newest change of these accounts. */
export async function readClock(sql: Statements, accountIds: Iterable<string> = []): Promise<ClockReading> {
  const sentMs = performance.now()
  const [row] = await sql<{ session: number; database_ms: number; changed_ms: number | null }[]>`
    select
      pg_backend_pid() as session,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as database_ms,
      (
        select (extract(epoch from max(updated_at)) * 1000)::float8
        from accounts where id = any(${arrayOf([...accountIds])}::uuid[])
      ) as changed_ms`
  if (!row) throw new Error('empty result from PostgreSQL')
  const { session, database_ms: databaseMs, changed_ms: changedMs } = row
  return { databaseMs, changedMs, session, sentMs, receivedMs: performance.now() }
}
