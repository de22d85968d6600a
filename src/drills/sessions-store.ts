/** What somebody at the databases may do: hold locks, and change tables. All of it ends with the session. */
import { SetupError } from '../platform/fault'
import { openSession } from '../platform/postgres/database'
import { advisoryLocks } from '../platform/postgres/locks'
import { pause } from '../platform/process/retry'

const name = 'saldo-drill'

/** How long a table is waited for: others wait behind. */
const tableLock = '5s'

/** A session that holds what it has as long as it takes. By default it waits for locks without end. */
const open = (url: string, lock_timeout = '0') =>
  openSession(
    { url, prepare: false, applicationName: name, silenceMs: 600_000 },
    // As text: the driver drops falsy values.
    { statement_timeout: '0', lock_timeout, idle_in_transaction_session_timeout: '0' },
  )

/**
 * Takes the lock with which the relay leads: waits for it, and ends the session that has it. As the role of
 * the wallet, which may end its own sessions.
 */
export async function takeLead(url: string): Promise<AsyncDisposable> {
  const [sql, other] = [open(url), open(url)]
  const holder = { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) }
  const lock = String(advisoryLocks.relay)
  try {
    let isHeld = false
    const held = sql`select pg_advisory_lock(${advisoryLocks.relay})`.then(() => {
      isHeld = true
    })
    while (!isHeld) {
      await other`
        select pg_terminate_backend(pid) from pg_locks
        where locktype = 'advisory' and (classid::bigint << 32 | objid::bigint) = ${lock}::bigint
          and database = (select oid from pg_database where datname = current_database()) and granted
          and exists (select from pg_locks as waiting
            where waiting.locktype = 'advisory' and not waiting.granted
              and (waiting.classid, waiting.objid) = (pg_locks.classid, pg_locks.objid))`
      await Promise.race([held, pause(100)])
    }
    return holder
  } catch (error) {
    await sql.end({ timeout: 1 })
    throw error
  } finally {
    await other.end({ timeout: 1 })
  }
}

/** Lets a table be read and not written, as a forgotten transaction does. */
export async function lockTable(
  url: string,
  table: 'entries' | 'reaction_last_records',
): Promise<AsyncDisposable> {
  const sql = open(url, tableLock)
  try {
    await sql`begin`
    await sql`lock table ${sql(table)} in exclusive mode`
    return { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) }
  } catch (error) {
    await sql.end({ timeout: 1 })
    throw error
  }
}

const constraint = 'saldo_drill'

/** Whether one of an earlier drill, which was killed, is still there. */
const dropped = 'alter table entries drop constraint if exists saldo_drill'

/**
 * Makes the database reject entries of an account. The check accepts them after `seconds`, so that it does no
 * harm where the drill is killed; the next one removes it.
 */
export async function rejectEntries(
  url: string,
  { accountId, seconds }: { accountId: string; seconds: number },
): Promise<AsyncDisposable> {
  const sql = open(url, tableLock)
  const until = new Date(Date.now() + seconds * 1000).toISOString()
  const drop = async () => {
    await sql.unsafe(dropped)
    await sql.end({ timeout: 1 })
  }
  try {
    await sql.unsafe(`${dropped};
      alter table entries add constraint ${constraint}
        check (account_id <> '${accountId}' or now() > '${until}') not valid`)
    return { [Symbol.asyncDispose]: drop }
  } catch (error) {
    await sql.end({ timeout: 1 })
    throw error
  }
}

/**
 * Calls `work` with the server processes of a database, again and again, until the signal is aborted. As the
 * role of its service: a role sees its own sessions. Throws where it has none.
 */
export async function withBackends(
  url: string,
  work: (pids: number[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const sql = open(url)
  try {
    while (!signal.aborted) {
      const rows = await sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend'
          and application_name <> ${name}`
      if (rows.length === 0) throw new SetupError(`No session of the service is at ${new URL(url).pathname}.`)
      await work(rows.map(({ pid }) => pid))
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
}
