/**
 * Connections to a PostgreSQL database: a pool with drizzle on top, and sessions for locks and
 * migrations.
 */
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import { rfc3339, type Types } from './statements'
import { tlsOf } from './tls'

export type Database = {
  sql: Sql<Types>
  orm: PostgresJsDatabase
  usage(): PoolUsage
  /** Waits for queries in flight, at most `timeoutMs`. */
  close(timeoutMs?: number): Promise<void>
}

/** Connections, and queries that wait. */
export type PoolUsage = { size: number; inUse: number; waiting: number }

export type DatabaseOptions = {
  url: string
  poolMax: number
  prepare: boolean
  applicationName: string
  /** Server settings for these connections. */
  settings?: Record<string, string>
  /**
   * Statement timeout of the server, 30,000 when absent. A connection without a response for two
   * seconds longer, or for `silenceMs`, is given up, since packets may be dropped silently.
   */
  statementMs?: number
  /** For work that raises its own statement timeout. */
  silenceMs?: number
  /** A connection was lost or given up, and its queries in flight were rejected. */
  onClose?: () => void
}

export function openDatabase({ url, poolMax, prepare, ...options }: DatabaseOptions): Database {
  const { address, ssl } = tlsOf(url)
  const sql = postgres(address, { ...connectionOptions(options), ssl, max: poolMax, prepare })
  const orm = drizzle(sql)
  // Last: drizzle sets a parser of its own.
  sql.options.parsers[timestamptz] = rfc3339
  return {
    sql,
    orm,
    // Of our patch: see decision 37.
    usage: () => (sql as unknown as { usage(): PoolUsage }).usage(),
    close: (timeoutMs = 5000) => sql.end({ timeout: timeoutMs / 1000 }),
  }
}

/**
 * Runs read-only queries of either kind on one snapshot. For a database with a single connection, of
 * which `read` sends the only queries.
 */
export async function inSnapshotOf<T>({ sql }: Database, read: () => Promise<T>): Promise<T> {
  // Statements are executed in the order in which they are sent, so only `read` is waited for.
  const begun = sql`begin isolation level repeatable read read only`.execute()
  try {
    const [result] = await Promise.all([read(), begun])
    return result
  } finally {
    sql`commit`.catch(() => undefined)
  }
}

/** The OID of `timestamp with time zone`. */
const timestamptz = 1184

/**
 * A crashed host never closes its connection. With these TCP limits the server notices within seconds
 * instead of hours, and releases the locks of the session.
 */
export const fastDisconnectDetection = {
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '2',
  tcp_user_timeout: '4000',
}

/**
 * A single connection, for session-level locks and settings. When it is lost, the next query opens a
 * new session.
 */
export function openSession(
  { url, prepare = true, ...options }: ConnectionOptions & { url: string; prepare?: boolean },
  settings: Record<string, string> = {},
): Sql<Types> {
  const more = { ...fastDisconnectDetection, ...settings }
  const { address, ssl } = tlsOf(url)
  return postgres(address, { ...connectionOptions({ ...options, settings: more }), ssl, max: 1, prepare })
}

/** For migrations: each may take ten minutes, and sets its own timeouts. */
export const openMigrationSession = (url: string) =>
  openSession(
    { url, prepare: false, applicationName: 'saldo-migrate', silenceMs: 600_000 },
    // As text: the driver drops falsy values.
    { statement_timeout: '0', lock_timeout: '0', idle_in_transaction_session_timeout: '0' },
  )

/**
 * Override what a role or database has set: which tables names refer to, and how values are read and
 * written. A role can always change its own settings.
 */
const pinnedSettings: Record<string, string> = {
  search_path: 'public',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  row_security: 'on',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  // Fewer digits would shift times in milliseconds.
  extra_float_digits: '1',
  bytea_output: 'hex',
  array_nulls: 'on',
  transform_null_equals: 'off',
  standard_conforming_strings: 'on',
  // As text: the driver drops falsy values.
  idle_session_timeout: '0',
}

type ConnectionOptions = Omit<DatabaseOptions, 'url' | 'poolMax' | 'prepare'>

const connectionOptions = ({
  applicationName,
  statementMs = 30_000,
  silenceMs = statementMs + 2000,
  settings,
  onClose,
}: ConnectionOptions) => ({
  types: { bigint: postgres.BigInt },
  // Otherwise the driver queries the array types on each new connection, and a lost one becomes an
  // unhandled rejection. `arrayOf` needs no types.
  fetch_types: false,
  connect_timeout: 5,
  // Of our patch: see decision 16.
  answer_timeout: silenceMs / 1000,
  // The server bounds all waits: a lost client releases its locks, and a stuck query is an error.
  connection: {
    application_name: applicationName,
    statement_timeout: statementMs,
    lock_timeout: Math.min(10_000, statementMs - 1000),
    // How long a client that vanished inside a transaction keeps its locks.
    idle_in_transaction_session_timeout: 20_000,
    ...pinnedSettings,
    ...settings,
  },
  // The driver reconnects at the next query. By default it waits up to 20 s after a few failures.
  backoff: (failures: number) => Math.min(0.25, 0.005 * 2 ** failures),
  onnotice: () => {},
  ...(onClose ? { onclose: onClose } : {}),
})
