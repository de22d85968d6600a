import { createHash } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivate } from '../private-files.ts'
import type { Catalog } from './catalog.ts'
import { Refusal } from './errors.ts'
import { type LogLimits, PartitionLog } from './log/partition-log.ts'
import type { Damage } from './log/segment.ts'

type TopicConfig = Record<string, string>
type Topic = TopicRow & { uuid: Buffer; config: TopicConfig; logs: Map<number, PartitionLog> }
type TopicRow = { id: number; name: string; partitions: number }

/**
 * Topic settings that are accepted, with the broker's defaults. Those a single node cannot act on
 * are kept and shown, no more.
 */
export const topicConfigDefaults: TopicConfig = {
  'cleanup.policy': 'delete',
  'compression.type': 'producer',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'min.insync.replicas': '1',
  'retention.bytes': '-1',
  'retention.ms': '604800000',
  'segment.bytes': '4194304',
  'segment.ms': '604800000',
}

const topicName = /^(?!\.\.?$)[a-zA-Z0-9._-]{1,249}$/
const partitionsMax = 1_000

/** Which topics there are, and their logs. Definitions are on disk before a creation is answered. */
export class Topics {
  readonly #logsDirectory: string
  readonly #topics = new Map<string, Topic>()
  /** Given once per data directory, and the same after every restart. */
  readonly clusterId: string

  constructor(
    dataDir: string,
    readonly catalog: Catalog,
    readonly onDamage: (topic: string, partition: number, damage: Damage) => void = () => {},
  ) {
    this.#logsDirectory = join(dataDir, 'logs')
    makePrivate(this.#logsDirectory)
    const [cluster] = catalog.read<{ id: string }>('select id from cluster')
    this.clusterId = cluster?.id ?? Bun.randomUUIDv7('base64url')
    if (!cluster) catalog.write(['insert into cluster values (?)', this.clusterId])
    for (const row of catalog.read<TopicRow & { config: string }>('select * from topics')) {
      this.#keep(row, JSON.parse(row.config))
    }
    // What a crash left of topics that were being deleted.
    const known = new Set([...this.#topics.values()].map(directoryOf))
    for (const entry of readdirSync(this.#logsDirectory)) if (!known.has(entry)) this.#remove(entry)
  }

  names(): string[] {
    return [...this.#topics.keys()]
  }

  /** Refuses a name that no topic has. */
  require(name: string): Topic {
    const topic = this.#topics.get(name)
    if (!topic) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    return topic
  }

  /** Opened, and recovered after a crash, on first use: a start does not wait for logs that are not read. */
  partition(name: string, partition: number): PartitionLog {
    const topic = this.require(name)
    if (partition < 0 || partition >= topic.partitions) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    const directory = join(this.#logsDirectory, directoryOf(topic), String(partition))
    const onDamage = (damage: Damage) => this.onDamage(name, partition, damage)
    const open = () => new PartitionLog(directory, this.catalog.disk, logLimits(topic.config), onDamage)
    const log = topic.logs.get(partition) ?? open()
    topic.logs.set(partition, log)
    return log
  }

  /** Whether the cleanup policy of a topic deletes records. */
  isDeleting(name: string): boolean {
    return deletes(this.require(name).config)
  }

  /**
   * Refuses with the code the admin client is to see, in the order of the checks. With
   * `validateOnly` nothing is made.
   */
  create(name: string, partitions = 1, config: TopicConfig = {}, validateOnly = false): void {
    if (!topicName.test(name))
      throw new Refusal('INVALID_TOPIC_EXCEPTION', `topic name ${JSON.stringify(name)}`)
    if (this.#topics.has(name)) throw new Refusal('TOPIC_ALREADY_EXISTS', `topic ${name} already exists`)
    if (partitions < 1 || partitions > partitionsMax)
      throw new Refusal('INVALID_PARTITIONS', `1 to ${partitionsMax} partitions`)
    for (const [key, value] of Object.entries(config)) checkConfig(key, value)
    if (validateOnly) return
    const settings = { ...topicConfigDefaults, ...config }
    const insert = 'insert into topics (name, partitions, config) values (?, ?, ?) returning id'
    for (const { id } of this.catalog.write<{ id: number }>([
      insert,
      name,
      partitions,
      JSON.stringify(settings),
    ])) {
      this.#keep({ id, name, partitions }, settings)
    }
  }

  delete(name: string): void {
    const topic = this.require(name)
    this.catalog.write(
      ['delete from topics where name = ?', name],
      ['delete from commits where topic = ?', name],
    )
    this.#topics.delete(name)
    for (const log of topic.logs.values()) log.close()
    this.#remove(directoryOf(topic))
  }

  /** A producer id that no producer had before, across restarts. */
  newProducerId(): number {
    const insert = 'insert into producers default values returning id'
    const [producer] = this.catalog.write<{ id: number }>([insert], ['delete from producers'])
    if (!producer) throw new Error('an insert returns its row')
    return producer.id
  }

  /** Removes what is past its topic's limits, giving way to requests between two logs. */
  async retain(now: number): Promise<void> {
    for (const topic of [...this.#topics.values()]) {
      for (let partition = 0; partition < topic.partitions; partition++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (this.#topics.get(topic.name) === topic) this.partition(topic.name, partition).retain(now)
      }
    }
  }

  close(): void {
    for (const { logs } of this.#topics.values()) for (const log of logs.values()) log.close()
    this.#topics.clear()
  }

  #keep(row: TopicRow, config: TopicConfig): void {
    const uuid = createHash('sha256').update(`${this.clusterId}/${row.id}`).digest().subarray(0, 16)
    this.#topics.set(row.name, { ...row, uuid, config, logs: new Map() })
  }

  #remove(directory: string): void {
    rmSync(join(this.#logsDirectory, directory), { recursive: true, force: true })
  }
}

/** The id separates a recreated topic from what a crash may have left of the deleted one. */
function directoryOf({ name, id }: TopicRow): string {
  return `${name}@${id}`
}

function checkConfig(key: string, value: string): void {
  const standard = topicConfigDefaults[key]
  if (standard === undefined) throw new Refusal('INVALID_CONFIG', `unknown topic config ${key}`)
  if (/\d$/.test(standard) && !/^-?\d+$/.test(value))
    throw new Refusal('INVALID_CONFIG', `${key} is a number, not ${JSON.stringify(value)}`)
  if (key === 'segment.bytes' && Number(value) < 1024)
    throw new Refusal('INVALID_CONFIG', `${key} is at least 1024`)
}

function logLimits(config: TopicConfig): LogLimits {
  // A compacted topic keeps everything: readers of one cope with more records than compaction would
  // leave, never with fewer.
  const expires = deletes(config)
  return {
    batchBytesMax: Number(config['max.message.bytes']),
    segmentBytes: Number(config['segment.bytes']),
    retentionBytes: expires ? Number(config['retention.bytes']) : -1,
    retentionMs: expires ? Number(config['retention.ms']) : -1,
  }
}

const deletes = (config: TopicConfig): boolean => /\bdelete\b/.test(config['cleanup.policy'] ?? '')
