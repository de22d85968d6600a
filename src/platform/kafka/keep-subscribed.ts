/** Keeps a subscription up through failures of broker and client, until its signal is aborted. */
import { messageOf } from '../fault'
import { keepTrying, pause } from '../process/retry'
import type { Log } from '../telemetry/log'
import type { Kafka } from './client'
import type { SubscriptionOptions } from './subscription'

export type KeepSubscribedOptions = Omit<SubscriptionOptions, 'onTrouble'> & {
  /** For topics that have to be created. */
  partitions: number
  /** Consuming is interrupted, until the next `onAssigned`. */
  onTrouble: (error: unknown) => void
  log: Log
  signal: AbortSignal
}

const backoff = { firstMs: 200, limitMs: 5000 }

/** Waits for the broker, and subscribes again when kafkajs gives up on a consumer. */
export async function keepSubscribed(
  kafka: Kafka,
  { partitions, onTrouble, log, signal, ...options }: KeepSubscribedOptions,
): Promise<void> {
  const subscribeOnce = async () => {
    const ended = Promise.withResolvers<unknown>()
    signal.addEventListener('abort', ended.resolve, { once: true })
    const subscription = await keepTrying(
      async () => {
        await kafka.ensureTopics(options.topics, partitions)
        return kafka.subscribe({
          ...options,
          onTrouble: (error, final) => {
            onTrouble(error)
            log.warn({ final }, `consumer interrupted: ${messageOf(error)}`)
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
          log.warn({ failures }, `waiting for broker: ${messageOf(error)}`)
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
