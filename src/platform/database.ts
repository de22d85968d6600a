/** A PostgreSQL database: one pool, drizzle on top of it, and one place that tells a passing failure from a lasting one. */
import { DrizzleQueryError } from 'drizzle-orm'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres, { type Sql, type TransactionSql } from 'postgres'
import { Fault, messageOf } from './fault'

type Types = { bigint: bigint }
/** Statements written by hand. int8 arrives as `bigint`, timestamps as text; times are passed as ISO text, lists by `arrayOf`. */
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
}

export function openDatabase({ url, poolMax, prepare, applicationName, settings }: DatabaseOptions): Database {
  const options = connectionOptions(applicationName)
  const connection = { ...options.connection, ...settings }
  const sql = postgres(url, { ...options, connection, max: poolMax, prepare })
  return {
    sql,
    orm: drizzle(sql),
    close: (timeoutMs = 5000) => sql.end({ timeout: timeoutMs / 1000 }),
  }
}

/** One connection, for what belongs to a session: locks and notifications. When it is lost, the next query begins a new session. */
export function openSession(
  { url, applicationName }: Pick<DatabaseOptions, 'url' | 'applicationName'>,
  /** Settings of the server, for this session. */
  settings: Record<string, string> = {},
): Sql<Types> {
  const options = connectionOptions(applicationName)
  return postgres(url, { ...options, connection: { ...options.connection, ...settings }, max: 1 })
}

/** Whatever a role has set for itself: which tables are meant, and how they are read and written. */
const pinnedSettings: Record<string, string> = {
  search_path: 'public',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
}

const connectionOptions = (applicationName: string) => ({
  types: { bigint: postgres.BigInt },
  // The driver asks each new connection for the array types, and when that connection is cut, nobody hears of the failure but the process,
  // as an unhandled rejection. `arrayOf` needs no types.
  fetch_types: false,
  connect_timeout: 5,
  // Waits are bounded by the server: a lost client holds no lock for ever, and a stuck query is an error that somebody sees.
  connection: {
    application_name: applicationName,
    TimeZone: 'UTC',
    statement_timeout: 30_000,
    lock_timeout: 10_000,
    ...pinnedSettings,
  },
  // The driver connects again when the next query comes; left to itself it would wait up to 20 s after a few failures.
  backoff: (failures: number) => Math.min(0.25, 0.005 * 2 ** failures),
  onnotice: () => {},
})

/** Lets several queries see one state of the database. They only read. */
export const inSnapshot = <T>(sql: Sql<Types>, read: (sql: Statements) => Promise<T>): Promise<T> =>
  sql.begin('isolation level repeatable read read only', read) as Promise<T>

/** A list in pages, each in the order of a key: `read` answers with the rows that follow a row, at most `limit`. */
export async function* pagesOf<T>(
  read: (after: T | undefined, limit: number) => PromiseLike<T[]>,
): AsyncGenerator<T[]> {
  const limit = 5000
  for (let rows = await read(undefined, limit); rows.length > 0; rows = await read(rows.at(-1), limit)) {
    yield rows
    if (rows.length < limit) return
  }
}

/** A list as one parameter, in PostgreSQL's own notation. Cast it where it is used: `${arrayOf(ids)}::uuid[]`. */
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

/** Texts without line breaks, such as JSON, as one parameter: nothing of them needs quoting. Use it as `string_to_array(…, chr(10))`. */
export const linesOf = (texts: readonly string[]): string => texts.join('\n')

/**
 * A time as the server writes it, `2024-01-27 17:13:48.5+00`: the session's time zone is UTC, and no time of ours has more than milliseconds. Not
 * to be left to `Date`, which takes the years 1 to 99 for those of the last century.
 */
export function rfc3339(time: string): string {
  const clock = time.slice(11, -3)
  return `${time.slice(0, 10)}T${clock.length === 8 ? `${clock}.000` : clock.padEnd(12, '0')}Z`
}

/** What the driver threw. drizzle puts it into an error of its own, which tells statement and parameters instead. */
const driverError = (error: unknown): unknown => (error instanceof DrizzleQueryError ? error.cause : error)

/** True for failures that pass by themselves: the server is away, restarting, out of connections, or ended this connection. */
export function isConnectionLost(thrown: unknown): boolean {
  const error = driverError(thrown)
  if (!(error instanceof Error) || !('code' in error)) return false
  const code = String(error.code)
  return driverCodes.has(code) || /^(08|57P0[1-5]|53300|25P03)/.test(code)
}

const driverCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'FailedToOpenSocket',
])

/** SQLSTATE of the server's answer, and the constraint it names. */
export function violation(thrown: unknown): { sqlState: string; constraint: string | undefined } | undefined {
  const error = driverError(thrown)
  if (!(error instanceof postgres.PostgresError)) return undefined
  return { sqlState: error.code, constraint: error.constraint_name }
}

/** Data exceptions, broken constraints, and what is too large for the server: trying again changes nothing. */
export const isDataRefused = (thrown: unknown): boolean => /^(2[23]|54)/.test(violation(thrown)?.sqlState ?? '')

/** Runs a query, and turns a lost connection into a `Fault`. Anything else passes through. */
export async function reaching<T>(query: PromiseLike<T>): Promise<T> {
  try {
    return await query
  } catch (thrown) {
    const error = driverError(thrown)
    if (isConnectionLost(error))
      throw new Fault('database_unavailable', `the database cannot be reached: ${messageOf(error)}`, { cause: error })
    throw thrown
  }
}
