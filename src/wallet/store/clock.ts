/** The database's time, read beside what is decided by it. */
import { arrayOf, type Statements } from '../../platform/database'

/** What the database said its time was, at some moment between `sentMs` and `receivedMs` on `performance.now`. */
export type ClockReading = {
  databaseMs: number
  sentMs: number
  receivedMs: number
  /** The newest change of the accounts that were asked about; null where there is none. */
  changedMs: number | null
}

/** With the newest change of these accounts. */
export async function readClock(sql: Statements, accountIds: Iterable<string> = []): Promise<ClockReading> {
  const sentMs = performance.now()
  const [row] = await sql<{ database_ms: number; changed_ms: number | null }[]>`
    select
      (extract(epoch from clock_timestamp()) * 1000)::float8 as database_ms,
      (
        select (extract(epoch from max(updated_at)) * 1000)::float8
        from accounts where id = any(${arrayOf([...accountIds])}::uuid[])
      ) as changed_ms`
  if (!row) throw new Error('empty result from PostgreSQL')
  return { databaseMs: row.database_ms, changedMs: row.changed_ms, sentMs, receivedMs: performance.now() }
}
