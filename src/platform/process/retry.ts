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

/** Stands for the result of work that took too long. */
export const late = Symbol('late')

/** The result of `work`, or `late` after `ms`. It goes on then, and a failure of it is ignored. */
export async function within<T>(work: PromiseLike<T>, ms: number): Promise<T | typeof late> {
  const { promise, resolve } = Promise.withResolvers<typeof late>()
  const timer = setTimeout(() => resolve(late), ms)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Retries until it succeeds. Throws a failure that is not retryable, and the last one when the signal
 * is aborted. `onFailure` is called with every failure before a retry, and the number of failures in a
 * row, which `onProgress` ends.
 */
export async function keepTrying<T>(
  work: (onProgress: () => void) => Promise<T>,
  options: {
    backoff: Backoff
    signal: AbortSignal
    isRetryable?: (error: unknown) => boolean
    onFailure: (error: unknown, failures: number) => void
  },
): Promise<T> {
  let failures = 0
  const onProgress = () => {
    failures = 0
  }
  for (;;) {
    try {
      return await work(onProgress)
    } catch (error) {
      if (options.signal.aborted || options.isRetryable?.(error) === false) throw error
      options.onFailure(error, ++failures)
      await pause(backoffMs(options.backoff, failures), options.signal)
    }
  }
}
