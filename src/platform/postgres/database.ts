/** Connections to a PostgreSQL database: a pool with drizzle on top, and sessions for locks and migrations. */
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import type { Types } from './statements'

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
  /** Settings of the server for these connections. */
  settings?: Record<string, string>
  /**
   * How long a statement may take, in milliseconds, 30 s when absent: the server ends it then. A
   * connection that owes an answer for two seconds longer, or for `silenceMs`, is given up, since
   * packets may be dropped without a word.
   */
  statementMs?: number
  /** For work that lifts the limit of its statements. */
  silenceMs?: number
  /** A connection was lost or given up; what was in flight on it has been rejected. */
  onClose?: () => void
}

export function openDatabase({ url, poolMax, prepare, settings, ...more }: DatabaseOptions): Database {
  const options = connectionOptions(more)
  const connection = { ...options.connection, ...settings }
  const sql = postgres(url, { ...options, connection, max: poolMax, prepare })
  return {
    sql,
    orm: drizzle(sql),
    close: (timeoutMs = 5000) => sql.end({ timeout: timeoutMs / 1000 }),
  }
}

/**
 * The server notices within seconds, not hours, that a client has vanished: TCP keep-alive and
 * retransmission limits. For sessions that hold a lock which others wait for.
 */
export const fastDisconnectDetection = {
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '2',
  tcp_user_timeout: '4000',
}

/**
 * One connection, for what belongs to a session: locks and notifications. When it is lost, the next
 * query begins a new session.
 */
export function openSession(
  { url, ...more }: Pick<DatabaseOptions, 'url' | 'applicationName' | 'statementMs' | 'silenceMs'>,
  /** Settings of the server, for this session. */
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
 * Whatever a role or a database has set: which tables are meant, and how values are read and
 * written. A role may always change its own settings.
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
  // Fewer digits than a time in milliseconds has would move it by years.
  extra_float_digits: '1',
  bytea_output: 'hex',
  array_nulls: 'on',
  transform_null_equals: 'off',
  standard_conforming_strings: 'on',
  // As text: the driver leaves out what is falsy.
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
  // The driver asks each new connection for the array types, and when that connection is cut,
  // nobody hears of the failure but the process, as an unhandled rejection. `arrayOf` needs no
  // types.
  fetch_types: false,
  connect_timeout: 5,
  // Of our patch: see decision 16.
  answer_timeout: silenceMs / 1000,
  // Waits are bounded by the server: a lost client holds no lock for ever, and a stuck query is an
  // error that somebody sees.
  connection: {
    application_name: applicationName,
    statement_timeout: statementMs,
    lock_timeout: Math.min(10_000, statementMs - 1000),
    // A client that was cut off in the middle of a transaction keeps its locks no longer than this.
    idle_in_transaction_session_timeout: 20_000,
    ...pinnedSettings,
  },
  // The driver connects again when the next query comes; left to itself it would wait up to 20 s
  // after a few failures.
  backoff: (failures: number) => Math.min(0.25, 0.005 * 2 ** failures),
  onnotice: () => {},
  ...(onClose ? { onclose: onClose } : {}),
})

/** One connection for migrations, each of which is given ten minutes and bounds its own waits. */
export function openMigrationSession(url: string): Sql {
  const options = { max: 1, connect_timeout: 5, onnotice: () => {}, prepare: false, fetch_types: false }
  // As text: the driver leaves out what is falsy.
  const unlimited: Record<string, string> = { statement_timeout: '0', lock_timeout: '0' }
  return postgres(url, {
    ...options,
    connection: { ...fastDisconnectDetection, ...pinnedSettings, ...unlimited },
    ...({ answer_timeout: 600 } as object),
  })
}
