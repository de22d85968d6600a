import { messageOf } from '../../platform/fault'
import { keepTrying } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'

const backoff = { firstMs: 50, limitMs: 2000 }

/** Retries what a consumer needs from database and broker, and shows what it is blocked on meanwhile. */
export class Retries {
  readonly #log: Log
  /** The last failure of what is being retried; undefined while nothing is. */
  blockedOn: string | undefined

  constructor(log: Log) {
    this.#log = log
  }

  /** Throws what `isRetryable` does not accept, and anything once the signal is aborted. */
  async run<T>(
    work: () => Promise<T>,
    signal: AbortSignal,
    isRetryable: (error: unknown) => boolean = () => true,
  ): Promise<T> {
    try {
      return await keepTrying(work, {
        backoff,
        signal,
        isRetryable,
        onFailure: (error, failures) => {
          this.blockedOn = messageOf(error)
          this.#log.warn({ failures }, `consumer is blocked, retrying: ${this.blockedOn}`)
        },
      })
    } finally {
      this.blockedOn = undefined
    }
  }
}
