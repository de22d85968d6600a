/** What a call throws: a refusal that the service explains, or no answer at all. */
import { problemNames } from './operations.ts'
import type { CommonProblem, Problem, ProblemDetails, ProblemsOf } from './types.ts'

/** Common to everything that a call throws, apart from the reason of an aborted signal. */
export class SaldoError extends Error {
  /**
   * The key under which the request was sent. To learn what became of it, repeat the call under this key: it
   * takes effect once. Undefined for reads.
   */
  idempotencyKey: string | undefined = undefined
}

/** No connection, or one that broke, until retries or the deadline were exhausted. `cause` has the last. */
export class SaldoUnreachable extends SaldoError {
  override name = 'SaldoUnreachable'
}

/** No answer in time. */
export class SaldoTimeout extends SaldoError {
  override name = 'SaldoTimeout'
}

class ProblemError extends SaldoError {
  readonly type: string
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail: string
  /** The values at fault, if it is about values. */
  readonly errors: NonNullable<ProblemDetails['errors']>
  /** The trace under which the logs of the service have the cause. */
  readonly traceId: string | undefined
  /** The body of the response, with members that only some problems have. */
  readonly details: ProblemDetails

  constructor(details: ProblemDetails) {
    const { type, status, code, title, detail, errors = [], trace_id } = details
    super(detail)
    this.details = details
    const name = type.replace(/^\/problems\//, '')
    this.name = problemNames.includes(name) ? name : 'unknown'
    this.type = type
    this.status = status
    this.code = code
    this.title = title
    this.detail = detail
    this.errors = errors
    this.traceId = trace_id
  }
}

/**
 * The service refused. A union of all problems by `name` and `type`, so that a switch over `name` can be
 * exhaustive. A problem of a later version of the service, or an answer that is not Saldo's, is `unknown`.
 */
export type SaldoProblem = ProblemError & Problem
export const SaldoProblem = ProblemError as unknown as new (details: ProblemDetails) => SaldoProblem

/** What a method may be refused with: ``(error as ProblemOf<'transfer'>).name``. */
export type ProblemOf<Method extends keyof ProblemsOf> = Extract<
  SaldoProblem,
  { name: CommonProblem | ProblemsOf[Method] }
>

/** The problem of a refusal; one of our own where the body has none. */
export function problemOf(status: number, text: string): SaldoProblem {
  try {
    const details = JSON.parse(text) as ProblemDetails
    if (typeof details.type === 'string') return new SaldoProblem({ ...details, status })
  } catch {}
  return new SaldoProblem({
    type: 'about:blank',
    status,
    code: 'UNKNOWN',
    title: 'Unknown',
    detail: `HTTP ${status} without a problem: ${text.slice(0, 100)}`,
  } as ProblemDetails)
}
