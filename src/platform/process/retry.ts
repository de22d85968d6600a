/** How long to wait before a failed operation is tried again. A tool that knows no word of the trade. */
export type Backoff = {
  /** Wait before the second try, in milliseconds. Doubles with every further one. */
  firstMs: number
  /** The wait never grows beyond this, in milliseconds. */
  limitMs: number
}

/**
 * The wait before try number `attempt + 1` (attempt counts from 1): exponential, half of it random,
 * so that replicas spread.
 */
export function backoffMs(
  { firstMs, limitMs }: Backoff,
  attempt: number,
  random: () => number = Math.random,
): number {
  const full = Math.min(limitMs, firstMs * 2 ** (attempt - 1))
  return full / 2 + random() * (full / 2)
}

/** Waits, or returns at once when the signal is aborted: a stopping service never sits out a backoff. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/**
 * Tries until it succeeds. A failure that `isRetryable` does not know is thrown at once, and so is
 * the last one when the signal is aborted. `onFailure` hears of every failed try, with how many
 * there were.
 */
export async function keepTrying<T>(
  work: () => Promise<T>,
  options: {
    backoff: Backoff
    signal: AbortSignal
    isRetryable: (error: unknown) => boolean
    onFailure: (error: unknown, failures: number) => void
  },
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (options.signal.aborted || !options.isRetryable(error)) throw error
      options.onFailure(error, failures)
      await pause(backoffMs(options.backoff, failures), options.signal)
    }
  }
}
