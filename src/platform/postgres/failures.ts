/** What a failure of the database means: the one place that reads SQLSTATEs and driver codes. */
import { DrizzleQueryError } from 'drizzle-orm'
import postgres from 'postgres'
import { Fault, messageOf } from '../fault'
import { late, within } from '../process/retry'
import type { Check } from '../process/service'
import type { Statements } from './statements'

/** The driver's error: drizzle wraps it in one of its own, with statement and parameters as its message. */
const driverError = (error: unknown): unknown => (error instanceof DrizzleQueryError ? error.cause : error)

type DatabaseFailure =
  /** The connection was lost or refused. Whether a statement that was sent took effect is unknown. */
  | 'connection_lost'
  /** The server cannot work. The statement had no effect; retry once the server has recovered. */
  | 'unavailable'
  /** A conflict with others. The statement had no effect; retry at once. */
  | 'contention'
  /** The data is refused: retrying is useless. */
  | 'data_refused'

/** By SQLSTATE. Any other one is a bug, or a schema that is not ours. */
const failures: readonly [RegExp, DatabaseFailure][] = [
  // Connection exceptions; terminated by an operator, a crash or a timeout; too many connections.
  [/^(08|40003|57P0[1235]|25P0[34]|53300)/, 'connection_lost'],
  // Serialization failures, deadlocks, lock timeouts.
  [/^(40|55P03)/, 'contention'],
  // Data exceptions, constraints, limits such as the size of an index row.
  [/^(2[23]|54)/, 'data_refused'],
  // Disk full, out of memory; I/O errors; corrupt data; statement timeouts and cancellations; a
  // dropped database.
  [/^(53|58|XX|57)/, 'unavailable'],
  // A read-only standby; a changed password; a missing database or privilege; objects in use.
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

const driverCodes = new RegExp(
  `^(${[
    'CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ANSWER_TIMEOUT|FailedToOpenSocket',
    'E(CONN(REFUSED|RESET|ABORTED)|PIPE|NOTFOUND|AI_AGAIN|TIMEDOUT|(HOST|NET)UNREACH|MFILE)',
    '(ERR_TLS|ERR_SSL|SSL|CERT|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)_\\w+',
  ].join('|')})$`,
)

/** The server is down, restarting or out of connections, or closed this connection: passes by itself. */
export const isConnectionLost = (thrown: unknown): boolean => databaseFailure(thrown) === 'connection_lost'

/** True for failures that may pass, by themselves or once the server was repaired. */
export function isRetryable(thrown: unknown): boolean {
  const failure = databaseFailure(thrown)
  return failure !== undefined && failure !== 'data_refused'
}

/** SQLSTATE and constraint of the server's error. */
export function violation(thrown: unknown): { sqlState: string; constraint: string | undefined } | undefined {
  const error = driverError(thrown)
  if (!(error instanceof postgres.PostgresError)) return undefined
  return { sqlState: error.code, constraint: error.constraint_name }
}

export const isDataRefused = (thrown: unknown): boolean => databaseFailure(thrown) === 'data_refused'

/** The `Fault` of a retryable failure; undefined for bugs and refused data. */
export function databaseFault(thrown: unknown): Fault | undefined {
  if (!isRetryable(thrown)) return undefined
  const cause = driverError(thrown)
  return new Fault('database_unavailable', `database unavailable: ${messageOf(cause)}`, { cause })
}

/** Throws a `Fault` for a retryable failure; any other error passes through. */
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

/** Throws a `Fault` after two seconds, since the callers of readiness checks have deadlines of their own. */
export async function withTimeout<T>(query: PromiseLike<T>): Promise<T> {
  const result = await within(query, 2000)
  if (result === late) throw new Fault('database_unavailable', 'no response from the database for 2 s')
  return result
}
