/** For which other sessions one of ours waits, in words for an operator. */
import type { Sql } from 'postgres'
import { pause } from '../process/retry'
import { openMigrationSession } from './database'
import type { Types } from './statements'

/** How long a session may wait before it is asked for what, and between two questions, in milliseconds. */
const everyMs = 500

/** Does `work`, and says who keeps `session` from going on, again and again, for as long as somebody does. */
export async function whileNamingBlockers<T>(
  { url, session, onBlocked }: { url: string; session: Sql<Types>; onBlocked: (blockers: string) => void },
  work: () => Promise<T>,
): Promise<T> {
  const [own] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`
  const stopping = new AbortController()
  const { signal } = stopping
  const watch = async () => {
    // Most are done by then, and take no connection for it.
    await pause(everyMs, signal)
    if (signal.aborted) return
    const sql = openMigrationSession(url)
    try {
      for (; !signal.aborted; await pause(everyMs, signal)) {
        const blockers = await findBlockers(sql, own?.pid ?? 0)
        if (blockers && !signal.aborted) onBlocked(blockers)
      }
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  // Without it the work goes on all the same, unexplained.
  const watching = watch().catch(() => {})
  try {
    return await work()
  } finally {
    stopping.abort()
    await watching
  }
}

/** Such as `session 4711 (psql, idle in transaction, 35 s)`. Empty where none does. */
async function findBlockers(sql: Sql<Types>, pid: number): Promise<string> {
  return described(
    await sql<Session[]>`
    select pid, application_name, state, extract(epoch from clock_timestamp() - xact_start)::int as seconds
    from pg_stat_activity where pid = any(pg_blocking_pids(${pid})) order by pid`,
  )
}

/** Who holds an advisory lock. */
export async function findLockHolder(sql: Sql<Types>, lock: number): Promise<string> {
  return described(
    await sql<Session[]>`
    select pid, application_name, state, extract(epoch from clock_timestamp() - backend_start)::int as seconds
    from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and objsubid = 1
      and (classid::bigint << 32) + objid::bigint = ${lock}
      and database = (select oid from pg_database where datname = current_database())`,
  )
}

/** Of sessions of other roles PostgreSQL tells the name alone. */
type Session = { pid: number; application_name: string; state: string | null; seconds: number | null }

const described = (sessions: readonly Session[]): string =>
  sessions
    .map(({ pid, application_name, state, seconds }) => {
      const known = [application_name, state, seconds === null ? '' : `${seconds} s`].filter(Boolean)
      return `session ${pid}${known.length > 0 ? ` (${known.join(', ')})` : ''}`
    })
    .join(' and ')
