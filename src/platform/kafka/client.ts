/**
 * The broker behind small ports: publisher, subscription, reader and topics. kafkajs gets few
 * retries of its own, so that waiting for an absent broker happens in one place, where it can be
 * seen and stopped.
 */
import { Kafka as KafkaClient, type LogEntry, logLevel } from 'kafkajs'
import type { Log } from '../telemetry/log'
import { instrument } from './kafkajs-internals'
import type { OffsetRange } from './offsets'
import { createPublisher } from './publisher'
import { createRecordFinder, readRanges } from './reader'
import { type SubscriptionOptions, subscribe } from './subscription'
import { createTopicAdmin, type TopicSettings } from './topics'

type KafkaOptions = {
  brokers: string[]
  clientId: string
  ssl: boolean
  /** Instead of the public CAs, and what the broker may ask for. In PEM. */
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
  sasl:
    | { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
    | undefined
  /**
   * How long a member that was killed keeps its partitions. 6 s when absent, the least that brokers
   * accept.
   */
  sessionTimeoutMs?: number | undefined
  topicSettings?: TopicSettings
}

export type Kafka = ReturnType<typeof connectKafka>

export function connectKafka(options: KafkaOptions, log: Log) {
  const client = new KafkaClient({
    clientId: options.clientId,
    brokers: options.brokers,
    ssl: options.ssl && tlsOf(options),
    // A copy, because the library adds a function, which a configuration for another thread cannot have. Its
    // type has a variant for each mechanism; the configuration checks the values.
    sasl: (options.sasl && { ...options.sasl }) as never,
    connectionTimeout: 2000,
    requestTimeout: 5000,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 3 },
    logLevel: logLevel.WARN,
    logCreator: () => quietLog(log),
  })
  instrument(client)
  const admin = createTopicAdmin(client, log, options.topicSettings)
  const finder = createRecordFinder(client)
  return {
    ...admin,
    /** All records of these ranges, one partition after the other. Without a group; commits nothing. */
    read: (ranges: OffsetRange[]) => readRanges(client, ranges),
    /** The records at these offsets; undefined where the log has none, or none that can be read. */
    recordsAt: finder.recordsAt,
    publisher: () => createPublisher(client),
    /** Throws a `Fault` when there is no broker to begin with. */
    subscribe: (subscription: SubscriptionOptions) =>
      subscribe(client, subscription, options.sessionTimeoutMs ?? 6000),
    async close(): Promise<void> {
      await Promise.all([admin.close(), finder.close()])
    },
  }
}

const tlsOf = ({ ca, cert, key }: KafkaOptions) => ({
  ...(ca === undefined ? {} : { ca }),
  ...(cert === undefined || key === undefined ? {} : { cert, key }),
})

/** What kafkajs logs as errors are mostly retries of its own. */
const quietLog =
  (log: Log) =>
  ({ label, log: { message, timestamp: _, logger: __, ...fields } }: LogEntry) =>
    log.debug({ ...fields, kafkajs: label }, message)
