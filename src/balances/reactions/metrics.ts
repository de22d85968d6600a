/** How far the reaction to large movements is behind: its offsets are at the broker. */
import type { Kafka } from '../../platform/kafka/client'
import { partitionName } from '../../platform/kafka/offsets'
import { RecordAges } from '../../platform/kafka/record-ages'
import type { Part } from '../../platform/process/service'
import { createMetrics, defineMetrics } from '../../platform/telemetry/metrics'

const partition = { topic: 'with its prefix', partition: 'its number' }

export const largeMovementMetrics = defineMetrics({
  lag: {
    type: 'gauge',
    name: 'saldo_large_movements_lag_records',
    help: 'Records of the partition that were not looked through for large movements yet.',
    labels: partition,
  },
  age: {
    type: 'gauge',
    name: 'saldo_large_movements_oldest_unread_seconds',
    help: 'How long ago the oldest of them was published; 0 where there is none.',
    labels: partition,
  },
})

type Options = {
  kafka: Pick<Kafka, 'endOffsets' | 'groupOffsets' | 'recordsAt'>
  groupId: string
  topics: string[]
}

/** Every replica shows the same: it is that of the group. */
export function createLargeMovementMetrics({ kafka, groupId, topics }: Options) {
  const metrics = createMetrics(largeMovementMetrics)
  const ages = new RecordAges(kafka)
  return {
    metrics: metrics.all,
    async sample(): Promise<void> {
      // Before the ends, which are beyond them then.
      const committed = await kafka.groupOffsets(groupId, topics)
      const ends = await kafka.endOffsets(topics)
      const partitions = ends.map(({ topic, partition, first, offset: end }) => {
        const next = committed.get(partitionName(topic, partition)) ?? 0n
        const offset = next < first ? first : next
        return { topic, partition, offset, lag: end > offset ? end - offset : 0n }
      })
      const behind = partitions.filter(({ lag }) => lag > 0n)
      await ages.read(behind)
      for (const one of partitions) {
        const labels = { topic: one.topic, partition: one.partition }
        metrics.lag.set(labels, Number(one.lag))
        metrics.age.set(labels, one.lag === 0n ? 0 : (ages.ageMs(one) ?? 0) / 1000)
      }
    },
  } satisfies Pick<Part, 'metrics' | 'sample'>
}
