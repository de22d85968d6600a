/** Tells whether the log at the broker is still the one that was applied, which it asks the broker. */
import { checksumOf, type Kafka } from '../../platform/kafka/client'
import { pause } from '../../platform/process/retry'
import type { Mark } from './offsets-store'

/**
 * A topic that was deleted and created again counts from 0. It is noticed by an end before what was
 * applied, or by another record in the place of the last one. `found` is the checksum of what is in
 * that place now: undefined where retention or compaction has removed it, which is no difference.
 */
export function isRecreated(
  { next, last }: { next: bigint; last: Mark | undefined },
  extent: { first: bigint; offset: bigint } | undefined,
  found: string | undefined,
): boolean {
  if (!extent) return false
  if (extent.offset < next) return true
  return last !== undefined && last.offset >= extent.first && found !== undefined && found !== last.checksum
}

type Applied = { topic: string; partition: number; next: bigint; last: Mark | undefined }

/**
 * A broker that has just taken a partition over may show a little less of it than there is: an end
 * too early is looked at again.
 */
const looksMax = 3
const lookAgainMs = 500

/**
 * Of each partition whether its topic was recreated since. Throws a `Fault` when the broker does
 * not answer.
 */
export async function findRecreated(
  kafka: Pick<Kafka, 'endOffsets' | 'recordsAt'>,
  applied: readonly Applied[],
  signal: AbortSignal,
): Promise<boolean[]> {
  // As it stands now: it may move on meanwhile.
  const all = applied.map(({ topic, partition, next, last }) => ({ topic, partition, next, last }))
  const names = [...new Set(all.map(({ topic }) => topic))]
  const look = async () => {
    const extents = await kafka.endOffsets(names)
    return all.map((one) =>
      extents.find((extent) => extent.topic === one.topic && extent.partition === one.partition),
    )
  }
  const isShort = (extents: Awaited<ReturnType<typeof look>>) =>
    all.some(({ next }, index) => (extents[index]?.offset ?? next) < next)

  let extents = await look()
  for (let looks = 1; looks < looksMax && isShort(extents); looks++) {
    await pause(lookAgainMs, signal)
    extents = await look()
  }
  const asked = all.flatMap(({ topic, partition, last }, index) => {
    const extent = extents[index]
    const isThere = last && extent && last.offset >= extent.first && last.offset < extent.offset
    return isThere ? [{ index, place: { topic, partition, offset: last.offset } }] : []
  })
  const records = await kafka.recordsAt(asked.map(({ place }) => place))
  const found = new Map(asked.map(({ index }, at) => [index, records[at]] as const))
  return all.map((one, index) => {
    const record = found.get(index)
    return isRecreated(one, extents[index], record && checksumOf(record))
  })
}
