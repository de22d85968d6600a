/**
 * Detects a recreated topic for a reaction whose offsets are at the broker: these may outlive the
 * topic, and the first records of the new one would be skipped silently.
 */
import type { Kafka } from '../../platform/kafka/client'
import { type PartitionOffset, partitionName } from '../../platform/kafka/offsets'
import type { IncomingBatch } from '../../platform/kafka/records'
import type { Database } from '../../platform/postgres/database'
import type { Log } from '../../platform/telemetry/log'
import type { LastRecord, Partition } from '../projection/offsets-store'
import {
  type CheckedPartition,
  findRecreated,
  isDoubtful,
  lastRecordOf,
  partitionsIn,
} from '../projection/recreation'
import { deleteLastRecord, loadLastRecords, storeLastRecords } from './last-records-store'

type GuardedPartition = Partition & CheckedPartition
type RecreationGuardOptions = {
  database: Pick<Database, 'sql'>
  kafka: Pick<Kafka, 'clusterId' | 'endOffsets' | 'recordsAt'>
  groupId: string
  log: Log
}

export class RecreationGuard {
  readonly #options: RecreationGuardOptions
  #partitions = new Map<string, GuardedPartition>()

  constructor(options: RecreationGuardOptions) {
    this.#options = options
  }

  /** Answers which partitions to read from offset 0. The others continue at the group's offset. */
  async assign(assignment: Record<string, number[]>, signal: AbortSignal): Promise<PartitionOffset[]> {
    const { database, kafka, groupId } = this.#options
    const clusterId = await kafka.clusterId()
    const lasts = await loadLastRecords(database.sql, groupId, clusterId)
    this.#partitions = new Map(
      partitionsIn(assignment).map(({ topic, partition }) => {
        const name = partitionName(topic, partition)
        const last = lasts.get(name)
        return [name, { clusterId, topic, partition, last, next: nextAfter(last), checkedAtMs: 0 }]
      }),
    )
    const recreated = await this.#forgetRecreated([...this.#partitions.values()], signal)
    return recreated.map(({ topic, partition }) => ({ topic, partition, offset: 0n }))
  }

  /** Which of these batches not to handle, because their partitions are to be read from offset 0 instead. */
  async findRecreated(batches: readonly IncomingBatch[], signal: AbortSignal): Promise<Set<IncomingBatch>> {
    const due = batches.flatMap((batch) => {
      const one = this.#partitionOf(batch)
      return one && isDoubtful(one, batch) ? [one] : []
    })
    const recreated = await this.#forgetRecreated(due, signal)
    return new Set(
      batches.filter((batch) => {
        const one = this.#partitionOf(batch)
        return one !== undefined && recreated.includes(one) && batch.fetchedFrom > 0n
      }),
    )
  }

  /** To be called once the batches have taken effect. */
  async advance(batches: readonly IncomingBatch[]): Promise<void> {
    const read = batches.flatMap((batch) => {
      const one = this.#partitionOf(batch)
      const last = lastRecordOf(batch.records)
      return one && last ? [{ one, last }] : []
    })
    if (read.length === 0) return
    const { database, groupId } = this.#options
    await storeLastRecords(
      database.sql,
      groupId,
      read.map(({ one, last }) => ({ ...one, last })),
    )
    for (const { one, last } of read) {
      one.last = last
      one.next = nextAfter(last)
    }
  }

  #partitionOf({ topic, partition }: IncomingBatch): GuardedPartition | undefined {
    return this.#partitions.get(partitionName(topic, partition))
  }

  async #forgetRecreated(partitions: GuardedPartition[], signal: AbortSignal): Promise<GuardedPartition[]> {
    if (partitions.length === 0) return []
    const { database, kafka, groupId, log } = this.#options
    const read = partitions.filter(({ last }) => last)
    const signs = await findRecreated(kafka, read, signal)
    const recreated = read.filter((_, index) => signs[index])
    for (const one of recreated) {
      const { topic, partition } = one
      log.warn({ topic, partition }, 'topic was recreated: restarting from offset 0')
      await deleteLastRecord(database.sql, groupId, one)
      one.last = undefined
      one.next = nextAfter(undefined)
    }
    return recreated
  }
}

const nextAfter = (last: LastRecord | undefined): bigint => (last === undefined ? 0n : last.offset + 1n)
