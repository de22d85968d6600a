/** What a failure of the database means: the one place that reads SQLSTATEs and driver codes. */
import { DrizzleQueryError } from 'drizzle-orm'
import postgres from 'postgres'
import { Fault, messageOf } from '../fault'
import type { Check } from '../process/service'
import type { Statements } from './statements'

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
export function isRetryable(thrown: unknown): boolean {
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
  if (!isRetryable(thrown)) return undefined
  const cause = driverError(thrown)
  return new Fault('database_unavailable', `the database cannot be used: ${messageOf(cause)}`, { cause })
}

/** Runs a query, and turns a database that cannot be used into a `Fault`. Anything else passes through. */
export async function withUnavailableFault<T>(query: PromiseLike<T>): Promise<T> {
  try {
    return await query
  } catch (thrown) {
    throw databaseFault(thrown) ?? thrown
  }
}

/** The check of a pool: whether it answers. */
export async function pingDatabase({ sql }: { sql: Statements }): Promise<Check> {
  await withTimeout(sql`select 1`)
  return { status: 'pass' }
}

/** How long readiness waits for the database, in milliseconds: whoever asks has a deadline of his own. */
const readinessMs = 2000

/** Runs a query that readiness depends on, in time whatever becomes of it. */
export async function withTimeout<T>(query: PromiseLike<T>, ms = readinessMs): Promise<T> {
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
