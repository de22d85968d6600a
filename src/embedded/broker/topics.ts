import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from './errors.ts'
import type { Disk } from './log/disk.ts'
import { type LogLimits, PartitionLog } from './log/partition-log.ts'

type TopicConfig = Record<string, string>
type TopicDefinition = { id: number; partitions: number; config: TopicConfig }
type Catalog = {
  clusterId: string
  nextTopicId: number
  nextProducerId: number
  topics: Record<string, TopicDefinition>
}
type OnTorn = (topic: string, partition: number, bytes: number) => void

/** Topic settings that are accepted, with the broker's defaults. Those a single node cannot act on are kept and shown, no more. */
export const topicConfigDefaults: TopicConfig = {
  'cleanup.policy': 'delete',
  'compression.type': 'producer',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'min.insync.replicas': '1',
  'retention.bytes': '-1',
  'retention.ms': '604800000',
  'segment.bytes': '4194304',
}

const topicName = /^(?!\.\.?$)[a-zA-Z0-9._-]{1,249}$/
const partitionsMax = 1_000

export class Topic {
  readonly config: TopicConfig
  readonly partitions: number
  readonly #logs = new Map<number, PartitionLog>()

  constructor(
    readonly name: string,
    readonly directory: string,
    { partitions, config }: TopicDefinition,
    readonly disk: Disk,
    readonly onTorn: OnTorn,
  ) {
    this.partitions = partitions
    this.config = { ...topicConfigDefaults, ...config }
  }

  /** Opened, and recovered after a crash, when it is first asked for: a start does not wait for logs nobody reads. */
  log(partition: number): PartitionLog | undefined {
    const known = this.#logs.get(partition)
    if (known || partition < 0 || partition >= this.partitions) return known
    const log = new PartitionLog(join(this.directory, String(partition)), this.disk, logLimits(this.config))
    if (log.torn > 0) this.onTorn(this.name, partition, log.torn)
    this.#logs.set(partition, log)
    return log
  }

  close(): void {
    for (const log of this.#logs.values()) log.close()
  }
}

/** Which topics there are, and their logs. Definitions are on disk before a creation is answered. */
export class Topics {
  readonly #catalogPath: string
  readonly #logsDirectory: string
  #catalog: Catalog
  readonly #topics = new Map<string, Topic>()

  constructor(
    dataDir: string,
    readonly disk: Disk,
    readonly onTorn: OnTorn,
  ) {
    this.#catalogPath = join(dataDir, 'catalog.json')
    this.#logsDirectory = join(dataDir, 'logs')
    mkdirSync(this.#logsDirectory, { recursive: true })
    this.#catalog = existsSync(this.#catalogPath)
      ? JSON.parse(readFileSync(this.#catalogPath, 'utf8'))
      : { clusterId: randomBytes(16).toString('base64url'), nextTopicId: 1, nextProducerId: 1, topics: {} }
    this.#save({})
    for (const [name, definition] of Object.entries(this.#catalog.topics)) this.#add(name, definition)
    // What a crash left of topics that were being deleted.
    const known = this.all().map(({ directory }) => directory)
    for (const entry of readdirSync(this.#logsDirectory)) {
      const path = join(this.#logsDirectory, entry)
      if (!known.includes(path)) rmSync(path, { recursive: true, force: true })
    }
  }

  /** Given once per data directory, and the same after every restart. */
  get clusterId(): string {
    return this.#catalog.clusterId
  }

  all(): Topic[] {
    return [...this.#topics.values()]
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** Refuses a name that no topic has. */
  require(name: string): Topic {
    const topic = this.find(name)
    if (!topic) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    return topic
  }

  /** Refuses with the code the admin client is to see, in the order of the checks. With `validateOnly` nothing is made. */
  create(name: string, partitions = 1, config: TopicConfig = {}, validateOnly = false): void {
    if (!topicName.test(name)) throw new Refusal('INVALID_TOPIC_EXCEPTION', `topic name ${JSON.stringify(name)}`)
    if (this.find(name)) throw new Refusal('TOPIC_ALREADY_EXISTS', `topic ${name} already exists`)
    if (partitions < 1 || partitions > partitionsMax)
      throw new Refusal('INVALID_PARTITIONS', `1 to ${partitionsMax} partitions`)
    for (const [key, value] of Object.entries(config)) checkConfig(key, value)
    if (validateOnly) return

    const { nextTopicId: id, topics } = this.#catalog
    const definition: TopicDefinition = { id, partitions, config }
    this.#save({ nextTopicId: id + 1, topics: { ...topics, [name]: definition } })
    this.#add(name, definition)
  }

  delete(name: string): void {
    const topic = this.require(name)
    const { [name]: _, ...others } = this.#catalog.topics
    this.#save({ topics: others })
    this.#topics.delete(name)
    topic.close()
    rmSync(topic.directory, { recursive: true, force: true })
  }

  /** A producer id that no producer had before, across restarts. */
  newProducerId(): number {
    const { nextProducerId } = this.#catalog
    this.#save({ nextProducerId: nextProducerId + 1 })
    return nextProducerId
  }

  /** Removes what is past its topic's limits, giving way to requests between two logs. */
  async retain(now: number): Promise<void> {
    for (const topic of this.all()) {
      for (let partition = 0; partition < topic.partitions; partition++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (this.find(topic.name) === topic) topic.log(partition)?.retain(now)
      }
    }
  }

  close(): void {
    for (const topic of this.all()) topic.close()
    this.#topics.clear()
  }

  #add(name: string, definition: TopicDefinition): void {
    // The id keeps a topic made anew apart from what a crash may have left of its namesake.
    const directory = join(this.#logsDirectory, `${name}@${definition.id}`)
    this.#topics.set(name, new Topic(name, directory, definition, this.disk, this.onTorn))
  }

  /** On disk first, in memory then: what was refused leaves no trace. */
  #save(changes: Partial<Catalog>): void {
    const catalog = { ...this.#catalog, ...changes }
    this.disk.replace(this.#catalogPath, `${JSON.stringify(catalog, null, 2)}\n`)
    this.#catalog = catalog
  }
}

function checkConfig(key: string, value: string): void {
  const standard = topicConfigDefaults[key]
  if (standard === undefined) throw new Refusal('INVALID_CONFIG', `unknown topic config ${key}`)
  if (/\d$/.test(standard) && !/^-?\d+$/.test(value))
    throw new Refusal('INVALID_CONFIG', `${key} is a number, not ${JSON.stringify(value)}`)
  if (key === 'segment.bytes' && Number(value) < 1024) throw new Refusal('INVALID_CONFIG', `${key} is at least 1024`)
}

function logLimits(config: TopicConfig): LogLimits {
  // A compacted topic keeps everything: readers of one cope with more records than compaction would leave, never with fewer.
  const deletes = config['cleanup.policy']?.includes('delete')
  return {
    batchBytesMax: Number(config['max.message.bytes']),
    segmentBytes: Number(config['segment.bytes']),
    retentionBytes: deletes ? Number(config['retention.bytes']) : -1,
    retentionMs: deletes ? Number(config['retention.ms']) : -1,
  }
}
