/** Whether the log at the broker is still the one that was applied. */
import type { Kafka } from '../../platform/kafka/client'
import { checksumOf, type IncomingBatch, type IncomingRecord } from '../../platform/kafka/records'
import { pause } from '../../platform/process/retry'
import type { LastRecord } from './offsets-store'

/** How a topic that was deleted and created again shows. */
export type RecreationSign = 'log end is behind the applied offset' | 'last applied record differs'

/**
 * A topic that was deleted and created again counts from 0. It shows in a log end before the applied
 * offset, or in another record at the last applied one. `checksum` is that of the record which is there
 * now: undefined where retention or compaction has removed it, which is no difference.
 */
export function recreationSign(
  { next, last }: { next: bigint; last: LastRecord | undefined },
  extent: { first: bigint; offset: bigint } | undefined,
  checksum: string | undefined,
): RecreationSign | undefined {
  if (!extent) return undefined
  if (extent.offset < next) return 'log end is behind the applied offset'
  if (last === undefined || last.offset < extent.first) return undefined
  return checksum === undefined || checksum === last.checksum ? undefined : 'last applied record differs'
}

type Applied = { topic: string; partition: number; next: bigint; last: LastRecord | undefined }

/** `checkedAtMs`: when its log was last found to be the one that was applied, by `performance.now`. */
export type CheckedPartition = Applied & { checkedAtMs: number }

/** Whether a batch may come from the log of a recreated topic, whose first records would be skipped. */
export const isDoubtful = (
  { next, checkedAtMs }: Pick<CheckedPartition, 'next' | 'checkedAtMs'>,
  { watchedSinceMs }: Pick<IncomingBatch, 'watchedSinceMs'>,
): boolean => next > 0n && watchedSinceMs > checkedAtMs

/** A new partition leader may briefly report a log end that is too early: it is asked again. */
const triesMax = 3
const tryAgainMs = 500

/**
 * The sign of each partition, if any; one without is checked as of now. Throws a `Fault` when the broker does
 * not answer.
 */
export async function findRecreated(
  kafka: Pick<Kafka, 'endOffsets' | 'recordsAt'>,
  applied: readonly CheckedPartition[],
  signal: AbortSignal,
): Promise<(RecreationSign | undefined)[]> {
  const startedAtMs = performance.now()
  // A copy: the offsets may advance meanwhile.
  const all = applied.map(({ topic, partition, next, last }) => ({ topic, partition, next, last }))
  const topics = [...new Set(all.map(({ topic }) => topic))]
  const load = async () => {
    const extents = await kafka.endOffsets(topics)
    return all.map((one) =>
      extents.find((extent) => extent.topic === one.topic && extent.partition === one.partition),
    )
  }
  const isShort = (extents: Awaited<ReturnType<typeof load>>) =>
    all.some(({ next }, index) => (extents[index]?.offset ?? next) < next)

  let extents = await load()
  for (let tries = 1; tries < triesMax && isShort(extents); tries++) {
    await pause(tryAgainMs, signal)
    extents = await load()
  }
  const stored = all.flatMap(({ topic, partition, last }, index) => {
    const extent = extents[index]
    const isStored = last && extent && last.offset >= extent.first && last.offset < extent.offset
    return isStored ? [{ index, coordinates: { topic, partition, offset: last.offset } }] : []
  })
  const records = await kafka.recordsAt(stored.map(({ coordinates }) => coordinates))
  const recordOf = new Map(stored.map(({ index }, at) => [index, records[at]] as const))
  const signs = all.map((one, index) => {
    const record = recordOf.get(index)
    return recreationSign(one, extents[index], record && checksumOf(record))
  })
  // Of the start: the log may have been replaced since it was read.
  for (const [index, one] of applied.entries()) if (!signs[index]) one.checkedAtMs = startedAtMs
  return signs
}

/** The partitions of an assignment, which is by topic. */
export const partitionsIn = (assignment: Record<string, number[]>) =>
  Object.entries(assignment).flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition })))

/** By which a log is recognised: the last record that could be read. */
export function lastRecordOf(records: readonly IncomingRecord[]): LastRecord | undefined {
  const last = records.findLast(({ unreadable }) => !unreadable)
  return last && { offset: last.offset, checksum: checksumOf(last) }
}
