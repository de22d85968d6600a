/** What a running service is to whoever started it. */

export type RunningService = {
  port: number
  /** Stops in the order that loses nothing. Whoever calls it again waits for the same end. */
  stop(): Promise<void>
}

/** Work that is done once, however often it is asked for. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined
  return () => {
    done ??= work()
    return done
  }
}
