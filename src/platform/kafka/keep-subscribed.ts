/**
 * Stays subscribed, whatever happens to broker and client: one subscription after the other, for as
 * long as somebody wants it.
 */
import { messageOf } from '../fault'
import { keepTrying, pause } from '../process/retry'
import type { Log } from '../telemetry/log'
import type { Kafka } from './client'
import type { SubscriptionOptions } from './subscription'

export type KeepSubscribedOptions = Omit<SubscriptionOptions, 'onTrouble'> & {
  /** Of a topic that does not exist yet. */
  partitions: number
  /** Nothing is consumed at the moment. It is over with the next `onAssigned`. */
  onTrouble: (error: unknown) => void
  log: Log
  signal: AbortSignal
}

const backoff = { firstMs: 200, limitMs: 5000 }

/**
 * Begins as soon as there is a broker, and goes on until the signal is aborted. A client that the
 * library has given up is replaced.
 */
export async function keepSubscribed(
  kafka: Kafka,
  { partitions, onTrouble, log, signal, ...subscribing }: KeepSubscribedOptions,
): Promise<void> {
  const subscribeOnce = async () => {
    const ended = Promise.withResolvers<unknown>()
    signal.addEventListener('abort', ended.resolve, { once: true })
    const subscription = await keepTrying(
      async () => {
        await kafka.ensureTopics(subscribing.topics, partitions)
        return kafka.subscribe({
          ...subscribing,
          onTrouble: (error, final) => {
            onTrouble(error)
            log.warn({ final }, `consuming was interrupted: ${messageOf(error)}`)
            if (final) ended.resolve(error)
          },
        })
      },
      {
        backoff,
        signal,
        isRetryable: () => true,
        onFailure: (error, failures) => {
          onTrouble(error)
          log.warn({ failures }, `waiting for the broker: ${messageOf(error)}`)
        },
      },
    )
    await ended.promise
    await subscription.close()
  }

  while (!signal.aborted) {
    await subscribeOnce().catch((error) => {
      if (!signal.aborted) throw error
    })
    await pause(backoff.limitMs, signal)
  }
}
