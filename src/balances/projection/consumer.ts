/**
 * Consumes the topics into the tables.
 *
 * - Rows and offset commit in one transaction of our database, so each record takes effect exactly
 *   once, wherever the process is killed. The group's offsets at the broker only show lag.
 * - Offsets advance by compare-and-set: a member that lost its partition applies nothing.
 * - Offsets are read from the database at each assignment, never remembered: another member may have
 *   had the partition since.
 */
import { messageOf } from '../../platform/fault'
import type { Kafka } from '../../platform/kafka/client'
import { keepSubscribed } from '../../platform/kafka/keep-subscribed'
import { type PartitionOffset, partitionName } from '../../platform/kafka/offsets'
import type { IncomingBatch, IncomingRecord } from '../../platform/kafka/records'
import type { Fetching } from '../../platform/kafka/subscription'
import type { Database } from '../../platform/postgres/database'
import type { Check } from '../../platform/process/service'
import type { Tracing } from '../../platform/telemetry/spans'
import { BatchApplier, type BatchApplierOptions, type PartitionRecords } from './batch-applier'
import { loadOffsets, resetOffset, type StoredOffset } from './offsets-store'
import {
  type CheckedPartition,
  findRecreated,
  isDoubtful,
  partitionsIn,
  type RecreationSign,
} from './recreation'
import { Retries } from './retries'
import { isPersonalTopic } from './topics'

export type ConsumerOptions = Pick<
  BatchApplierOptions,
  'log' | 'read' | 'onApplied' | 'onDeadLetters' | 'observer' | 'metrics' | 'recordsMax'
> & {
  tracing?: Tracing | undefined
  database: Database
  kafka: Kafka
  groupId: string
  /** With the installation's prefix. */
  topics: string[]
  /** Of a topic that does not exist yet. */
  partitions: number
  fetching?: Fetching
}

export type Consumer = {
  health(): Promise<Check>
  /** Our partitions at the moment, as `topic/partition`; undefined while the group is being joined. */
  assigned(): string[] | undefined
  /**
   * Whether one of our topics was recreated, also where no record arrives that would show it. False while the
   * broker does not answer.
   */
  hasRecreatedTopic(signal: AbortSignal): Promise<boolean>
  /** Lets the batch in hand finish and leaves the group. */
  stop(): Promise<void>
}

/**
 * `seekedTo` is the offset of the last seek, undefined where one is due; `recreated` is set until the
 * restart.
 */
type AssignedPartition = StoredOffset &
  CheckedPartition & {
    seekedTo: bigint | undefined
    lag: bigint
    recreated: RecreationSign | undefined
  }

type Fetched = { batch: IncomingBatch; partition: AssignedPartition }

/** Runs in the background: subscribes as soon as there is a broker, and until it is stopped. */
export function startConsumer(options: ConsumerOptions): Consumer {
  return new ProjectionConsumer(options)
}

class ProjectionConsumer implements Consumer {
  readonly #options: ConsumerOptions
  readonly #stopping = new AbortController()
  readonly #retries: Retries
  readonly #applier: BatchApplier
  #partitions = new Map<string, AssignedPartition>()
  #isAssigned = false
  #trouble: string | undefined = 'no answer from the broker yet'
  #appliedAt: Date | undefined
  readonly #running: Promise<void>

  constructor(options: ConsumerOptions) {
    const {
      database,
      kafka,
      read,
      onApplied,
      onDeadLetters,
      observer,
      metrics,
      recordsMax,
      tracing,
      ...subscription
    } = options
    const { log } = options
    this.#options = options
    this.#retries = new Retries(log)
    const retries = this.#retries
    this.#applier = new BatchApplier({
      ...{ database, log, retries, read, onApplied, onDeadLetters, observer, metrics, recordsMax },
      tracing: tracing && { tracing, groupId: subscription.groupId },
    })
    this.#running = keepSubscribed(kafka, {
      ...subscription,
      onBatches: (batches, signal) => this.#onBatches(batches, signal),
      onAssigned: (assignment, signal) => this.#onAssigned(assignment, signal),
      onTrouble: (error) => {
        this.#isAssigned = false
        this.#trouble = messageOf(error)
      },
      signal: this.#stopping.signal,
    })
  }

  async health(): Promise<Check> {
    const { blockedOn } = this.#retries
    if (!this.#isAssigned) return { status: 'warn', output: this.#trouble ?? 'joining the consumer group' }
    if (blockedOn) return { status: 'warn', output: `waiting: ${blockedOn}` }
    if (!(await this.#options.kafka.isReachable()))
      return { status: 'warn', output: 'the broker cannot be reached' }
    const lag = [...this.#partitions.values()].reduce((sum, partition) => sum + partition.lag, 0n)
    const last = this.#appliedAt ? `last applied at ${this.#appliedAt.toISOString()}` : 'nothing applied yet'
    return { status: 'pass', output: `${this.#partitions.size} partitions, ${lag} records behind, ${last}` }
  }

  assigned(): string[] | undefined {
    return this.#isAssigned ? [...this.#partitions.keys()] : undefined
  }

  async hasRecreatedTopic(signal: AbortSignal): Promise<boolean> {
    if (!this.#isAssigned) return false
    const partitions = [...this.#partitions.values()]
    await this.#check(partitions, signal).catch(() => {})
    return partitions.some(({ recreated }) => recreated !== undefined)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #onAssigned(assignment: Record<string, number[]>, signal: AbortSignal): Promise<PartitionOffset[]> {
    this.#isAssigned = false
    const assigned = await this.#retries.run(() => this.#load(assignment, signal), signal)
    for (const partition of assigned) {
      if (partition.recreated) await this.#restart(partition, signal)
      partition.seekedTo = partition.next
    }
    this.#partitions = new Map(assigned.map((one) => [partitionName(one.topic, one.partition), one]))
    this.#isAssigned = true
    this.#trouble = undefined
    this.#options.log.info({ assignment }, 'partitions assigned')
    return assigned.map(({ topic, partition, next }) => ({ topic, partition, offset: next }))
  }

  async #load(assignment: Record<string, number[]>, signal: AbortSignal): Promise<AssignedPartition[]> {
    const { database, kafka } = this.#options
    const stored = await loadOffsets(database.sql, await kafka.clusterId(), partitionsIn(assignment))
    const partitions = stored.map(
      (offset): AssignedPartition => ({
        ...offset,
        seekedTo: offset.next,
        lag: 0n,
        recreated: undefined,
        checkedAtMs: 0,
      }),
    )
    await this.#check(partitions, signal)
    return partitions
  }

  /** Answers where to continue, for each batch. */
  async #onBatches(batches: IncomingBatch[], signal: AbortSignal): Promise<bigint[]> {
    const ours = batches.flatMap((batch) => {
      const partition = this.#partitionOf(batch)
      return partition ? [{ batch, partition }] : []
    })
    await this.#restartRecreated(ours, signal)
    const due = ours.filter((one) => this.#isDue(one))
    const applied = await this.#applier.apply(
      due.map(({ batch, partition }) => recordsFrom(partition, batch)),
      signal,
    )
    for (const [index, { batch, partition }] of due.entries()) {
      if (applied[index]) partition.lag = batch.highWatermark - partition.next
      else if (!signal.aborted) {
        const { topic } = batch
        this.#options.log.warn({ topic, partition: batch.partition }, 'lost ownership of partition')
        await this.#reload(partition, signal)
      }
    }
    if (applied.includes(true)) this.#appliedAt = new Date()
    return batches.map((batch) => {
      const partition = this.#partitionOf(batch)
      // Revoked while the batch was in flight.
      if (!partition) return batch.fetchedFrom
      if (partition.next !== batch.next) partition.seekedTo = partition.next
      return partition.next
    })
  }

  #partitionOf({ topic, partition }: IncomingBatch): AssignedPartition | undefined {
    return this.#partitions.get(partitionName(topic, partition))
  }

  /** Whether the batch begins where the partition continues. */
  #isDue({ batch, partition }: Fetched): boolean {
    const { topic, fetchedFrom } = batch
    if (fetchedFrom === partition.next) return true
    if (fetchedFrom < partition.next || partition.seekedTo !== partition.next) return false
    // After an erasure all that is left of personal data is published again.
    if (!isPersonalTopic(topic))
      this.#options.log.warn(
        { topic, partition: batch.partition, from: partition.next, to: fetchedFrom - 1n },
        'records were deleted from the topic before they could be applied',
      )
    return true
  }

  async #restartRecreated(fetched: Fetched[], signal: AbortSignal): Promise<void> {
    const doubtful = fetched.filter(({ batch, partition }) => isDoubtful(partition, batch))
    const partitions = doubtful.map(({ partition }) => partition)
    if (partitions.length > 0) await this.#retries.run(() => this.#check(partitions, signal), signal)
    for (const { batch, partition } of fetched) {
      if (batch.highWatermark < partition.next) partition.recreated = 'log end is behind the applied offset'
      if (partition.recreated) await this.#restart(partition, signal)
    }
  }

  /** Marks the partitions whose log is no longer the one that was applied. */
  async #check(partitions: AssignedPartition[], signal: AbortSignal): Promise<void> {
    const compared = partitions.map(({ last }) => last)
    const signs = await findRecreated(this.#options.kafka, partitions, signal)
    for (const [index, partition] of partitions.entries()) {
      // A partition that has moved on meanwhile was not the one that was compared.
      if (partition.last === compared[index]) partition.recreated ??= signs[index]
    }
  }

  async #restart(partition: AssignedPartition, signal: AbortSignal): Promise<void> {
    this.#options.log.warn(
      { topic: partition.topic, partition: partition.partition, applied: partition.next },
      `topic was recreated (${partition.recreated}): restarting from offset 0. ` +
        'Rows of the former topic remain until a rebuild',
    )
    await this.#retries.run(() => resetOffset(this.#options.database.sql, partition), signal)
    await this.#reload(partition, signal)
    partition.recreated = undefined
  }

  async #reload(partition: AssignedPartition, signal: AbortSignal): Promise<void> {
    const { sql } = this.#options.database
    const [stored] = await this.#retries.run(() => loadOffsets(sql, partition.clusterId, [partition]), signal)
    partition.next = stored?.next ?? 0n
    partition.last = stored?.last
    // The batch in hand was fetched before it, even if an earlier seek was to this offset.
    partition.seekedTo = undefined
  }
}

/** Without those that were applied already. */
function recordsFrom(partition: AssignedPartition, { records, next: to }: IncomingBatch): PartitionRecords {
  const isNew = ({ offset, unreadable }: IncomingRecord) =>
    (unreadable?.lastOffset ?? offset) >= partition.next
  return { offset: partition, records: records.filter(isNew), to }
}
