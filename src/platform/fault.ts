/** A dependency failed. Thrown, and retried in one place; never used for a refusal, which is a value, nor for a bug, which is asserted. */
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
  if (error instanceof AggregateError && !error.message) return error.errors.map(messageOf).join('; ')
  if (error instanceof Error) return error.message || ('code' in error ? String(error.code) : error.name)
  return String(error)
}
