/**
 * The broker behind two small ports, a publisher and a subscription: the only file that knows which client library is used.
 * The library gets few retries of its own, so that waiting for an absent broker happens in one place, where it can be seen and stopped.
 */
import { type Admin, type Batch, type ICustomPartitioner, Kafka as KafkaClient, logLevel, type Message } from 'kafkajs'
// @ts-expect-error The package ships no types for its inner modules.
import FetchedBatch from 'kafkajs/src/consumer/batch'
// @ts-expect-error As above.
import RequestQueue from 'kafkajs/src/network/requestQueue'
import { Fault, messageOf } from './fault'
import type { Log } from './log'
import { murmur2 } from './murmur2'

export type KafkaOptions = {
  brokers: string[]
  clientId: string
  ssl: boolean
  sasl: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string } | undefined
  /** For so long a member that was killed keeps its partitions. The default is the least that brokers allow by default. */
  sessionTimeoutMs?: number | undefined
}

export type OutgoingRecord = {
  topic: string
  key: string | Buffer | null
  value: string | Buffer | null
  headers: Record<string, string>
}

export type IncomingRecord = {
  offset: bigint
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, string>
  timestampMs: number
}

export type Position = { topic: string; partition: number; offset: bigint }

/** What the broker has of a partition: from `first`, which is above 0 once it has deleted what was old, to below `offset`. */
export type Extent = Position & { first: bigint }

/** Records of one partition in offset order, never empty. */
export type IncomingBatch = {
  topic: string
  partition: number
  /** The offset that was asked for. The first record may lie beyond it, where the log has records that nobody is shown. */
  fetchedFrom: bigint
  /** Where the log goes on after this batch: beyond its last record. */
  next: bigint
  /** One past the newest record of the partition when the batch was fetched. */
  highWatermark: bigint
  records: IncomingRecord[]
}

/** Where a record is, within its topic. */
export type Place = { partition: number; offset: bigint }

export type Publisher = {
  /**
   * Answers with the place of each record, in their order, once all in-sync replicas have every one. On a `Fault` some, all or none may have
   * been written: send again. A record that was written twice is at two places, and the one that is answered is as good as the other.
   */
  send(records: OutgoingRecord[]): Promise<Place[]>
  close(): Promise<void>
}

export type SubscriptionOptions = {
  groupId: string
  topics: string[]
  /**
   * Handles a batch and answers the offset to go on from: `next` of the batch when all of it is done. Any other answer seeks there. Called
   * for one batch at a time, unless `ahead` says otherwise, and then for one batch of a partition. It may take long: the group is kept informed meanwhile. `signal` is aborted when the batch is no longer ours
   * to handle; a new assignment may then begin before this call has returned.
   */
  onBatch: (batch: IncomingBatch, signal: AbortSignal) => Promise<bigint>
  /**
   * The partitions were dealt anew: what is known about positions no longer holds. Answers where to go on; a partition it does not name
   * goes on from the group's offset. No batch is handled before it has answered; when it throws, consuming ends. `signal` as above.
   */
  onAssigned: (assignment: Record<string, number[]>, signal: AbortSignal) => Promise<Position[]>
  /** Partitions whose batches are handled at the same time, and bytes of one: 1, and 1 MB. */
  ahead?: { concurrency: number; batchBytesMax: number }
  /** Consuming was interrupted. It begins again by itself, unless `final`: then close the subscription and subscribe anew. */
  onTrouble: (error: unknown, final: boolean) => void
}

export type Subscription = {
  /** Partitions assigned at the moment; undefined while the group is being joined. */
  assignment(): Record<string, number[]> | undefined
  /** Stops fetching, lets the batch in hand finish, leaves the group. */
  close(): Promise<void>
}

export type Kafka = {
  /** Creates the topics that do not exist, and waits until each has leaders. Existing ones stay as they are. */
  ensureTopics(topics: string[], partitions: number): Promise<void>
  /** Identity of the broker's data: offsets mean something only together with it. */
  clusterId(): Promise<string>
  /** Of each partition one past the newest record, now, and the oldest that is still there. */
  endOffsets(topics: string[]): Promise<Extent[]>
  /** All records of these extents, one partition after the other. Nobody is told of the reader: it joins no group, and leaves nothing behind. */
  read(extents: Extent[]): AsyncGenerator<IncomingBatch>
  /** Whether the broker answers now, within two seconds or so. */
  isReachable(): Promise<boolean>
  publisher(): Publisher
  /** Throws a `Fault` when there is no broker to begin with. */
  subscribe(options: SubscriptionOptions): Promise<Subscription>
  close(): Promise<void>
}

// Without pending requests and throttling there is nothing to check again, but the library sets a timer for each answer nevertheless: with a
// delay in the far past, which burns CPU at idle and makes the runtime warn.
type Queue = { pending: unknown[]; throttledUntil: number }
const schedule = RequestQueue.prototype.scheduleCheckPendingRequests
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: Queue) {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
}

export function connectKafka(options: KafkaOptions, log: Log): Kafka {
  const client = new KafkaClient({
    clientId: options.clientId,
    brokers: options.brokers,
    ssl: options.ssl,
    // The type of the library lists each mechanism with its own literal; the values are checked by the configuration.
    sasl: options.sasl as never,
    connectionTimeout: 2000,
    requestTimeout: 5000,
    enforceRequestTimeout: true,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 3 },
    logLevel: logLevel.WARN,
    logCreator: () => quietLog(log),
  })

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

  // A connection of its own for each, since whatever was asked about stays on the library's mind: a topic that is being made fails all
  // questions of its connection, also those about others.
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

    isReachable: () =>
      asking((admin) => admin.describeCluster()).then(
        () => true,
        () => false,
      ),

    publisher() {
      const producer = client.producer({
        createPartitioner: choosesPartition,
        allowAutoTopicCreation: false,
        // The caller sends again, as a whole. The library would keep the answers of the brokers that did well for its next try, and leave
        // out the partitions of others that have moved to one of these in between: records would be lost, and nobody told.
        retry: { retries: 0 },
      })
      let ready: Promise<void> | undefined
      return {
        async send(records) {
          const messages: Placed[] = records.map(({ key, value, headers }) => ({ key, value, headers, partition: -1 }))
          const topicMessages = [...Map.groupBy(messages.keys(), (index) => records[index]?.topic ?? '')].map(
            ([topic, indexes]) => ({ topic, messages: indexes.map((index) => messages[index] as Placed) }),
          )
          try {
            ready ??= producer.connect()
            await ready
            const answers = await producer.sendBatch({ acks: -1, topicMessages })
            return placesOf(records, messages, answers)
          } catch (error) {
            ready = undefined
            throw unreachable(error)
          }
        },
        close: () => producer.disconnect(),
      }
    },

    subscribe: (subscription) => subscribe(client, subscription, options.sessionTimeoutMs ?? 6000),

    async close() {
      await connected?.then((admin) => admin.disconnect()).catch(() => {})
    },
  }
}

type Placed = Message & { partition: number }

/** By the hash of its key, as Java's clients do; none counts as an empty one. Noted on the message, so that it can be told where it went. */
const choosesPartition: ICustomPartitioner =
  () =>
  ({ partitionMetadata, message }) => {
    const placed = message as Placed
    placed.partition = (murmur2(Buffer.from(placed.key ?? '')) & 0x7fffffff) % partitionMetadata.length
    return placed.partition
  }

/** The broker answers with the first offset of each partition; the records of one follow on from there, in the order in which they were given. */
export function placesOf(
  records: Pick<OutgoingRecord, 'topic'>[],
  partitions: { partition: number }[],
  answers: { topicName: string; partition: number; baseOffset?: string }[],
): Place[] {
  const nameOf = (topic: string, partition: number) => `${topic}/${partition}`
  const next = new Map(answers.map((one) => [nameOf(one.topicName, one.partition), BigInt(one.baseOffset ?? -1)]))
  return records.map(({ topic }, index) => {
    const partition = partitions[index]?.partition ?? -1
    const name = nameOf(topic, partition)
    const offset = next.get(name) ?? -1n
    if (offset < 0n) throw new Fault('broker_unavailable', `the broker did not say where in ${name} the records are`)
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
      for (const { topic, partition, offset } of positions) consumer.seek({ topic, partition, offset: String(offset) })
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
      const incoming = incomingOf(batch as Fetched)
      const last = incoming.records.at(-1)
      if (!last) return

      const next = await whileBeating(heartbeat, heartbeatInterval, isRunning, lost.signal, async (signal) => {
        await placed
        // The batch was fetched before it was known where to go on.
        return isStale() ? undefined : options.onBatch(incoming, signal)
      })
      if (next === undefined || isStale()) return
      if (next === incoming.next) {
        resolveOffset(String(last.offset))
        await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: String(next) }] }] })
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

/** The library's type leaves out a field. */
type Fetched = Batch & { fetchedOffset: string }

const incomingOf = (batch: Fetched): IncomingBatch => ({
  topic: batch.topic,
  partition: batch.partition,
  fetchedFrom: BigInt(batch.fetchedOffset),
  next: BigInt(batch.lastOffset()) + 1n,
  highWatermark: BigInt(batch.highWatermark),
  records: batch.messages.map((message) => ({
    offset: BigInt(message.offset),
    key: message.key,
    value: message.value,
    headers: textHeaders(message.headers ?? {}),
    timestampMs: Number(message.timestamp),
  })),
})

/** What the library's own consumer stands on: it reads for groups only, and a group is known to everybody. */
type Cluster = {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: string[]): Promise<void>
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  findBroker(options: { nodeId: string | undefined }): Promise<{
    fetch: (options: object) => Promise<{ responses: { partitions: object[] }[] }>
  }>
}

async function* read(client: KafkaClient, extents: Extent[]): AsyncGenerator<IncomingBatch> {
  const key = Object.getOwnPropertySymbols(client).find(({ description }) => description?.endsWith(':createCluster'))
  const create = Reflect.get(client, key as symbol) as (options: object) => Cluster
  const cluster = create({ allowAutoTopicCreation: false })
  const fetchFrom = async (topic: string, partition: number, offset: bigint): Promise<IncomingBatch> => {
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
    const broker = await cluster.findBroker({ nodeId })
    const partitions = [{ partition, fetchOffset: String(offset), maxBytes: 1_048_576 }]
    // Of transactions only what was committed, as consumers see it.
    const { responses } = await broker.fetch({ topics: [{ topic, partitions }], maxWaitTime: 500, isolationLevel: 1 })
    return incomingOf(new FetchedBatch(topic, String(offset), responses[0]?.partitions[0]))
  }
  try {
    await cluster.connect()
    await cluster.addMultipleTargetTopics(extents.map(({ topic }) => topic))
    for (const { topic, partition, first, offset: end } of extents) {
      for (let next = first; next < end; ) {
        const batch = await fetchFrom(topic, partition, next)
        const records = batch.records.filter(({ offset }) => offset < end)
        next = batch.next
        if (records.length > 0) yield { ...batch, records }
      }
    }
  } catch (error) {
    throw unreachable(error)
  } finally {
    await cluster.disconnect()
  }
}

/** Keeps the membership alive while a batch takes its time. A heartbeat that fails means the batch may be somebody else's by now. */
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

/** The library gives a header that is repeated as a list; the last one counts. */
function textHeaders(
  headers: Record<string, Buffer | string | (Buffer | string)[] | undefined>,
): Record<string, string> {
  const text: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const last = Array.isArray(value) ? value.at(-1) : value
    if (last !== undefined) text[name] = last.toString()
  }
  return text
}

const unreachable = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('broker_unavailable', `the broker cannot be used: ${messageOf(error)}`, { cause: error })

/** What the library calls errors are mostly retries of its own. They are worth a line only when somebody looks for it. */
const quietLog =
  (log: Log) =>
  ({ label, log: { message, timestamp: _, logger: __, ...fields } }: { label: string; log: Record<string, unknown> }) =>
    log.debug({ ...fields, kafkajs: label }, String(message))
