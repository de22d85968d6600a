import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from './error-codes.ts'
import type { Disk } from './log/append-file.ts'
import { type LogLimits, PartitionLog } from './log/partition-log.ts'

export type TopicConfig = Record<string, string>
export type Topic = {
  name: string
  config: TopicConfig
  partitions: number
  /** Opened, and recovered after a crash, when it is first asked for: a start does not wait for logs nobody reads. */
  log(partition: number): PartitionLog | undefined
  close(): void
}

type TopicDefinition = { id: number; partitions: number; config: TopicConfig }
type Catalog = {
  clusterId: string
  nextTopicId: number
  nextProducerId: number
  topics: Record<string, TopicDefinition>
}

/** Topic settings that are accepted, with the broker's defaults. Those a single node cannot act on are kept and shown, no more. */
export const topicConfigDefaults: TopicConfig = {
  'cleanup.policy': 'delete',
  'compression.type': 'producer',
  'delete.retention.ms': '86400000',
  'flush.messages': '9223372036854775807',
  'flush.ms': '9223372036854775807',
  'max.compaction.lag.ms': '9223372036854775807',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'min.cleanable.dirty.ratio': '0.5',
  'min.compaction.lag.ms': '0',
  'min.insync.replicas': '1',
  'retention.bytes': '-1',
  'retention.ms': '604800000',
  'segment.bytes': '4194304',
  'segment.ms': '604800000',
  'unclean.leader.election.enable': 'false',
}

const topicName = /^[a-zA-Z0-9._-]{1,249}$/
const partitionsMax = 1_000
/** Producer ids are reserved on disk in blocks, so that none is given out twice and few need a write. */
const producerIdBlock = 1_000

/** Which topics there are, and their logs. Definitions are on disk before a creation is answered. */
export class Topics {
  readonly #catalogPath: string
  readonly #logsDirectory: string
  #catalog: Catalog
  readonly #topics = new Map<string, Topic>()
  #nextProducerId: number

  constructor(
    dataDir: string,
    readonly disk: Disk,
    readonly onTorn: (topic: string, partition: number, bytes: number) => void,
  ) {
    this.#catalogPath = join(dataDir, 'catalog.json')
    this.#logsDirectory = join(dataDir, 'logs')
    mkdirSync(this.#logsDirectory, { recursive: true })
    this.#catalog = existsSync(this.#catalogPath)
      ? JSON.parse(readFileSync(this.#catalogPath, 'utf8'))
      : { clusterId: randomBytes(16).toString('base64url'), nextTopicId: 1, nextProducerId: 1, topics: {} }
    this.#nextProducerId = this.#catalog.nextProducerId
    this.#save({})
    for (const [name, definition] of Object.entries(this.#catalog.topics)) this.#add(name, definition)
    this.#removeOrphans()
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

  /** Refuses with the code the admin client is to see, in the order of the checks. With `validateOnly` nothing is made. */
  create(topic: { name: string; partitions: number; config: TopicConfig; validateOnly?: boolean }): void {
    const { name, partitions, config } = topic
    if (!topicName.test(name) || name === '.' || name === '..')
      throw new Refusal('INVALID_TOPIC_EXCEPTION', `topic name ${JSON.stringify(name)}`)
    if (this.#topics.has(name)) throw new Refusal('TOPIC_ALREADY_EXISTS', `topic ${name} already exists`)
    if (partitions < 1 || partitions > partitionsMax)
      throw new Refusal('INVALID_PARTITIONS', `1 to ${partitionsMax} partitions`)
    for (const [key, value] of Object.entries(config)) checkConfig(key, value)
    if (topic.validateOnly) return

    const { nextTopicId: id, topics } = this.#catalog
    const definition: TopicDefinition = { id, partitions, config }
    this.#save({ nextTopicId: id + 1, topics: { ...topics, [name]: definition } })
    this.#add(name, definition)
  }

  /** The topic is gone from the answers at once; its files follow. False when there was none. */
  async delete(name: string): Promise<boolean> {
    const topic = this.#topics.get(name)
    const { [name]: definition, ...others } = this.#catalog.topics
    if (!topic || !definition) return false
    this.#save({ topics: others })
    this.#topics.delete(name)
    await this.disk.idle()
    topic.close()
    rmSync(this.#directory(name, definition), { recursive: true, force: true })
    return true
  }

  /** A producer id that no producer had before, across restarts. */
  nextProducerId(): number {
    if (this.#nextProducerId >= this.#catalog.nextProducerId) {
      this.#save({ nextProducerId: this.#nextProducerId + producerIdBlock })
    }
    return this.#nextProducerId++
  }

  /** Removes what is past its topic's limits, giving way to requests between two logs. */
  async retain(now: number): Promise<void> {
    for (const topic of this.all()) {
      for (let partition = 0; partition < topic.partitions; partition++) {
        await new Promise((resolve) => setImmediate(resolve))
        await this.disk.idle()
        if (this.find(topic.name) === topic) topic.log(partition)?.retain(now)
      }
    }
  }

  close(): void {
    for (const topic of this.all()) topic.close()
    this.#topics.clear()
  }

  #add(name: string, definition: TopicDefinition): void {
    const config = { ...topicConfigDefaults, ...definition.config }
    const { partitions } = definition
    const logs = new Map<number, PartitionLog>()
    const open = (partition: number) => {
      const directory = join(this.#directory(name, definition), String(partition))
      const onTorn = (bytes: number) => this.onTorn(name, partition, bytes)
      return new PartitionLog({ directory, disk: this.disk, limits: logLimits(config), onTorn })
    }
    const log = (partition: number) => {
      if (partition >= 0 && partition < partitions && !logs.has(partition)) logs.set(partition, open(partition))
      return logs.get(partition)
    }
    const close = () => {
      for (const each of logs.values()) each.close()
    }
    this.#topics.set(name, { name, config, partitions, log, close })
  }

  /** The id keeps a topic made anew apart from what a crash may have left of its namesake. */
  #directory(name: string, definition: TopicDefinition): string {
    return join(this.#logsDirectory, `${name}@${definition.id}`)
  }

  #removeOrphans(): void {
    const known = Object.entries(this.#catalog.topics).map(([name, definition]) => this.#directory(name, definition))
    for (const entry of readdirSync(this.#logsDirectory)) {
      const path = join(this.#logsDirectory, entry)
      if (!known.includes(path)) rmSync(path, { recursive: true, force: true })
    }
  }

  /** On disk first, in memory then: what was refused leaves no trace. */
  #save(changes: Partial<Catalog>): void {
    const catalog = { ...this.#catalog, ...changes }
    try {
      this.disk.replace(this.#catalogPath, `${JSON.stringify(catalog, null, 2)}\n`)
    } catch (error) {
      throw new Refusal('KAFKA_STORAGE_ERROR', String(error))
    }
    this.#catalog = catalog
  }
}

function checkConfig(key: string, value: string): void {
  const refuse = (why: string) => new Refusal('INVALID_CONFIG', why)
  const standard = topicConfigDefaults[key]
  if (standard === undefined) throw refuse(`unknown topic config ${key}`)
  if (/^-?\d+$/.test(standard) && !/^-?\d+$/.test(value))
    throw refuse(`${key} is a number, not ${JSON.stringify(value)}`)
  if (key === 'segment.bytes' && Number(value) < 1024) throw refuse('segment.bytes is at least 1024')
  if (key === 'max.message.bytes' && Number(value) < 0) throw refuse('max.message.bytes is not negative')
}

function logLimits(config: TopicConfig): LogLimits {
  // A compacted topic keeps everything: readers of one cope with more records than compaction would leave, never with fewer.
  const deletes = config['cleanup.policy']?.includes('delete') ?? true
  return {
    batchBytesMax: Number(config['max.message.bytes']),
    segmentBytes: Number(config['segment.bytes']),
    retentionBytes: deletes ? Number(config['retention.bytes']) : -1,
    retentionMs: deletes ? Number(config['retention.ms']) : -1,
  }
}
