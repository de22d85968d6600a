/** A request and its retries: each of them the same request, under the same key. */
import { problemOf, SaldoError, SaldoProblem, SaldoTimeout, SaldoUnreachable } from './errors.ts'
import type { defaults, Limits } from './limits.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

const deadlineMaxMs = 12 * 3_600_000

export type Outgoing = {
  url: string
  method: string
  headers: Headers
  body?: string
}

/** What `read` makes of the response. Throws a `SaldoError`, or the reason of the signal. */
export async function send<T>(
  { url, ...init }: Outgoing,
  { fetch, read }: { fetch: Fetch; read: (response: Response, text: string) => T },
  { timeoutMs, deadlineMs, retries, signal }: typeof defaults & Pick<Limits, 'signal'>,
): Promise<T> {
  const endsAt = Date.now() + Math.min(deadlineMs, deadlineMaxMs)
  for (let attempt = 0; ; attempt++) {
    let pauseMs = backoffMs(attempt)
    let failure: SaldoError
    try {
      return await withTimeout(Math.min(timeoutMs, endsAt - Date.now()), signal, async (signal) => {
        const response = await fetch(url, { ...init, redirect: 'manual', signal })
        const text = await response.text()
        if (response.ok) return read(response, text)
        pauseMs = Math.max(pauseMs, retryAfterMs(response))
        throw problemOf(response.status, text)
      })
    } catch (error) {
      signal?.throwIfAborted()
      failure = toFailure(error)
    }
    if (!mayPass(failure) || attempt >= retries || Date.now() + pauseMs >= endsAt) throw failure
    await sleep(pauseMs, signal)
  }
}

/** Anything but a `SaldoError` is a failed connection, or an answer that is not Saldo's. */
export function toFailure(error: unknown): SaldoError {
  if (error instanceof SaldoError) return error
  // Node.js says `fetch failed`, and the reason in the cause.
  const { message = String(error), cause } = error as Partial<Error>
  return new SaldoUnreachable(cause instanceof Error ? `${message}: ${cause.message}` : message, {
    cause: error,
  })
}

/** Whether the same request may be answered otherwise after a moment. A refusal is not. */
export const mayPass = (failure: SaldoError): boolean =>
  !(failure instanceof SaldoProblem) ||
  [408, 429, 502, 503, 504].includes(failure.status) ||
  failure.name === 'idempotency-in-progress'

/** Doubles from 50 ms to 5 s, and is cut at random by up to a half, so that clients do not retry in step. */
export const backoffMs = (attempt: number): number =>
  Math.min(5000, 50 * 2 ** attempt) * (1 - Math.random() / 2)

function retryAfterMs({ headers }: Response): number {
  const header = headers.get('retry-after') ?? ''
  return (/^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()) || 0
}

/** Rejects with a `SaldoTimeout`, or the reason of the signal. Leaves no timer and no connection. */
export async function withTimeout<T>(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const ending = new AbortController()
  const timeout = new SaldoTimeout(`no answer within ${timeoutMs} ms`)
  const timer = setTimeout(() => ending.abort(timeout), timeoutMs)
  const abort = () => ending.abort(signal?.reason)
  signal?.addEventListener('abort', abort)
  try {
    return await run(ending.signal)
  } catch (error) {
    throw ending.signal.aborted ? ending.signal.reason : error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
    ending.abort()
  }
}

export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      if (signal?.aborted) reject(signal.reason)
      else resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end()
  })
}
