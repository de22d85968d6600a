/** Reads the database's clock. */
import { arrayOf, type Statements } from '../../../platform/postgres/statements'

/** The database's time at some moment between `sentMs` and `receivedMs` on `performance.now`. */
export type ClockReading = {
  databaseMs: number
  sentMs: number
  receivedMs: number
  /** The newest change of the given accounts; null when there is none. */
  changedMs: number | null
  /** The server process that answered. */
  session: number
  /** Of the ledger. */
  epoch: number
}

export async function readClock(sql: Statements, accountIds: Iterable<string> = []): Promise<ClockReading> {
  const sentMs = performance.now()
  const [row] = await sql<
    { session: number; epoch: number; database_ms: number; changed_ms: number | null }[]
  >`
    select
      (select max(epoch) from ledger_epochs) as epoch,
      pg_backend_pid() as session,
      (extract(epoch from clock_timestamp()) * 1000)::float8 as database_ms,
      (
        select (extract(epoch from max(updated_at)) * 1000)::float8
        from accounts where id = any(${arrayOf([...accountIds])}::uuid[])
      ) as changed_ms`
  if (!row) throw new Error('empty result from PostgreSQL')
  const { session, epoch, database_ms: databaseMs, changed_ms: changedMs } = row
  return { databaseMs, changedMs, session, epoch, sentMs, receivedMs: performance.now() }
}
