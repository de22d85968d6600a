/**
 * How far behind each partition is, in records and in time. Of the database and not of the process: every
 * replica shows the same.
 */
import type { Kafka } from '../../platform/kafka/client'
import { RecordAges } from '../../platform/kafka/record-ages'
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
  const ages = new RecordAges(kafka)

  const behind = () =>
    [...(last?.ends ?? [])].map(([name, end]) => {
      const offset = last?.applied.get(name) ?? 0n
      return { ...placeOf(name), offset, lag: end > offset ? end - offset : 0n }
    })
  const metrics = createMetrics(lagMetrics, {
    lag: () =>
      behind().map(({ topic, partition, lag }) => [{ topic, partition: String(partition) }, Number(lag)]),
    readModelAge() {
      const { asOf } = freshness()
      return asOf === undefined ? [] : (Date.now() - Date.parse(asOf)) / 1000
    },
  })

  const ageMsOf = (one: ReturnType<typeof behind>[number]) => (one.lag === 0n ? 0 : ages.ageMs(one))

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
      await ages.read(partitions.filter(({ lag }) => lag > 0n))
      metrics.age.clear()
      for (const one of partitions)
        metrics.age.set({ topic: one.topic, partition: one.partition }, (ageMsOf(one) ?? 0) / 1000)
    },
  } satisfies Pick<Part, 'metrics' | 'sample'> & { observe: unknown; partitions: unknown }
}

/** Of a name that `partitionName` made. */
function placeOf(name: string): { topic: string; partition: number } {
  const end = name.lastIndexOf('/')
  return { topic: name.slice(0, end), partition: Number(name.slice(end + 1)) }
}
