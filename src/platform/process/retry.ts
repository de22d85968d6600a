/** How long to wait before a failed operation is retried. */
export type Backoff = {
  /** The first wait, which doubles with every further one. */
  firstMs: number
  /** The longest wait. */
  limitMs: number
}

/** The wait after this many failures: exponential, half of it random, so that replicas spread out. */
export function backoffMs(
  { firstMs, limitMs }: Backoff,
  failures: number,
  random: () => number = Math.random,
): number {
  const full = Math.min(limitMs, firstMs * 2 ** (failures - 1))
  return full / 2 + random() * (full / 2)
}

/** Resolves after `ms`, or at once when the signal is aborted: stopping does not wait for a backoff. */
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
 * Retries until it succeeds. Throws a failure that is not retryable, and the last one when the signal
 * is aborted. `onFailure` is called with every failure before a retry, and their number.
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
