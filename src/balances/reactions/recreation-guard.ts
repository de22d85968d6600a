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
import { findRecreated, lastRecordOf, partitionsIn } from '../projection/recreation'
import { deleteLastRecord, loadLastRecords, storeLastRecords } from './last-records-store'

type GuardedPartition = Partition & { last: LastRecord | undefined; checkedAtMs: number; readAtMs: number }
type RecreationGuardOptions = {
  database: Pick<Database, 'sql'>
  kafka: Pick<Kafka, 'clusterId' | 'endOffsets' | 'recordsAt'>
  groupId: string
  log: Log
}

/** How often the log is compared with what was read of it while records arrive, and after which pause. */
const recheckMs = 5000
const pauseMs = 1500

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
        return [name, { clusterId, topic, partition, last: lasts.get(name), checkedAtMs: 0, readAtMs: 0 }]
      }),
    )
    const recreated = await this.#forgetRecreated([...this.#partitions.values()], signal)
    return recreated.map(({ topic, partition }) => ({ topic, partition, offset: 0n }))
  }

  /** Which of these batches not to handle, because their partitions are to be read from offset 0 instead. */
  async findRecreated(batches: readonly IncomingBatch[], signal: AbortSignal): Promise<Set<IncomingBatch>> {
    const due = batches.flatMap((batch) => {
      const one = this.#partitionOf(batch)
      return one?.last && isDue(one, one.last, batch) ? [one] : []
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
      one.readAtMs = performance.now()
    }
  }

  #partitionOf({ topic, partition }: IncomingBatch): GuardedPartition | undefined {
    return this.#partitions.get(partitionName(topic, partition))
  }

  async #forgetRecreated(partitions: GuardedPartition[], signal: AbortSignal): Promise<GuardedPartition[]> {
    if (partitions.length === 0) return []
    const { database, kafka, groupId, log } = this.#options
    const read = partitions.filter(({ last }) => last)
    for (const one of read) one.checkedAtMs = performance.now()
    const applied = read.map((one) => ({ ...one, next: (one.last?.offset ?? -1n) + 1n }))
    const signs = await findRecreated(kafka, applied, signal)
    const recreated = read.filter((_, index) => signs[index])
    for (const one of recreated) {
      const { topic, partition } = one
      log.warn({ topic, partition }, 'topic was recreated: restarting from offset 0')
      await deleteLastRecord(database.sql, groupId, one)
      one.last = undefined
    }
    return recreated
  }
}

function isDue({ checkedAtMs, readAtMs }: GuardedPartition, last: LastRecord, batch: IncomingBatch): boolean {
  const now = performance.now()
  // Without a pause the reader, which fetches several times within it, would have met the deletion itself.
  return batch.fetchedFrom <= last.offset || now - checkedAtMs >= recheckMs || now - readAtMs >= pauseMs
}
