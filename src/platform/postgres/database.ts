/**
 * A PostgreSQL database: one pool, drizzle on top of it, and one place that tells a passing failure
 * from a lasting one.
 */
import { DrizzleQueryError } from 'drizzle-orm'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres, { type Sql, type TransactionSql } from 'postgres'
import { Fault, messageOf } from '../fault'
import { pause } from '../process/retry'

type Types = { bigint: bigint }
/**
 * Statements written by hand. int8 arrives as `bigint`, timestamps as text; times are passed as ISO
 * text, lists by `arrayOf`.
 */
export type Statements = Sql<Types> | TransactionSql<Types>

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
export const vanishingClient = {
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
    connection: { ...options.connection, ...vanishingClient, ...settings },
    max: 1,
  })
}

/** Whatever a role has set for itself: which tables are meant, and how they are read and written. */
const pinnedSettings: Record<string, string> = {
  search_path: 'public',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
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
    TimeZone: 'UTC',
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
export function openPreparation(url: string): Sql {
  const options = { max: 1, connect_timeout: 5, onnotice: () => {}, prepare: false, fetch_types: false }
  return postgres(url, { ...options, connection: vanishingClient, ...({ answer_timeout: 600 } as object) })
}

const listenerPingMs = 5000

/**
 * Listens until it is ended, on a connection of the driver's own. A listener has nothing to say, so
 * it is asked now and then: one that was cut in silence would wait for ever. `onListening` is
 * called at each beginning, since what was sent in between is lost.
 */
export function keepListening(
  sql: Sql<Types>,
  channels: Record<string, (payload: string) => void>,
  onListening: () => void = () => {},
): { started: Promise<unknown>; end(): Promise<void> } {
  const starting = Object.entries(channels).map(([name, hear]) => sql.listen(name, hear, onListening))
  // The driver keeps the connection here, and answers its loss by listening on another one.
  const { listen } = sql as unknown as { listen: { sql?: Sql } }
  const pinging = setInterval(() => {
    listen.sql?.unsafe('select 1').catch(() => {})
  }, listenerPingMs)
  const started = Promise.all(starting)
  return {
    started,
    async end() {
      clearInterval(pinging)
      const listeners = await started.catch(() => [])
      await Promise.race([Promise.all(listeners.map((one) => one.unlisten().catch(() => {}))), pause(1000)])
    },
  }
}

/** Lets several queries see one state of the database. They only read. */
export const inSnapshot = <T>(sql: Sql<Types>, read: (sql: Statements) => Promise<T>): Promise<T> =>
  sql.begin('isolation level repeatable read read only', read) as Promise<T>

/**
 * A list in pages, each in the order of a key: `read` answers with the rows that follow a row, at
 * most `limit`.
 */
export async function* pagesOf<T>(
  read: (after: T | undefined, limit: number) => PromiseLike<T[]>,
): AsyncGenerator<T[]> {
  const limit = 5000
  for (let rows = await read(undefined, limit); rows.length > 0; rows = await read(rows.at(-1), limit)) {
    yield rows
    if (rows.length < limit) return
  }
}

/**
 * A list as one parameter, in PostgreSQL's own notation. Cast it where it is used:
 * `${arrayOf(ids)}::uuid[]`.
 */
export function arrayOf(values: readonly (string | number | bigint | boolean | null | undefined)[]): string {
  let text = '{'
  for (const value of values) {
    if (text.length > 1) text += ','
    if (value === null || value === undefined) text += 'NULL'
    else if (typeof value !== 'string' || plain.test(value)) text += value
    else text += `"${/["\\]/.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`
  }
  return `${text}}`
}

/** Means the same with quotes and without. Nearly all that is sent is: ids, names, times. */
const plain = /^(?!null$)[\w.:-]+$/i

/**
 * Texts without line breaks, such as JSON, as one parameter: nothing of them needs quoting. Use it
 * as `string_to_array(…, chr(10))`.
 */
export const linesOf = (texts: readonly string[]): string => texts.join('\n')

/**
 * A time as the server writes it, `2024-01-27 17:13:48.5+00`: the session's time zone is UTC, and
 * no time of ours has more than milliseconds. Not to be left to `Date`, which takes the years 1 to
 * 99 for those of the last century.
 */
export function rfc3339(time: string): string {
  const clock = time.slice(11, -3)
  return `${time.slice(0, 10)}T${clock.length === 8 ? `${clock}.000` : clock.padEnd(12, '0')}Z`
}

/**
 * What the driver threw. drizzle puts it into an error of its own, which tells statement and
 * parameters instead.
 */
const driverError = (error: unknown): unknown => (error instanceof DrizzleQueryError ? error.cause : error)

/** What a failure of the database means for whoever asked. */
export type DatabaseFailure =
  /**
   * The connection went away, or there was none. Whether a statement that was sent took effect is
   * not known.
   */
  | 'connection_lost'
  /**
   * The server cannot do its work. The statement had no effect; another try helps once somebody has
   * helped the server, or it itself.
   */
  | 'unavailable'
  /** Others were in the way. The statement had no effect, and may be tried again at once. */
  | 'contention'
  /** It is the data: another try changes nothing. */
  | 'data_refused'

/** By SQLSTATE. What is not here is a bug, or a schema that is not ours. */
const failures: readonly [RegExp, DatabaseFailure][] = [
  // Connection exceptions; ended by an operator, a crash or a time limit; too many connections,
  // starting up: nothing was begun.
  [/^(08|40003|57P0[1235]|25P0[34]|53300)/, 'connection_lost'],
  // Another writer, a deadlock, a lock that was waited for too long.
  [/^(40|55P03)/, 'contention'],
  // Data exceptions, constraints, limits such as that of a row in an index.
  [/^(2[23]|54)/, 'data_refused'],
  // Disk full, out of memory; I/O errors; damaged data; statements that took too long or were
  // cancelled; the database was dropped.
  [/^(53|58|XX|57)/, 'unavailable'],
  // A standby that takes no writes; a password that was changed, a database or a right that is
  // gone, or not to be used for now.
  [/^(25006|28|3D000|42501|5500[06])/, 'unavailable'],
]

export function databaseFailure(thrown: unknown): DatabaseFailure | undefined {
  const error = driverError(thrown)
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const code = String(error.code)
  if (!(error instanceof postgres.PostgresError))
    return driverCodes.test(code) ? 'connection_lost' : code === '57014' ? 'unavailable' : undefined
  return failures.find(([states]) => states.test(code))?.[1]
}

const driverCodes =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ANSWER_TIMEOUT|FailedToOpenSocket|E(CONN(REFUSED|RESET|ABORTED)|PIPE|NOTFOUND|AI_AGAIN|TIMEDOUT|(HOST|NET)UNREACH|MFILE)|(ERR_TLS|CERT|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)_\w+)$/

/**
 * True for failures that pass by themselves: the server is away, restarting, out of connections, or
 * ended this connection.
 */
export const isConnectionLost = (thrown: unknown): boolean => databaseFailure(thrown) === 'connection_lost'

/** True for failures that waiting may help with, though it may take somebody's help. */
export function isWorthWaiting(thrown: unknown): boolean {
  const failure = databaseFailure(thrown)
  return failure !== undefined && failure !== 'data_refused'
}

/** SQLSTATE of the server's answer, and the constraint it names. */
export function violation(thrown: unknown): { sqlState: string; constraint: string | undefined } | undefined {
  const error = driverError(thrown)
  if (!(error instanceof postgres.PostgresError)) return undefined
  return { sqlState: error.code, constraint: error.constraint_name }
}

/** Trying again changes nothing. */
export const isDataRefused = (thrown: unknown): boolean => databaseFailure(thrown) === 'data_refused'

/** The `Fault` that a failure of the database is, unless it is a bug or a matter of the data. */
export function databaseFault(thrown: unknown): Fault | undefined {
  if (!isWorthWaiting(thrown)) return undefined
  const cause = driverError(thrown)
  return new Fault('database_unavailable', `the database cannot be used: ${messageOf(cause)}`, { cause })
}

/** Runs a query, and turns a database that cannot be used into a `Fault`. Anything else passes through. */
export async function reaching<T>(query: PromiseLike<T>): Promise<T> {
  try {
    return await query
  } catch (thrown) {
    throw databaseFault(thrown) ?? thrown
  }
}

/** How long readiness waits for the database, in milliseconds: whoever asks has a deadline of his own. */
const readinessMs = 2000

/** Runs a query that readiness depends on, in time whatever becomes of it. */
export async function inTime<T>(query: PromiseLike<T>, ms = readinessMs): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new Fault('database_unavailable', `the database has not answered for ${ms / 1000} s`))
  }, ms)
  try {
    return await Promise.race([query, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
