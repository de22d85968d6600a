/**
 * Publishes records, and answers with their coordinates: in requests of a bounded size, each sent
 * once. The caller retries.
 */
import type { Kafka as KafkaClient } from 'kafkajs'
import { Fault } from '../fault'
import { brokerFault, onTopics, protocolErrorOf } from './broker-fault'
import { openProducer } from './kafkajs-internals'
import { partitionName, type RecordCoordinates } from './offsets'
import { partitionOf } from './partitioner'
import type { TopicRecords } from './produce-request'
import { bytesInBatch, type EncodedRecord, encodeRecords } from './record-writer'
import type { OutgoingRecord } from './records'
import { createParts } from './send-in-parts'

export type Publisher = ReturnType<typeof createPublisher>

/** Brokers accept batches of 1,048,588 bytes by default, and a request may be a single batch. */
export const requestBytesMax = 1_000_000

type Outgoing = EncodedRecord & { topic: string }

export function createPublisher(client: KafkaClient) {
  const producer = openProducer(client)

  async function sendTogether(records: Outgoing[]): Promise<RecordCoordinates[]> {
    const topics = [...new Set(records.map(({ topic }) => topic))]
    try {
      const partitionCounts = await producer.partitionCounts(topics)
      const partitions = records.map(({ topic, keyHash }) =>
        partitionOf(keyHash, partitionCounts.get(topic) ?? 1),
      )
      const answers = await producer.send(byPartition(records, partitions))
      return coordinatesOf(records, partitions, answers)
    } catch (error) {
      throw brokerFault(error, `Write ${onTopics(topics)}`)
    }
  }

  const send = createParts<Outgoing, RecordCoordinates>({
    bytesOf: bytesInBatch,
    isTooLarge: isTooLargeForBroker,
    bytesMax: requestBytesMax,
    bytesMin: 16_384,
    send: sendTogether,
  })
  return {
    /**
     * A result for each record, in their order: its coordinates, once all in-sync replicas have it;
     * `too_large` for the broker; or `unsent`, to be sent again. On a `Fault` some, all or none may
     * have been written: send again. A record that was written twice is at two places, and either
     * will do.
     */
    send: (records: readonly OutgoingRecord[]) =>
      send(
        encodeRecords(records).map((encoded, index) => ({
          ...encoded,
          topic: (records[index] as OutgoingRecord).topic,
        })),
      ),
    close: () => producer.close(),
  }
}

/** In their order within each partition. */
function byPartition(records: readonly Outgoing[], partitions: readonly number[]): TopicRecords[] {
  const topics = Map.groupBy(records.keys(), (index) => records[index]?.topic ?? '')
  return Array.from(topics, ([topic, indexes]) => ({
    topic,
    partitions: Array.from(
      Map.groupBy(indexes, (index) => partitions[index] as number),
      ([partition, own]) => ({ partition, records: own.map((index) => records[index] as Outgoing) }),
    ),
  }))
}

/** An upper estimate: lengths, and the framing of records and batches. */
export function bytesOnWire({ key, value, headers }: OutgoingRecord): number {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers)
  const parts = [key, value, ...pairs.flat()]
  return parts.reduce((sum: number, part) => sum + Buffer.byteLength(part ?? '') + 8, 64)
}

const isTooLargeForBroker = (error: unknown): boolean =>
  /^(MESSAGE|RECORD_LIST)_TOO_LARGE$/.test(protocolErrorOf(error)?.type ?? '')

/**
 * The broker answers with the first offset of each partition; its records follow in the order of the
 * request.
 */
export function coordinatesOf(
  records: readonly Pick<OutgoingRecord, 'topic'>[],
  partitions: readonly number[],
  answers: { topicName: string; partition: number; baseOffset?: string }[],
): RecordCoordinates[] {
  const next = new Map(
    answers.map((one) => [partitionName(one.topicName, one.partition), BigInt(one.baseOffset ?? -1)]),
  )
  return records.map(({ topic }, index) => {
    const partition = partitions[index] ?? -1
    const name = partitionName(topic, partition)
    const offset = next.get(name) ?? -1n
    if (offset < 0n) throw new Fault('broker_unavailable', `broker returned no offsets for ${name}`)
    next.set(name, offset + 1n)
    return { partition, offset }
  })
}
