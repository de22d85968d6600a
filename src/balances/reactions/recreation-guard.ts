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
import { loadLastRecords, storeLastRecord } from './last-records-store'

type GuardedPartition = Partition & { last: LastRecord | undefined; checkedAtMs: number; readAtMs: number }
type RecreationGuardOptions = {
  database: Pick<Database, 'sql'>
  kafka: Pick<Kafka, 'clusterId' | 'endOffsets' | 'recordsAt'>
  groupId: string
  log: Log
}

/** How often the log is compared with what was read of it while records arrive, and after which pause. */
const recheckMs = 5000
const pauseMs = 500

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

  /** Whether to read the partition from offset 0 instead of handling this batch. */
  async mustRestart({ topic, partition, fetchedFrom }: IncomingBatch, signal: AbortSignal): Promise<boolean> {
    const one = this.#partitions.get(partitionName(topic, partition))
    if (!one?.last) return false
    const isBehind = fetchedFrom <= one.last.offset
    const now = performance.now()
    // Without a pause the reader would have met the deletion itself.
    if (!isBehind && now - one.checkedAtMs < recheckMs && now - one.readAtMs < pauseMs) return false
    const recreated = await this.#forgetRecreated([one], signal)
    return recreated.length > 0 && fetchedFrom > 0n
  }

  /** To be called once the batch has taken effect. */
  async advance({ topic, partition, records }: IncomingBatch): Promise<void> {
    const one = this.#partitions.get(partitionName(topic, partition))
    const last = lastRecordOf(records)
    if (!one || !last) return
    await storeLastRecord(this.#options.database.sql, this.#options.groupId, one, last)
    one.last = last
    one.readAtMs = performance.now()
  }

  async #forgetRecreated(partitions: GuardedPartition[], signal: AbortSignal): Promise<GuardedPartition[]> {
    const { database, kafka, groupId, log } = this.#options
    const read = partitions.filter(({ last }) => last)
    for (const one of read) one.checkedAtMs = performance.now()
    const applied = read.map((one) => ({ ...one, next: (one.last?.offset ?? -1n) + 1n }))
    const signs = await findRecreated(kafka, applied, signal)
    const recreated = read.filter((_, index) => signs[index])
    for (const one of recreated) {
      const { topic, partition } = one
      log.warn({ topic, partition }, 'topic was recreated: restarting from offset 0')
      await storeLastRecord(database.sql, groupId, one, undefined)
      one.last = undefined
    }
    return recreated
  }
}
