/**
 * The one file that reaches inside kafkajs, which is pinned for this reason: it replaces how records
 * are encoded and decoded, sends, and reads without a group. `instrument` changes a single client.
 * Only the idle timer is patched for the whole process.
 */
import type { Kafka as KafkaClient } from 'kafkajs'
// @ts-expect-error The package ships no types for its inner modules.
import FetchedBatch from 'kafkajs/src/consumer/batch'
// @ts-expect-error As above.
import RequestQueue from 'kafkajs/src/network/requestQueue'
// @ts-expect-error As above.
import fetchRequests from 'kafkajs/src/protocol/requests/fetch'
// @ts-expect-error As above.
import produceRequests from 'kafkajs/src/protocol/requests/produce'
import { decodeFetch, type Fetched } from './fetch-response'
import { partitionName } from './offsets'
import { PartitionWatch } from './partition-watch'
import { encodeProduce, type TopicRecords } from './produce-request'

// The library sets a timer for each response, also without pending requests or throttling: with a
// negative delay, which burns CPU at idle and makes the runtime warn.
type Queue = { pending: unknown[]; throttledUntil: number }
const schedule = RequestQueue.prototype.scheduleCheckPendingRequests
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: Queue) {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
}

export type { Fetched } from './fetch-response'

type Definition = { versions: number[]; protocol: Protocol }
type Lookup = (apiKey: number, definition: Definition) => ReturnType<Protocol>
type Broker = { lookupRequest: Lookup }
type CreateCluster = (options: object) => Cluster & {
  brokerPool: { createBroker: (options: object) => Broker }
}

/** Makes a client use the Fetch and Produce protocols of this file. */
export function instrument(client: KafkaClient): void {
  const key = createClusterKey(client)
  const create = Reflect.get(client, key) as CreateCluster
  const createInstrumented: CreateCluster = (options) => {
    const cluster = create(options)
    const { createBroker } = cluster.brokerPool
    // Of all brokers of a consumer: a partition may move from one to another.
    const protocols = protocolsWith(new PartitionWatch())
    cluster.brokerPool.createBroker = (given) => withOurProtocols(createBroker(given), protocols)
    return cluster
  }
  Reflect.set(client, key, createInstrumented)
}

function createClusterKey(client: KafkaClient): symbol {
  const isIt = ({ description = '' }: symbol) => description.endsWith(':createCluster')
  const key = Object.getOwnPropertySymbols(client).find(isIt)
  if (!key) throw new Error('createCluster not found: is this kafkajs 2.2.4?')
  return key
}

/** The library assigns `lookupRequest` once it knows the versions that the broker supports. */
function withOurProtocols(broker: Broker, protocols: ReadonlyMap<Definition, Definition>): Broker {
  let lookup = broker.lookupRequest
  const lookupOurs: Lookup = (apiKey, definition) => lookup(apiKey, protocols.get(definition) ?? definition)
  return Object.defineProperty(broker, 'lookupRequest', {
    get: () => lookupOurs,
    set: (next: Lookup) => {
      lookup = next
    },
  })
}

type FetchRequest = { topics: { topic: string; partitions: { partition: number; fetchOffset: string }[] }[] }
type Protocol = (options: { version: number }) => (request: object) => { request: object; response: object }

// The library's own decoder knows one codec of four, inflates without a bound, throws on a header
// without a value, verifies no checksum, and fetches a batch that it cannot read for ever.
const fetchProtocol =
  (watch: PartitionWatch): Protocol =>
  ({ version }) =>
  (options) => {
    if (version < fetchVersionMin) throw tooOld()
    const exchange = (fetchRequests as Definition).protocol({ version })(options)
    const { topics } = options as FetchRequest
    const fetchOffsets = new Map(
      topics.flatMap(({ topic, partitions }) =>
        partitions.map(
          ({ partition, fetchOffset }) => [partitionName(topic, partition), BigInt(fetchOffset)] as const,
        ),
      ),
    )
    const requestedAtMs = performance.now()
    const decode = async (answer: Buffer) => {
      const answeredAtMs = performance.now()
      const watched = (partition: string, isError: boolean) =>
        watch.note(partition, { requestedAtMs, answeredAtMs, isError })
      return decodeFetch(answer, version, { fetchOffsets, watched })
    }
    return { ...exchange, response: { ...exchange.response, decode } }
  }

type ProduceOptions = { acks: number; timeout: number; topicData: TopicRecords[] }

/** Older versions have another format of records, without headers. */
const [fetchVersionMin, produceVersionMin] = [4, 3]
const tooOld = () => new Error('the broker is older than Apache Kafka 0.11')

const produceProtocol: Protocol =
  ({ version }) =>
  (options) => {
    if (version < produceVersionMin) throw tooOld()
    const { acks, timeout, topicData } = options as ProduceOptions
    const exchange = (produceRequests as Definition).protocol({ version })(options)
    // As the library's `Encoder`, which is asked for what it has written.
    const encode = async () => {
      const buffer = encodeProduce(topicData, acks, timeout)
      return { buf: buffer, buffer }
    }
    return { ...exchange, request: { ...exchange.request, encode } }
  }

/** Replacements, by the library's own definition. */
const protocolsWith = (watch: PartitionWatch): ReadonlyMap<Definition, Definition> =>
  new Map([
    [fetchRequests, { ...fetchRequests, protocol: fetchProtocol(watch) }],
    [produceRequests, { ...produceRequests, protocol: produceProtocol }],
  ])

/** What the library makes of a fetched partition. */
export const toFetched = (topic: string, offset: bigint, partition: object | undefined): Fetched =>
  new FetchedBatch(topic, String(offset), partition)

/** The layer below the library's consumer and producer: connections, and which broker leads what. */
type Cluster = {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: string[]): Promise<void>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  removeBroker(address: { host: string; port: number }): void
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  findBroker(options: { nodeId: string | number | undefined }): Promise<{
    fetch: (options: object) => Promise<{ responses: { partitions: object[] }[] }>
    produce: (options: object) => Promise<{ topics: { topicName: string; partitions: ProducedBatch[] }[] }>
  }>
}

export type PartitionReader = Awaited<ReturnType<typeof openReader>>

type FetchOptions = {
  topic: string
  partition: number
  offset: bigint
  bytesMax: number
  waitMs: number
  /** Include records of aborted and open transactions. */
  uncommitted?: boolean
}

/** Loads the metadata of topics that were not asked for before. */
function topicsOf(cluster: Cluster): (topics: readonly string[]) => Promise<void> {
  const known = new Set<string>()
  return async (topics) => {
    if (topics.every((topic) => known.has(topic))) return
    await cluster.addMultipleTargetTopics([...new Set(topics)])
    for (const topic of topics) known.add(topic)
  }
}

/** Reads partitions of these topics without a consumer group. */
export async function openReader(client: KafkaClient, topics: readonly string[]) {
  const create = Reflect.get(client, createClusterKey(client)) as CreateCluster
  const cluster = create({ allowAutoTopicCreation: false })
  const addTopics = topicsOf(cluster)
  try {
    await cluster.connect()
    await addTopics(topics)
  } catch (error) {
    await cluster.disconnect().catch(() => {})
    throw error
  }
  return {
    /** Before partitions of other topics are read. */
    addTopics,
    /** The batch at an offset, empty when none arrives within `waitMs`. */
    async batchAt({ topic, partition, offset, bytesMax, waitMs, uncommitted = false }: FetchOptions) {
      const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
      const broker = await cluster.findBroker({ nodeId })
      const partitions = [{ partition, fetchOffset: String(offset), maxBytes: bytesMax }]
      const { responses } = await broker.fetch({
        topics: [{ topic, partitions }],
        maxWaitTime: waitMs,
        isolationLevel: uncommitted ? 0 : 1,
      })
      return toFetched(topic, offset, responses[0]?.partitions[0])
    },
    [Symbol.asyncDispose]: () => cluster.disconnect(),
  }
}

/** Where a batch begins. */
type ProducedBatch = { partition: number; baseOffset?: string }

/** The library's default, which it has for producers of its own alone. */
const metadataAgeMax = 300_000

/**
 * Sends what it is given, each request once. The library's own producer copies each record several times, and
 * tries again by itself: then it keeps the answers of brokers that succeeded and skips partitions that have
 * moved to one of them, so that records are lost without an error.
 */
export function openProducer(client: KafkaClient) {
  const create = Reflect.get(client, createClusterKey(client)) as CreateCluster
  const cluster = create({ allowAutoTopicCreation: false, metadataMaxAge: metadataAgeMax })
  const addTopics = topicsOf(cluster)
  let isFresh = false
  let isClosed = false

  /** Connects, and looks again for brokers and leaders after a failure. */
  async function prepare(topics: string[]): Promise<void> {
    if (isClosed) throw new Error('the producer is closed')
    if (!isFresh) await cluster.connect()
    await addTopics(topics)
    if (isFresh) await cluster.refreshMetadataIfNecessary()
    else await cluster.refreshMetadata()
    isFresh = true
  }

  async function sendTo(nodeId: string, topicData: TopicRecords[]) {
    const broker = await cluster.findBroker({ nodeId })
    const { topics } = await broker.produce({ acks: -1, topicData })
    return topics.flatMap(({ topicName, partitions }) => partitions.map((one) => ({ topicName, ...one })))
  }

  /** Throws it on, and looks for brokers and leaders again the next time. */
  function failed(error: unknown): never {
    isFresh = false
    const { name, host, port } = error as { name?: string; host: string; port: number }
    if (name === 'KafkaJSConnectionClosedError') cluster.removeBroker({ host, port })
    throw error
  }

  return {
    /** How many partitions each topic has. */
    async partitionCounts(topics: string[]): Promise<ReadonlyMap<string, number>> {
      await prepare(topics).catch(failed)
      return new Map(topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]))
    },
    /** The first offset of each partition, once all in-sync replicas have the records. */
    async send(topics: TopicRecords[]) {
      try {
        const leaders = byLeader(topics, (topic) => cluster.findTopicPartitionMetadata(topic))
        return (await Promise.all(leaders.entries().map(([nodeId, data]) => sendTo(nodeId, data)))).flat()
      } catch (error) {
        return failed(error)
      }
    },
    async close(): Promise<void> {
      isClosed = true
      await cluster.disconnect()
    },
  }
}

function byLeader(topics: readonly TopicRecords[], metadataOf: Cluster['findTopicPartitionMetadata']) {
  const leaders = new Map<string, TopicRecords[]>()
  for (const { topic, partitions } of topics) {
    const metadata = metadataOf(topic)
    const leaderOf = (partition: number) => metadata.find((one) => one.partitionId === partition)?.leader
    for (const [leader, led] of Map.groupBy(partitions, ({ partition }) => String(leaderOf(partition)))) {
      const others = leaders.get(leader)
      if (others) others.push({ topic, partitions: led })
      else leaders.set(leader, [{ topic, partitions: led }])
    }
  }
  return leaders
}
