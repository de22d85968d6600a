/**
 * The broker behind small ports: publisher, subscription, reader and topics. kafkajs gets few
 * retries of its own, so that waiting for an absent broker happens in one place, where it can be
 * seen and stopped.
 */
import { Kafka as KafkaClient, logLevel } from 'kafkajs'
import type { Log } from '../telemetry/log'
import { instrument } from './kafkajs-internals'
import type { OffsetRange, PartitionOffset } from './offsets'
import { createPublisher, type Publisher } from './publisher'
import { readRanges, readRecordsAt } from './reader'
import type { IncomingBatch, IncomingRecord } from './records'
import { type Subscription, type SubscriptionOptions, subscribe } from './subscription'
import { TopicAdmin } from './topics'

export type KafkaOptions = {
  brokers: string[]
  clientId: string
  ssl: boolean
  sasl:
    | { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
    | undefined
  /**
   * How long a member that was killed keeps its partitions. 6 s when absent, the least that brokers
   * accept.
   */
  sessionTimeoutMs?: number | undefined
}

export type Kafka = {
  /** Creates missing topics, and waits until each has leaders. Existing ones stay as they are. */
  ensureTopics(topics: string[], partitions: number): Promise<void>
  /** Identity of the broker's data: offsets are meaningful only together with it. */
  clusterId(): Promise<string>
  /** Of each partition the end of its log now, and its oldest offset. */
  endOffsets(topics: string[]): Promise<OffsetRange[]>
  /** All records of these ranges, one partition after the other. Uses no consumer group; commits nothing. */
  read(ranges: OffsetRange[]): AsyncGenerator<IncomingBatch>
  /** The records at these offsets; undefined where the log has none, or none that can be read. */
  recordsAt(offsets: PartitionOffset[]): Promise<(IncomingRecord | undefined)[]>
  /** Whether the broker answers now, within two seconds or so. */
  isReachable(): Promise<boolean>
  publisher(): Publisher
  /** Throws a `Fault` when there is no broker to begin with. */
  subscribe(options: SubscriptionOptions): Promise<Subscription>
  close(): Promise<void>
}

export function connectKafka(options: KafkaOptions, log: Log): Kafka {
  const client = new KafkaClient({
    clientId: options.clientId,
    brokers: options.brokers,
    ssl: options.ssl,
    // The library's type has a variant for each mechanism; the configuration checks the values.
    sasl: options.sasl as never,
    connectionTimeout: 2000,
    requestTimeout: 5000,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 3 },
    logLevel: logLevel.WARN,
    logCreator: () => quietLog(log),
  })
  instrument(client)
  const topics = new TopicAdmin(client, log)
  return {
    ensureTopics: (names, partitions) => topics.ensureTopics(names, partitions),
    clusterId: () => topics.clusterId(),
    endOffsets: (names) => topics.endOffsets(names),
    isReachable: () => topics.isReachable(),
    read: (ranges) => readRanges(client, ranges),
    recordsAt: (offsets) => readRecordsAt(client, offsets),
    publisher: () => createPublisher(client),
    subscribe: (subscription) => subscribe(client, subscription, options.sessionTimeoutMs ?? 6000),
    close: () => topics.close(),
  }
}

type LibraryEntry = { label: string; log: Record<string, unknown> }

/** What kafkajs logs as errors are mostly retries of its own. */
const quietLog =
  (log: Log) =>
  ({ label, log: { message, timestamp: _, logger: __, ...fields } }: LibraryEntry) =>
    log.debug({ ...fields, kafkajs: label }, String(message))
