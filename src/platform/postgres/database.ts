/**
 * Connections to a PostgreSQL database: a pool with drizzle on top, and sessions for locks and
 * migrations.
 */
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import { rfc3339, type Types } from './statements'

export type Database = {
  sql: Sql<Types>
  orm: PostgresJsDatabase
  /** Waits for queries in flight, at most `timeoutMs`. */
  close(timeoutMs?: number): Promise<void>
}

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

export function openDatabase({ url, poolMax, prepare, settings, ...more }: DatabaseOptions): Database {
  const options = connectionOptions(more)
  const connection = { ...options.connection, ...settings }
  const sql = postgres(url, { ...options, connection, max: poolMax, prepare })
  const orm = drizzle(sql)
  // Last: drizzle sets a parser of its own.
  sql.options.parsers[timestamptz] = rfc3339
  return {
    sql,
    orm,
    close: (timeoutMs = 5000) => sql.end({ timeout: timeoutMs / 1000 }),
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
  { url, ...more }: Pick<DatabaseOptions, 'url' | 'applicationName' | 'statementMs' | 'silenceMs'>,
  /** Server settings for this session. */
  settings: Record<string, string> = {},
): Sql<Types> {
  const options = connectionOptions(more)
  return postgres(url, {
    ...options,
    connection: { ...options.connection, ...fastDisconnectDetection, ...settings },
    max: 1,
  })
}

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

type ConnectionOptions = Pick<DatabaseOptions, 'applicationName' | 'statementMs' | 'silenceMs' | 'onClose'>

const connectionOptions = ({
  applicationName,
  statementMs = 30_000,
  silenceMs = statementMs + 2000,
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
  },
  // The driver reconnects at the next query. By default it waits up to 20 s after a few failures.
  backoff: (failures: number) => Math.min(0.25, 0.005 * 2 ** failures),
  onnotice: () => {},
  ...(onClose ? { onclose: onClose } : {}),
})

/** A single connection for migrations. Each may take ten minutes, and sets its own timeouts. */
export function openMigrationSession(url: string): Sql {
  const options = { max: 1, connect_timeout: 5, onnotice: () => {}, prepare: false, fetch_types: false }
  // As text: the driver drops falsy values.
  const unlimited: Record<string, string> = { statement_timeout: '0', lock_timeout: '0' }
  return postgres(url, {
    ...options,
    connection: { ...fastDisconnectDetection, ...pinnedSettings, ...unlimited },
    ...({ answer_timeout: 600 } as object),
  })
}
