/**
 * How far behind each partition is, in records and in time. Of the database and not of the process: every
 * replica shows the same.
 */
import type { Kafka } from '../../platform/kafka/client'
import type { PartitionOffset } from '../../platform/kafka/offsets'
import type { Part } from '../../platform/process/service'
import { createMetrics, defineMetrics } from '../../platform/telemetry/metrics'
import type { Offsets } from '../projection/offsets'
import type { Freshness } from './freshness'

const partition = { topic: 'with its prefix', partition: 'its number' }

export const lagMetrics = defineMetrics({
  lag: {
    type: 'gauge',
    name: 'saldo_consumer_lag_records',
    help: 'Records of the partition that are not applied yet.',
    labels: partition,
  },
  age: {
    type: 'gauge',
    name: 'saldo_consumer_oldest_unapplied_seconds',
    help: 'How long ago the oldest record that is not applied yet was published; 0 where all are.',
    labels: partition,
  },
  readModelAge: {
    type: 'gauge',
    name: 'saldo_read_model_age_seconds',
    help: 'How long ago everything that the broker had was applied: the age of Balances-As-Of.',
  },
})

/** Older log ends say nothing about now, in milliseconds. */
const endsAgeMaxMs = 5000

type LagOptions = { kafka: Pick<Kafka, 'recordsAt'>; freshness: () => Freshness }

export function createLagMetrics({ kafka, freshness }: LagOptions) {
  let last: { ends: Offsets; applied: Offsets; atMs: number } | undefined
  /** Of the oldest record of each partition that is behind. A record keeps its time, so it is read once. */
  const published = new Map<string, { offset: bigint; atMs: number }>()

  const behind = () =>
    [...(last?.ends ?? [])].map(([name, end]) => {
      const offset = last?.applied.get(name) ?? 0n
      return { name, ...placeOf(name), offset, lag: end > offset ? end - offset : 0n }
    })
  const metrics = createMetrics(lagMetrics, {
    lag: () =>
      behind().map(({ topic, partition, lag }) => [{ topic, partition: String(partition) }, Number(lag)]),
    readModelAge() {
      const { asOf } = freshness()
      return asOf === undefined ? [] : (Date.now() - Date.parse(asOf)) / 1000
    },
  })

  const ageMsOf = ({ name, lag }: { name: string; lag: bigint }) => {
    if (lag === 0n) return 0
    const since = published.get(name)?.atMs
    return since === undefined ? undefined : Math.max(0, Date.now() - since)
  }

  return {
    metrics: metrics.all,
    /** As of the last sample of the log ends and of the ages. */
    partitions: () =>
      behind().map((one) => ({
        topic: one.topic,
        partition: one.partition,
        records: Number(one.lag),
        oldestAgeMs: ageMsOf(one),
      })),
    /** Called with every sample of the log ends; undefined where there was none. */
    observe(ends: Offsets | undefined, applied: Offsets | undefined): void {
      if (ends && applied) last = { ends, applied, atMs: performance.now() }
    },
    async sample(): Promise<void> {
      if (!last || performance.now() - last.atMs > endsAgeMaxMs) throw new Error('the log ends are not known')
      const partitions = behind()
      const unknown = partitions.filter(
        ({ name, offset, lag }) => lag > 0n && published.get(name)?.offset !== offset,
      )
      const records = await kafka.recordsAt(unknown as PartitionOffset[])
      for (const [index, { name, offset }] of unknown.entries()) {
        // Without that record, it has been the oldest since now at the latest.
        published.set(name, { offset, atMs: records[index]?.timestampMs ?? Date.now() })
      }
      metrics.age.clear()
      for (const { topic, partition, ...one } of partitions)
        metrics.age.set({ topic, partition: String(partition) }, (ageMsOf(one) ?? 0) / 1000)
    },
  } satisfies Pick<Part, 'metrics' | 'sample'> & { observe: unknown; partitions: unknown }
}

/** Of a name that `partitionName` made. */
function placeOf(name: string): { topic: string; partition: number } {
  const end = name.lastIndexOf('/')
  return { topic: name.slice(0, end), partition: Number(name.slice(end + 1)) }
}
