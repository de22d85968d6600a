/** For how long records have been on their topics. A record keeps its time, so it is read once. */
import type { Kafka } from './client'
import { type PartitionOffset, partitionName } from './offsets'

type Place = Pick<PartitionOffset, 'topic' | 'partition'>

/** Of one record of each partition: the oldest that something has still to do with. */
export class RecordAges {
  readonly #kafka: Pick<Kafka, 'recordsAt'>
  readonly #published = new Map<string, { offset: bigint; atMs: number }>()

  constructor(kafka: Pick<Kafka, 'recordsAt'>) {
    this.#kafka = kafka
  }

  /** Those that are new. */
  async read(records: readonly PartitionOffset[]): Promise<void> {
    const isKnown = ({ topic, partition, offset }: PartitionOffset) =>
      this.#published.get(partitionName(topic, partition))?.offset === offset
    const unknown = records.filter((one) => !isKnown(one))
    const found = await this.#kafka.recordsAt(unknown)
    for (const [index, { topic, partition, offset }] of unknown.entries()) {
      // Without that record, it has been the oldest since now at the latest.
      const atMs = found[index]?.timestampMs ?? Date.now()
      this.#published.set(partitionName(topic, partition), { offset, atMs })
    }
  }

  /** Of the one that was read last, in milliseconds; undefined where none was. */
  ageMs({ topic, partition }: Place): number | undefined {
    const since = this.#published.get(partitionName(topic, partition))?.atMs
    return since === undefined ? undefined : Math.max(0, Date.now() - since)
  }
}
