import { DrizzleQueryError } from 'drizzle-orm'

/**
 * A dependency failed. Thrown, and retried in one place. Refusals are values instead; bugs are other
 * errors.
 */
type FaultCode =
  | 'database_unavailable'
  | 'broker_unavailable'
  | 'overloaded'
  | 'deadline_exceeded'
  | 'too_many_streams'
  /** A write was sent, and the connection was lost before the response. */
  | 'outcome_unknown'

export class Fault extends Error {
  override name = 'Fault'
  constructor(
    readonly code: FaultCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The configuration is wrong, and waiting will not help. The message says what to change. */
export class SetupError extends Error {
  override name = 'SetupError'
}

/** The arguments of a command are wrong. The message says which. */
export class UsageError extends Error {
  override name = 'UsageError'
}

export const messageOf = (error: unknown): string => {
  if (error instanceof DrizzleQueryError) return error.cause ? messageOf(error.cause) : 'query failed'
  const errors = errorsIn(error)
  if (error instanceof Error && errors.length > 0) {
    const each = [...new Set(errors.map(messageOf))].join('; ')
    return error.message ? `${error.message}: ${each}` : each
  }
  if (error instanceof Error) return error.message || ('code' in error ? String(error.code) : error.name)
  return String(error)
}

/** Of an aggregate, which may be of a library's own class. */
const errorsIn = (error: unknown): unknown[] =>
  error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : []

/** Fields in which the driver and the database repeat statements and values. */
const sensitiveFields = ['query', 'params', 'parameters', 'args', 'detail', 'where']

/**
 * The error for logs and terminals, without SQL and values such as amounts, names and e-mail addresses.
 * Of a failed query, the database's own error.
 */
export function withoutQuery(error: unknown): unknown {
  if (error instanceof DrizzleQueryError) return withoutQuery(error.cause ?? new Error('query failed'))
  if (!(error instanceof Error)) return error
  const nested = errorsIn(error)
  const isClean = sensitiveFields.every((field) => !(field in error)) && !error.cause && nested.length === 0
  if (isClean) return error
  const { name, message, stack } = error
  const fields = Object.entries(error).filter(([field]) => !sensitiveFields.includes(field))
  const copy = Object.assign(new Error(message), Object.fromEntries(fields), { name, stack })
  if (error.cause) copy.cause = withoutQuery(error.cause)
  return nested.length > 0 ? Object.assign(copy, { errors: nested.map(withoutQuery) }) : copy
}
