/** Questions about topics and the cluster. */
import { type Admin, ConfigResourceTypes, type ITopicConfig, type Kafka as KafkaClient } from 'kafkajs'
import { Fault, messageOf } from '../fault'
import { keepTrying } from '../process/retry'
import type { Log } from '../telemetry/log'
import { brokerFault, causesOf, onTopics, protocolErrorOf } from './broker-fault'
import { type OffsetRange, type PartitionOffset, partitionName } from './offsets'

/** By name, prefix included: what a new topic needs beside the broker's defaults. */
export type TopicSettings = (topic: string, replicas: number) => Readonly<Record<string, string>>

export type DescribedTopic = {
  topic: string
  /** Of the partition that has the fewest. */
  replicas: number
  settings: Readonly<Record<string, string>>
}

type Described = { described: DescribedTopic[]; brokers: number; refused: string[] }

/** Topics that a connection has asked about. */
const introduced = new WeakMap<Admin, Set<string>>()

/**
 * kafkajs asks about each topic that is new to a connection, and of parallel answers, by several brokers,
 * it may keep one that lacks a topic: every tenth time with three brokers. So it is one after the other.
 */
async function introduce(admin: Admin, topics: readonly string[]): Promise<void> {
  const known = introduced.get(admin) ?? new Set()
  introduced.set(admin, known)
  for (const topic of topics) {
    if (known.has(topic)) continue
    await admin.fetchTopicOffsets(topic)
    known.add(topic)
  }
}

/** One connection for all questions, opened at the first and replaced after a failure. */
export function createTopicAdmin(client: KafkaClient, log: Log, settings: TopicSettings = () => ({})) {
  let connected: Promise<Admin> | undefined

  async function connect(): Promise<Admin> {
    const admin = client.admin()
    await admin.connect()
    return admin
  }

  async function ask<T>(question: (admin: Admin) => Promise<T>, rights?: string): Promise<T> {
    connected ??= connect()
    const current = connected
    try {
      return await question(await current)
    } catch (error) {
      if (connected === current) connected = undefined
      current.then((admin) => admin.disconnect()).catch(() => {})
      throw brokerFault(error, rights)
    }
  }

  /** On a connection of its own. */
  async function askOnce<T>(question: (admin: Admin) => Promise<T>, rights: string): Promise<T> {
    const admin = client.admin()
    try {
      await admin.connect()
      return await question(admin)
    } catch (error) {
      throw brokerFault(error, rights)
    } finally {
      admin.disconnect().catch(() => {})
    }
  }

  return {
    /**
     * Creates missing topics, and waits until all are served. Existing ones stay as they are. On a
     * connection of its own: kafkajs remembers every topic that a connection has asked about, and one
     * that is just being created fails all further questions of that connection.
     */
    async ensureTopics(topics: string[], partitions: number): Promise<void> {
      const rights = `Describe ${onTopics(topics)}, and Create where one does not exist yet`
      await askOnce(async (admin) => {
        await createMissingTopics(admin, { topics, partitions, settings }, log)
        await untilServed(admin, topics)
      }, rights)
    },
    /** Those of the topics that exist. Of those in `refused` the broker shows no settings. */
    describeTopics: (topics: readonly string[]): Promise<Described> =>
      askOnce((admin) => describe(admin, topics), `Describe ${onTopics(topics)}`),
    /** Identity of the broker's data: offsets are meaningful only together with it. */
    clusterId: (): Promise<string> =>
      ask(async (admin) => {
        const { clusterId } = await admin.describeCluster()
        // Redpanda reports this placeholder until it has a cluster id.
        if (!clusterId || clusterId === 'redpanda.initializing')
          throw new Fault('broker_unavailable', 'broker has no cluster id yet')
        return clusterId
      }),
    /** Of each partition the end of its log now, and its oldest offset. */
    endOffsets: (topics: string[]): Promise<OffsetRange[]> =>
      ask(
        async (admin) => {
          await introduce(admin, topics)
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
        },
        `Describe ${onTopics(topics)}`,
      ),
    /** What a group has committed, by `partitionName`; without the partitions where it has nothing. */
    groupOffsets: (groupId: string, topics: string[]): Promise<Map<string, bigint>> =>
      ask((admin) => committedBy(admin, groupId, topics), `Read on the group ${groupId}`),
    /** Deletes the records before these offsets: no reader gets them any more, wherever it begins. */
    deleteRecords: (offsets: PartitionOffset[]): Promise<void> =>
      ask(async (admin) => {
        for (const [topic, ofTopic] of Map.groupBy(offsets, (one) => one.topic)) {
          const partitions = ofTopic.map(({ partition, offset }) => ({ partition, offset: String(offset) }))
          // So that the library knows the leaders.
          await admin.fetchTopicOffsets(topic)
          await admin.deleteTopicRecords({ topic, partitions }).catch((error) => {
            const reason = messageOf(refusalIn(error) ?? error)
            const needs = 'its cleanup.policy has to delete, and the right DELETE on it is needed'
            throw new Fault('broker_unavailable', `records of ${topic} are not deleted (${needs}): ${reason}`)
          })
        }
      }),
    /** Whether the broker answers now, within two seconds or so. */
    isReachable: (): Promise<boolean> =>
      ask((admin) => admin.describeCluster()).then(
        () => true,
        () => false,
      ),
    async close(): Promise<void> {
      await connected?.then((admin) => admin.disconnect()).catch(() => {})
    },
  }
}

async function committedBy(admin: Admin, groupId: string, topics: string[]): Promise<Map<string, bigint>> {
  const committed = await admin.fetchOffsets({ groupId, topics })
  return new Map(
    committed.flatMap(({ topic, partitions }) =>
      partitions
        .filter(({ offset }) => offset !== '-1')
        .map(({ partition, offset }) => [partitionName(topic, partition), BigInt(offset)]),
    ),
  )
}

type Wanted = { topics: string[]; partitions: number; settings: TopicSettings }

async function createMissingTopics(admin: Admin, { topics, partitions, settings }: Wanted, log: Log) {
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((topic) => !existing.has(topic))
  if (missing.length === 0) return
  const { brokers } = await admin.describeCluster()
  const replicationFactor = Math.min(3, brokers.length)
  const plain = missing.map((topic) => ({ topic, numPartitions: partitions, replicationFactor }))
  const configured = plain.map((one) => ({
    ...one,
    configEntries: entriesOf(settings(one.topic, replicationFactor)),
  }))
  // Resolves also where another replica was faster.
  const create = (created: ITopicConfig[]) => admin.createTopics({ topics: created, waitForLeaders: false })
  await create(configured).catch((error) => {
    // A managed broker may allow other values.
    const isRefused = causesOf(error).some(
      (one) => 'type' in one && /^(INVALID_CONFIG|POLICY_VIOLATION)$/.test(String(one.type)),
    )
    if (!isRefused) throw error
    log.warn({ topics: configured }, 'broker refuses the settings of topics, which now have its defaults')
    return create(plain)
  })
  log.info({ topics: missing, partitions, replicationFactor }, 'topics created')
}

const entriesOf = (settings: ReturnType<TopicSettings>) =>
  Object.entries(settings).map(([name, value]) => ({ name, value }))

async function describe(admin: Admin, topics: readonly string[]) {
  const existing = new Set(await admin.listTopics())
  const names = topics.filter((topic) => existing.has(topic))
  const { brokers } = await admin.describeCluster()
  // Without a name it is about all topics.
  const metadata = names.length === 0 ? [] : (await admin.fetchTopicMetadata({ topics: names })).topics
  const all = metadata.map(async ({ name, partitions }) => ({
    topic: name,
    replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
    settings: await settingsOf(admin, name),
  }))
  const described = await Promise.all(all)
  return {
    described: described.map((one) => ({ ...one, settings: one.settings ?? {} })),
    brokers: brokers.length,
    refused: described.filter(({ settings }) => !settings).map(({ topic }) => topic),
  }
}

/** Undefined where the broker does not let us see them. */
async function settingsOf(admin: Admin, topic: string): Promise<Record<string, string> | undefined> {
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    })
    const entries = resources.flatMap(({ configEntries }) => configEntries)
    return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
  } catch (error) {
    if (/_AUTHORIZATION_FAILED$/.test(protocolErrorOf(error)?.type ?? '')) return undefined
    throw error
  }
}

/** What the broker says about the first partition: the library's own message does not repeat it. */
function refusalIn(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  const { partitions, cause } = error as Error & { partitions?: { error: unknown }[] }
  return partitions?.[0]?.error ?? refusalIn(cause)
}

/** How long a topic may take until it is served, in milliseconds. */
const servedWithinMs = 10_000

/**
 * Waits until the leader of each partition answers for it. A broker confirms a new topic first, then
 * lists it, then serves its partitions. The library's own wait (`waitForLeaders`) throws where the topic
 * is not listed yet.
 */
export async function untilServed(admin: Admin, topics: string[]): Promise<void> {
  const options = {
    backoff: { firstMs: 20, limitMs: 200 },
    signal: AbortSignal.timeout(servedWithinMs),
    isRetryable: (error: unknown) => protocolErrorOf(error)?.retriable === true,
    onFailure: () => {},
  }
  for (const topic of topics) await keepTrying(() => admin.fetchTopicOffsets(topic), options)
}
