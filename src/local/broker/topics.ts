import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivate } from '../private-files.ts'
import { Catalog, type Topic, type TopicConfig } from './catalog.ts'
import { Refusal } from './errors.ts'
import type { Disk } from './log/disk.ts'
import { type Entry, Journal, type Owner } from './log/journal.ts'
import { type LogLimits, PartitionLog } from './log/partition-log.ts'
import type { Damage } from './log/segment.ts'

/** Where damage was found; unknown where the header of a journal's entry is what was damaged. */
export type Place = { topic: string; partition: number } | undefined

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
  'unclean.leader.election.enable': 'false',
}

const topicName = /^(?!\.\.?$)[a-zA-Z0-9._-]{1,249}$/
const partitionsMax = 1_000

/** All logs, and what is known beside them. */
export class Topics {
  readonly catalog: Catalog
  readonly #journal: Journal
  readonly #logsDirectory: string
  readonly #logs = new Map<string, PartitionLog>()
  /** What the journal has of logs that were not yet opened. */
  readonly #replayed = new Map<string, Entry[]>()

  constructor(
    dataDir: string,
    disk: Disk,
    readonly onDamage: (place: Place, damage: Damage) => void = () => {},
  ) {
    this.#logsDirectory = join(dataDir, 'logs')
    makePrivate(this.#logsDirectory)
    this.#journal = new Journal(join(dataDir, 'journal'), disk)
    this.catalog = new Catalog(dataDir, this.#journal)
    this.#journal.replay((entry) => this.#replay(entry))
    // What a crash left of topics that were being deleted.
    const known = new Set([...this.catalog.topics.values()].map(directoryOf))
    for (const entry of readdirSync(this.#logsDirectory)) if (!known.has(entry)) this.#remove(entry)
  }

  names(): string[] {
    return [...this.catalog.topics.keys()]
  }

  /** Refuses a name that no topic has. */
  require(name: string): Topic {
    const topic = this.catalog.topics.get(name)
    if (!topic) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    return topic
  }

  /** Opened, and recovered after a crash, on first use: a start does not wait for logs that are not read. */
  partition(name: string, partition: number): PartitionLog {
    const topic = this.require(name)
    const key = `${topic.id}/${partition}`
    const opened = this.#logs.get(key)
    if (opened) return opened
    if (partition < 0 || partition >= topic.partitions) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION')
    const log = new PartitionLog(
      join(this.#logsDirectory, directoryOf(topic), String(partition)),
      { topic: topic.id, partition },
      this.#journal,
      logLimits(topic.config),
      (damage) => this.onDamage({ topic: name, partition }, damage),
      this.#replayed.get(key),
    )
    this.#replayed.delete(key)
    this.#logs.set(key, log)
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
    if (this.catalog.topics.has(name))
      throw new Refusal('TOPIC_ALREADY_EXISTS', `topic ${name} already exists`)
    if (partitions < 1 || partitions > partitionsMax)
      throw new Refusal('INVALID_PARTITIONS', `1 to ${partitionsMax} partitions`)
    for (const [key, value] of Object.entries(config)) checkConfig(key, value)
    if (validateOnly) return
    this.catalog.create(name, partitions, { ...topicConfigDefaults, ...config })
  }

  /** Sets these, or their defaults where they are null, also of logs that are open. Refuses as `create`. */
  configure(name: string, changes: Readonly<Record<string, string | null>>, validateOnly = false): void {
    const topic = this.require(name)
    const config = { ...topic.config }
    for (const [key, value] of Object.entries(changes)) {
      checkConfig(key, value ?? topicConfigDefaults[key] ?? '')
      config[key] = value ?? topicConfigDefaults[key] ?? ''
    }
    if (validateOnly) return
    this.catalog.configure(name, config)
    for (const log of this.#logs.values()) if (log.place.topic === topic.id) log.limits = logLimits(config)
  }

  delete(name: string): void {
    const topic = this.require(name)
    this.#journal.erase()
    this.catalog.delete(name)
    for (const [key, log] of this.#logs) {
      if (log.place.topic !== topic.id) continue
      this.#logs.delete(key)
      log.close()
    }
    this.#remove(directoryOf(topic))
  }

  /** Removes what is past its topic's limits, giving way to requests between two logs. */
  async retain(now: number): Promise<void> {
    this.#journal.catchUp()
    for (const topic of [...this.catalog.topics.values()]) {
      const { retentionBytes, retentionMs } = logLimits(topic.config)
      if (retentionBytes < 0 && retentionMs < 0) continue
      for (let partition = 0; partition < topic.partitions; partition++) {
        await new Promise((resolve) => setImmediate(resolve))
        if (this.catalog.topics.get(topic.name) === topic) this.partition(topic.name, partition).retain(now)
      }
    }
  }

  close(): void {
    this.#journal.close()
    for (const log of this.#logs.values()) log.close()
  }

  #replay(entry: Entry): Owner | undefined {
    const { topic: id, partition, damaged } = entry
    const topic = [...this.catalog.topics.values()].find((one) => one.id === id)
    if (damaged && !topic) this.onDamage(undefined, { ...damaged, fromOffset: 0, toOffset: 0 })
    else if (id === 0) {
      this.catalog.replay(entry)
      return this.catalog
    }
    if (!topic || partition >= topic.partitions) return undefined
    const key = `${id}/${partition}`
    const entries = this.#replayed.get(key)
    entries?.push(entry)
    if (entries) return undefined
    this.#replayed.set(key, [entry])
    const notYet = () => {}
    return {
      written: notYet,
      failed: notYet,
      persist: (most) => this.partition(topic.name, partition).persist(most),
    }
  }

  #remove(directory: string): void {
    rmSync(join(this.#logsDirectory, directory), { recursive: true, force: true })
  }
}

/** The id separates a recreated topic from what a crash may have left of the deleted one. */
function directoryOf({ name, id }: Topic): string {
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
