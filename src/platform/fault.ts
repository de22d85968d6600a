import { DrizzleQueryError } from 'drizzle-orm'

/**
 * A dependency failed. Thrown, and retried in one place; never used for a refusal, which is a
 * value, nor for a bug, which is asserted.
 */
export type FaultCode =
  | 'database_unavailable'
  | 'broker_unavailable'
  | 'overloaded'
  | 'deadline_exceeded'
  /** A write was sent, and the database went away before it said what came of it. */
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

/** The service cannot run as it is set up, and waiting will not help. The message says what to change. */
export class SetupError extends Error {
  override name = 'SetupError'
}

/** A command was asked for in words that it does not understand. The message says which. */
export class UsageError extends Error {
  override name = 'UsageError'
}

export const messageOf = (error: unknown): string => {
  if (error instanceof DrizzleQueryError) return error.cause ? messageOf(error.cause) : 'the query failed'
  if (error instanceof AggregateError && !error.message) return error.errors.map(messageOf).join('; ')
  if (error instanceof Error) return error.message || ('code' in error ? String(error.code) : error.name)
  return String(error)
}

/** Fields in which the driver and the database repeat what a statement was about. */
const repeats = ['query', 'params', 'parameters', 'args', 'detail', 'where']

/**
 * For logs and terminals: the error without its SQL and without values, which are amounts, names
 * and e-mail addresses. Of a query that failed it is what the database said.
 */
export function withoutQuery(error: unknown): unknown {
  if (error instanceof DrizzleQueryError) return withoutQuery(error.cause ?? new Error('the query failed'))
  if (!(error instanceof Error)) return error
  const several = error instanceof AggregateError ? error.errors : []
  const isClean = repeats.every((field) => !(field in error)) && !error.cause && several.length === 0
  if (isClean) return error
  const { name, message, stack } = error
  const fields = Object.entries(error).filter(([field]) => !repeats.includes(field))
  const copy = Object.assign(new Error(message), Object.fromEntries(fields), { name, stack })
  if (error.cause) copy.cause = withoutQuery(error.cause)
  return several.length > 0 ? Object.assign(copy, { errors: several.map(withoutQuery) }) : copy
}
