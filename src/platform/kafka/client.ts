/**
 * The broker behind two small ports, a publisher and a subscription: the only file that knows which
 * client library is used. The library gets few retries of its own, so that waiting for an absent
 * broker happens in one place, where it can be seen and stopped.
 */
import { createHash } from 'node:crypto'
import { type Admin, type ICustomPartitioner, Kafka as KafkaClient, logLevel, type Message } from 'kafkajs'
import { Fault, messageOf } from '../fault'
import { murmur2 } from '../murmur2'
import type { Log } from '../telemetry/log'
import {
  type Fetched,
  type FetchedMessage,
  instrument,
  openReader,
  type PartitionReader,
  RawHeaders,
} from './kafkajs-internals'
import type { BatchFault, RecordHeader } from './record-set'
import { createParts, type SendResult } from './send-in-parts'

export type { RecordHeader } from './record-set'

export type KafkaOptions = {
  brokers: string[]
  clientId: string
  ssl: boolean
  sasl:
    | { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
    | undefined
  /**
   * For so long a member that was killed keeps its partitions. The default is the least that
   * brokers allow by default.
   */
  sessionTimeoutMs?: number | undefined
}

export type OutgoingRecord = {
  topic: string
  key: string | Buffer | null
  value: string | Buffer | null
  /** As bytes where they are to be sent on as they came. */
  headers: Record<string, string> | RecordHeader[]
}

export type IncomingRecord = {
  offset: bigint
  key: Buffer | null
  value: Buffer | null
  headers: RecordHeader[]
  timestampMs: number
  /**
   * It stands for a batch that cannot be read, from its offset to `lastOffset`; `value` is the
   * batch as it came.
   */
  unreadable?: BatchFault & { lastOffset: bigint }
}

/** The same for the same record, and for no other: over its time, key, value and headers. */
export function checksumOf({ timestampMs, key, value, headers }: IncomingRecord): string {
  const hash = createHash('sha256').update(`${timestampMs}`)
  for (const part of [key, value, ...headers.flat()])
    hash.update(`,${part?.length ?? 'null'}:`).update(part ?? '')
  return hash.digest('hex')
}

export type PartitionOffset = { topic: string; partition: number; offset: bigint }

/**
 * What the broker has of a partition: from `first`, which is above 0 once it has deleted what was
 * old, to below `offset`.
 */
export type OffsetRange = PartitionOffset & { first: bigint }

/**
 * Records of one partition in offset order; none where the log has only what no reader is shown, as
 * of a transaction that was aborted.
 */
export type IncomingBatch = {
  topic: string
  partition: number
  /**
   * The offset that was asked for. The first record may lie beyond it, where the log has records
   * that nobody is shown.
   */
  fetchedFrom: bigint
  /** Where the log goes on after this batch: beyond its last record. */
  next: bigint
  /** One past the newest record of the partition when the batch was fetched. */
  highWatermark: bigint
  records: IncomingRecord[]
}

/** Where a record is, within its topic. */
export type RecordCoordinates = { partition: number; offset: bigint }

export type Publisher = {
  /**
   * Answers for each record, in their order: its place, once all in-sync replicas have it; that the
   * broker does not take one of its size; or that it was not sent, and is to be sent again. On a
   * `Fault` some, all or none may have been written: send again. A record that was written twice is
   * at two places, and the one that is answered is as good as the other.
   */
  send(records: OutgoingRecord[]): Promise<SendResult<RecordCoordinates>[]>
  close(): Promise<void>
}

export type SubscriptionOptions = {
  groupId: string
  topics: string[]
  /**
   * Handles a batch and answers the offset to go on from: `next` of the batch when all of it is
   * done. Any other answer seeks there. Called for one batch at a time, unless `ahead` says
   * otherwise, and then for one batch of a partition. It may take long: the group is kept informed
   * meanwhile. `signal` is aborted when the batch is no longer ours to handle; a new assignment may
   * then begin before this call has returned.
   */
  onBatch: (batch: IncomingBatch, signal: AbortSignal) => Promise<bigint>
  /**
   * The partitions were dealt anew: what is known about positions no longer holds. Answers where to
   * go on; a partition it does not name goes on from the group's offset. No batch is handled before
   * it has answered; when it throws, consuming ends. `signal` as above.
   */
  onAssigned: (assignment: Record<string, number[]>, signal: AbortSignal) => Promise<PartitionOffset[]>
  /** Partitions whose batches are handled at the same time, and bytes of one: 1, and 1 MB. */
  ahead?: { concurrency: number; batchBytesMax: number }
  /**
   * Consuming was interrupted. It begins again by itself, unless `final`: then close the
   * subscription and subscribe anew.
   */
  onTrouble: (error: unknown, final: boolean) => void
}

export type Subscription = {
  /** Partitions assigned at the moment; undefined while the group is being joined. */
  assignment(): Record<string, number[]> | undefined
  /** Stops fetching, lets the batch in hand finish, leaves the group. */
  close(): Promise<void>
}

export type Kafka = {
  /**
   * Creates the topics that do not exist, and waits until each has leaders. Existing ones stay as
   * they are.
   */
  ensureTopics(topics: string[], partitions: number): Promise<void>
  /** Identity of the broker's data: offsets mean something only together with it. */
  clusterId(): Promise<string>
  /** Of each partition one past the newest record, now, and the oldest that is still there. */
  endOffsets(topics: string[]): Promise<OffsetRange[]>
  /**
   * All records of these extents, one partition after the other. Nobody is told of the reader: it
   * joins no group, and leaves nothing behind.
   */
  read(extents: OffsetRange[]): AsyncGenerator<IncomingBatch>
  /** The records at these offsets; undefined where the log has none, or none that can be read. */
  recordsAt(places: PartitionOffset[]): Promise<(IncomingRecord | undefined)[]>
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
    // The type of the library lists each mechanism with its own literal; the values are checked by
    // the configuration.
    sasl: options.sasl as never,
    connectionTimeout: 2000,
    requestTimeout: 5000,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 3 },
    logLevel: logLevel.WARN,
    logCreator: () => quietLog(log),
  })
  instrument(client)

  // One connection for all questions about topics, opened at the first and given up after a failure.
  let connected: Promise<Admin> | undefined
  const asking = async <T>(question: (admin: Admin) => Promise<T>): Promise<T> => {
    connected ??= (async () => {
      const admin = client.admin()
      await admin.connect()
      return admin
    })()
    const current = connected
    try {
      return await question(await current)
    } catch (error) {
      if (connected === current) connected = undefined
      current.then((admin) => admin.disconnect()).catch(() => {})
      throw unreachable(error)
    }
  }

  // A connection of its own for each, since whatever was asked about stays on the library's mind: a
  // topic that is being made fails all questions of its connection, also those about others.
  const askingAlone = async <T>(question: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = client.admin()
    try {
      await admin.connect()
      return await question(admin)
    } catch (error) {
      throw unreachable(error)
    } finally {
      admin.disconnect().catch(() => {})
    }
  }

  return {
    ensureTopics: (topics, partitions) =>
      askingAlone(async (admin) => {
        const existing = new Set(await admin.listTopics())
        const missing = topics.filter((topic) => !existing.has(topic))
        if (missing.length > 0) {
          const { brokers } = await admin.describeCluster()
          const replicationFactor = Math.min(3, brokers.length)
          const created = missing.map((topic) => ({ topic, numPartitions: partitions, replicationFactor }))
          await admin.createTopics({ topics: created, waitForLeaders: true }).catch((error) => {
            // Another replica was faster.
            if (!/already exists/i.test(messageOf(error))) throw error
          })
          log.info({ topics: missing, partitions, replicationFactor }, 'topics created')
        }
        await admin.fetchTopicMetadata({ topics })
      }),

    clusterId: () =>
      asking(async (admin) => {
        const { clusterId } = await admin.describeCluster()
        // A new Redpanda gives this name until it has made one up.
        if (!clusterId || clusterId === 'redpanda.initializing')
          throw new Fault('broker_unavailable', 'the broker does not know its cluster id yet')
        return clusterId
      }),

    endOffsets: (topics) =>
      asking(async (admin) => {
        const ofTopics = topics.map(async (topic) => {
          const partitions = await admin.fetchTopicOffsets(topic)
          return partitions.map(({ partition, low, high }) => ({
            topic,
            partition,
            first: BigInt(low),
            offset: BigInt(high),
          }))
        })
        return (await Promise.all(ofTopics)).flat()
      }),

    read: (extents) => read(client, extents),

    recordsAt: (places) => recordsAt(client, places),

    isReachable: () =>
      asking((admin) => admin.describeCluster()).then(
        () => true,
        () => false,
      ),

    publisher() {
      const producer = client.producer({
        createPartitioner: choosesPartition,
        allowAutoTopicCreation: false,
        // The caller sends again, as a whole. The library would keep the answers of the brokers
        // that did well for its next try, and leave out the partitions of others that have moved to
        // one of these in between: records would be lost, and nobody told.
        retry: { retries: 0 },
      })
      let ready: Promise<void> | undefined
      return {
        send: createParts<OutgoingRecord, RecordCoordinates>({
          bytesOf: bytesOnWire,
          isTooLarge: isTooLargeForBroker,
          bytesMax: requestBytesMax,
          bytesMin: 16_384,
          send: sendTogether,
        }),
        close: () => producer.disconnect(),
      }

      async function sendTogether(records: OutgoingRecord[]): Promise<RecordCoordinates[]> {
        const messages = records.map(({ key, value, headers }): PlacedMessage => {
          const written = Array.isArray(headers) ? new RawHeaders(headers) : headers
          return { key, value, headers: written as Message['headers'], partition: -1 } as PlacedMessage
        })
        const topicMessages = [...Map.groupBy(messages.keys(), (index) => records[index]?.topic ?? '')].map(
          ([topic, indexes]) => ({
            topic,
            messages: indexes.map((index) => messages[index] as PlacedMessage),
          }),
        )
        try {
          ready ??= producer.connect()
          await ready
          const answers = await producer.sendBatch({ acks: -1, topicMessages })
          return coordinatesOf(records, messages, answers)
        } catch (error) {
          ready = undefined
          throw unreachable(error)
        }
      }
    },

    subscribe: (subscription) => subscribe(client, subscription, options.sessionTimeoutMs ?? 6000),

    async close() {
      await connected?.then((admin) => admin.disconnect()).catch(() => {})
    },
  }
}

/** Brokers take batches of 1,048,588 bytes unless they are told otherwise, and a request may be one batch. */
export const requestBytesMax = 1_000_000

/** About, and rather too much: lengths, and what a batch has around its records. */
export function bytesOnWire({ key, value, headers }: OutgoingRecord): number {
  const named = Array.isArray(headers) ? headers : Object.entries(headers)
  const parts = [key, value, ...named.flat()]
  return parts.reduce((sum: number, part) => sum + Buffer.byteLength(part ?? '') + 8, 64)
}

/** The library puts the broker's error into one of its own, and we that into a `Fault`. */
function isTooLargeForBroker(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause)
    if ('type' in one && /^(MESSAGE|RECORD_LIST)_TOO_LARGE$/.test(String(one.type))) return true
  return false
}

type PlacedMessage = Message & { partition: number }

/**
 * By the hash of its key, as Java's clients do; none counts as an empty one. Noted on the message,
 * so that it can be told where it went.
 */
const choosesPartition: ICustomPartitioner =
  () =>
  ({ partitionMetadata, message }) => {
    const placed = message as PlacedMessage
    placed.partition = (murmur2(Buffer.from(placed.key ?? '')) & 0x7fffffff) % partitionMetadata.length
    return placed.partition
  }

/**
 * The broker answers with the first offset of each partition; the records of one follow on from
 * there, in the order in which they were given.
 */
export function coordinatesOf(
  records: Pick<OutgoingRecord, 'topic'>[],
  partitions: { partition: number }[],
  answers: { topicName: string; partition: number; baseOffset?: string }[],
): RecordCoordinates[] {
  const nameOf = (topic: string, partition: number) => `${topic}/${partition}`
  const next = new Map(
    answers.map((one) => [nameOf(one.topicName, one.partition), BigInt(one.baseOffset ?? -1)]),
  )
  return records.map(({ topic }, index) => {
    const partition = partitions[index]?.partition ?? -1
    const name = nameOf(topic, partition)
    const offset = next.get(name) ?? -1n
    if (offset < 0n)
      throw new Fault('broker_unavailable', `the broker did not say where in ${name} the records are`)
    next.set(name, offset + 1n)
    return { partition, offset }
  })
}

async function subscribe(
  client: KafkaClient,
  options: SubscriptionOptions,
  sessionTimeout: number,
): Promise<Subscription> {
  const heartbeatInterval = sessionTimeout / 6
  const consumer = client.consumer({
    groupId: options.groupId,
    sessionTimeout,
    heartbeatInterval,
    // Also how long it takes at most to stop.
    maxWaitTimeInMs: options.ahead ? 100 : 500,
    ...(options.ahead ? { maxBytesPerPartition: options.ahead.batchBytesMax } : {}),
    allowAutoTopicCreation: false,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 8, restartOnFailure: async () => true },
  })
  let assignment: Record<string, number[]> | undefined
  let lost = new AbortController()
  let placed: Promise<void> = Promise.resolve()

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    lost.abort()
    lost = new AbortController()
    assignment = payload.memberAssignment
    const { signal } = lost
    placed = options.onAssigned(payload.memberAssignment, signal).then((positions) => {
      if (signal.aborted) return
      for (const { topic, partition, offset } of positions)
        consumer.seek({ topic, partition, offset: String(offset) })
    })
    placed.catch((error) => {
      if (!signal.aborted) options.onTrouble(error, true)
    })
  })
  const forget = () => {
    assignment = undefined
    lost.abort()
  }
  consumer.on(consumer.events.REBALANCING, forget)
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    forget()
    options.onTrouble(payload.error, !payload.restart)
  })

  try {
    await consumer.connect()
    await consumer.subscribe({ topics: options.topics, fromBeginning: true })
  } catch (error) {
    await consumer.disconnect().catch(() => {})
    throw unreachable(error)
  }
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    // Batches share accounts; handled side by side they would wait for each other's rows.
    partitionsConsumedConcurrently: options.ahead?.concurrency ?? 1,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, isRunning, isStale }) => {
      if (!isRunning() || isStale()) return
      const { topic, partition } = batch
      const incoming = incomingOf(batch as unknown as Fetched)

      const next = await whileBeating(
        heartbeat,
        heartbeatInterval,
        isRunning,
        lost.signal,
        async (signal) => {
          await placed
          // The batch was fetched before it was known where to go on.
          return isStale() ? undefined : options.onBatch(incoming, signal)
        },
      )
      if (next === undefined || isStale()) return
      if (next === incoming.next) {
        resolveOffset(String(next - 1n))
        await commitOffsetsIfNecessary({
          topics: [{ topic, partitions: [{ partition, offset: String(next) }] }],
        })
      } else {
        consumer.seek({ topic, partition, offset: String(next) })
      }
    },
  })
  return {
    assignment: () => assignment,
    async close() {
      lost.abort()
      await consumer.disconnect()
    },
  }
}

/**
 * Without records where the log has only what no reader is shown. `next` is where it was fetched
 * from when nothing came.
 */
function incomingOf({ topic, partition, fetchedOffset, highWatermark, messages }: Fetched): IncomingBatch {
  const fetchedFrom = BigInt(fetchedOffset)
  const last = messages.at(-1)
  return {
    topic,
    partition,
    fetchedFrom,
    next: last ? BigInt(last.offset) + 1n : fetchedFrom,
    highWatermark: BigInt(highWatermark),
    records: messages.filter(({ isMark }) => !isMark).map(recordOf),
  }
}

function recordOf({ offset, key, value, headers, timestampMs, fault }: FetchedMessage): IncomingRecord {
  const record = { offset: BigInt(offset), key, value, headers, timestampMs }
  if (!fault) return record
  const { firstOffset, ...reason } = fault
  return { ...record, offset: firstOffset, unreadable: { ...reason, lastOffset: record.offset } }
}

/**
 * Finds records again. A connection for some places, and each place a request: who asks has few. An
 * offset that the log does not have any more, or has no record at, is undefined.
 */
async function recordsAt(
  client: KafkaClient,
  places: PartitionOffset[],
): Promise<(IncomingRecord | undefined)[]> {
  if (places.length === 0) return []
  let reader: PartitionReader | undefined
  try {
    reader = await openReader(client, [...new Set(places.map(({ topic }) => topic))])
    const found: (IncomingRecord | undefined)[] = []
    for (const place of places) {
      // One byte is one batch: brokers answer with the first, whatever its size.
      const options = { ...place, bytesMax: 1, waitMs: 100, uncommitted: true }
      const batch = await reader.batchAt(options).catch((error) => {
        if (error instanceof Error && error.name === 'KafkaJSOffsetOutOfRange') return undefined
        throw error
      })
      const record = batch && incomingOf(batch).records.find(({ offset }) => offset === place.offset)
      found.push(record?.unreadable ? undefined : record)
    }
    return found
  } catch (error) {
    throw unreachable(error)
  } finally {
    await reader?.close()
  }
}

async function* read(client: KafkaClient, extents: OffsetRange[]): AsyncGenerator<IncomingBatch> {
  let reader: PartitionReader | undefined
  try {
    reader = await openReader(client, [...new Set(extents.map(({ topic }) => topic))])
    for (const { topic, partition, first, offset: end } of extents) {
      let failures = 0
      for (let next = first; next < end; ) {
        const bytesMax = 1_048_576
        const batch = incomingOf(
          await reader.batchAt({ topic, partition, offset: next, bytesMax, waitMs: 500 }),
        )
        // They were there a moment ago.
        if (batch.next === next && ++failures > 20)
          throw new Fault(
            'broker_unavailable',
            `no records of ${topic}/${partition} come from offset ${next} on`,
          )
        const records = batch.records.filter(({ offset }) => offset < end)
        next = batch.next
        if (records.length > 0) yield { ...batch, records }
      }
    }
  } catch (error) {
    throw unreachable(error)
  } finally {
    await reader?.close()
  }
}

/**
 * Keeps the membership alive while a batch takes its time. A heartbeat that fails means the batch
 * may be somebody else's by now.
 */
async function whileBeating<T>(
  heartbeat: () => Promise<void>,
  everyMs: number,
  isRunning: () => boolean,
  lost: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  let failure: unknown
  // Of its own, because the next batch may be welcome again after a heartbeat that failed.
  const given = new AbortController()
  const beat = setInterval(() => {
    if (!isRunning()) return given.abort()
    heartbeat().catch((error) => {
      failure ??= error
      given.abort()
    })
  }, everyMs)
  try {
    const result = await work(AbortSignal.any([lost, given.signal]))
    await heartbeat()
    return result
  } catch (error) {
    throw failure ?? error
  } finally {
    clearInterval(beat)
  }
}

const unreachable = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('broker_unavailable', `the broker cannot be used: ${messageOf(error)}`, { cause: error })

/**
 * What the library calls errors are mostly retries of its own. They are worth a line only when
 * somebody looks for it.
 */
const quietLog =
  (log: Log) =>
  ({
    label,
    log: { message, timestamp: _, logger: __, ...fields },
  }: {
    label: string
    log: Record<string, unknown>
  }) =>
    log.debug({ ...fields, kafkajs: label }, String(message))
