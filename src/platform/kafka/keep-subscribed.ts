/** Keeps a subscription up through failures of broker and client, until its signal is aborted. */
import { messageOf } from '../fault'
import { keepTrying, pause } from '../process/retry'
import type { Log } from '../telemetry/log'
import type { Kafka } from './client'
import type { SubscriptionOptions } from './subscription'

type KeepSubscribedOptions = Omit<SubscriptionOptions, 'onTrouble'> & {
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
  const subscribe = async (onProgress: () => void) => {
    while (!signal.aborted) {
      const ended = Promise.withResolvers<unknown>()
      signal.addEventListener('abort', ended.resolve, { once: true })
      await kafka.ensureTopics(options.topics, partitions)
      const subscription = await kafka.subscribe({
        ...options,
        onTrouble: (error, final) => {
          onTrouble(error)
          log.warn({ final }, `consumer interrupted: ${messageOf(error)}`)
          if (final) ended.resolve(error)
        },
      })
      onProgress()
      await ended.promise
      await subscription.close()
      await pause(backoff.limitMs, signal)
    }
  }
  const onFailure = (error: unknown, failures: number) => {
    onTrouble(error)
    log.warn({ failures }, `waiting for broker: ${messageOf(error)}`)
  }
  // It throws only once it was aborted.
  await keepTrying(subscribe, { backoff, signal, onFailure }).catch(() => {})
}
