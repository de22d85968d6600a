/**
 * Publishes records, and answers with their coordinates: in requests of a bounded size, each sent
 * once. The caller retries.
 */
import type { IHeaders, Kafka as KafkaClient } from 'kafkajs'
import { Fault } from '../fault'
import { brokerFault, onTopics, protocolErrorOf } from './broker-fault'
import { partitionName, type RecordCoordinates } from './offsets'
import { notingPartitioner, type PlacedMessage } from './partitioner'
import type { RecordHeader } from './record-set'
import type { OutgoingRecord } from './records'
import { createParts } from './send-in-parts'

export type Publisher = ReturnType<typeof createPublisher>

/** Brokers accept batches of 1,048,588 bytes by default, and a request may be a single batch. */
export const requestBytesMax = 1_000_000

export function createPublisher(client: KafkaClient) {
  const producer = client.producer({
    createPartitioner: notingPartitioner,
    allowAutoTopicCreation: false,
    // The caller sends all of it again. In its next try the library would keep the answers of
    // brokers that succeeded and skip partitions that have moved to one of them: records lost
    // without an error.
    retry: { retries: 0 },
  })
  let connected: Promise<void> | undefined

  async function sendTogether(records: OutgoingRecord[]): Promise<RecordCoordinates[]> {
    const messages = records.map(messageOf)
    const topicMessages = [...Map.groupBy(messages.keys(), (index) => records[index]?.topic ?? '')].map(
      ([topic, indexes]) => ({ topic, messages: indexes.map((index) => messages[index] as PlacedMessage) }),
    )
    try {
      connected ??= producer.connect()
      await connected
      const answers = await producer.sendBatch({ acks: -1, topicMessages })
      return coordinatesOf(records, messages, answers)
    } catch (error) {
      connected = undefined
      throw brokerFault(error, `Write ${onTopics(topicMessages.map(({ topic }) => topic))}`)
    }
  }

  return {
    /**
     * A result for each record, in their order: its coordinates, once all in-sync replicas have it;
     * `too_large` for the broker; or `unsent`, to be sent again. On a `Fault` some, all or none may
     * have been written: send again. A record that was written twice is at two places, and either
     * will do.
     */
    send: createParts<OutgoingRecord, RecordCoordinates>({
      bytesOf: bytesOnWire,
      isTooLarge: isTooLargeForBroker,
      bytesMax: requestBytesMax,
      bytesMin: 16_384,
      send: sendTogether,
    }),
    close: () => producer.disconnect(),
  }
}

function messageOf({ key, value, headers }: OutgoingRecord): PlacedMessage {
  const raw = Array.isArray(headers)
    ? headers
    : Object.entries(headers).map(([name, text]): RecordHeader => [Buffer.from(name), Buffer.from(text)])
  // The library passes them on to the encoder of `kafkajs-internals.ts` as they are.
  return { key, value, headers: raw as object as IHeaders, partition: -1 }
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
  records: Pick<OutgoingRecord, 'topic'>[],
  partitions: { partition: number }[],
  answers: { topicName: string; partition: number; baseOffset?: string }[],
): RecordCoordinates[] {
  const next = new Map(
    answers.map((one) => [partitionName(one.topicName, one.partition), BigInt(one.baseOffset ?? -1)]),
  )
  return records.map(({ topic }, index) => {
    const partition = partitions[index]?.partition ?? -1
    const name = partitionName(topic, partition)
    const offset = next.get(name) ?? -1n
    if (offset < 0n) throw new Fault('broker_unavailable', `broker returned no offsets for ${name}`)
    next.set(name, offset + 1n)
    return { partition, offset }
  })
}
