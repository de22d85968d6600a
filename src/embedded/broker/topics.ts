import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from './errors.ts'
import type { Disk } from './log/disk.ts'
import { type LogLimits, PartitionLog } from './log/partition-log.ts'

type TopicConfig = Record<string, string>
type Topic = { id: number; partitions: number; config: TopicConfig }
type Catalog = { clusterId: string; nextTopicId: number; nextProducerId: number; topics: Map<string, Topic> }

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

/** Which topics there are, and their logs. Definitions are on disk before a creation is answered. */
export class Topics {
  readonly #catalogPath: string
  readonly #logsDirectory: string
  readonly #logs = new Map<string, PartitionLog>()
  #catalog: Catalog = {
    clusterId: randomBytes(16).toString('base64url'),
    nextTopicId: 1,
    nextProducerId: 1,
    topics: new Map(),
  }

  constructor(
    dataDir: string,
    readonly disk: Disk,
    readonly onTorn: (topic: string, partition: number, bytes: number) => void,
  ) {
    this.#catalogPath = join(dataDir, 'catalog.json')
    this.#logsDirectory = join(dataDir, 'logs')
    mkdirSync(this.#logsDirectory, { recursive: true })
    if (existsSync(this.#catalogPath)) {
      const catalog = JSON.parse(readFileSync(this.#catalogPath, 'utf8'))
      const topics = Object.entries<Topic>(catalog.topics)
      const withDefaults = ({ config, ...rest }: Topic) => ({ ...rest, config: { ...topicConfigDefaults, ...config } })
      this.#catalog = { ...catalog, topics: new Map(topics.map(([name, topic]) => [name, withDefaults(topic)])) }
    }
    this.#save({})
    // What a crash left of topics that were being deleted.
    const known = [...this.#catalog.topics].map(([name, topic]) => directoryOf(name, topic))
    for (const entry of readdirSync(this.#logsDirectory)) if (!known.includes(entry)) this.#remove(entry)
  }

  /** Given once per data directory, and the same after every restart. */
  get clusterId(): string {
    return this.#catalog.clusterId
  }

  names(): string[] {
    return [...this.#catalog.topics.keys()]
  }

  /** Refuses a name that no topic has. */
  require(name: string): Topic {
    const topic = this.#catalog.topics.get(name)
    if (!topic) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    return topic
  }

  /** Opened, and recovered after a crash, when it is first asked for: a start does not wait for logs nobody reads. */
  partition(name: string, partition: number): PartitionLog {
    const topic = this.require(name)
    if (partition < 0 || partition >= topic.partitions) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    const place = `${directoryOf(name, topic)}/${partition}`
    const known = this.#logs.get(place)
    if (known) return known
    const log = new PartitionLog(join(this.#logsDirectory, place), this.disk, logLimits(topic.config))
    if (log.torn > 0) this.onTorn(name, partition, log.torn)
    this.#logs.set(place, log)
    return log
  }

  /** Refuses with the code the admin client is to see, in the order of the checks. With `validateOnly` nothing is made. */
  create(name: string, partitions = 1, config: TopicConfig = {}, validateOnly = false): void {
    const { nextTopicId: id, topics } = this.#catalog
    if (!topicName.test(name)) throw new Refusal('INVALID_TOPIC_EXCEPTION', `topic name ${JSON.stringify(name)}`)
    if (topics.has(name)) throw new Refusal('TOPIC_ALREADY_EXISTS', `topic ${name} already exists`)
    if (partitions < 1 || partitions > partitionsMax)
      throw new Refusal('INVALID_PARTITIONS', `1 to ${partitionsMax} partitions`)
    for (const [key, value] of Object.entries(config)) checkConfig(key, value)
    if (validateOnly) return
    const settings = { ...topicConfigDefaults, ...config }
    this.#save({ nextTopicId: id + 1, topics: new Map(topics).set(name, { id, partitions, config: settings }) })
  }

  delete(name: string): void {
    const directory = directoryOf(name, this.require(name))
    this.#save({ topics: new Map([...this.#catalog.topics].filter(([other]) => other !== name)) })
    for (const [place, log] of this.#logs) {
      if (!place.startsWith(`${directory}/`)) continue
      log.close()
      this.#logs.delete(place)
    }
    this.#remove(directory)
  }

  /** A producer id that no producer had before, across restarts. */
  newProducerId(): number {
    const { nextProducerId } = this.#catalog
    this.#save({ nextProducerId: nextProducerId + 1 })
    return nextProducerId
  }

  /** Removes what is past its topic's limits, giving way to requests between two logs. */
  async retain(now: number): Promise<void> {
    for (const [name, topic] of this.#catalog.topics) {
      for (let partition = 0; partition < topic.partitions; partition++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (this.#catalog.topics.get(name) === topic) this.partition(name, partition).retain(now)
      }
    }
  }

  close(): void {
    for (const log of this.#logs.values()) log.close()
    this.#logs.clear()
    this.#catalog.topics.clear()
  }

  #remove(directory: string): void {
    rmSync(join(this.#logsDirectory, directory), { recursive: true, force: true })
  }

  /** On disk first, in memory then: what was refused leaves no trace. */
  #save(changes: Partial<Catalog>): void {
    const catalog = { ...this.#catalog, ...changes }
    const text = JSON.stringify({ ...catalog, topics: Object.fromEntries(catalog.topics) }, null, 2)
    this.disk.replace(this.#catalogPath, `${text}\n`)
    this.#catalog = catalog
  }
}

/** The id keeps a topic made anew apart from what a crash may have left of its namesake. */
function directoryOf(name: string, { id }: Topic): string {
  return `${name}@${id}`
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
