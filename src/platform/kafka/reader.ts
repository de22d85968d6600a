/** Reads records without a consumer group, and commits nothing. */
import type { Kafka as KafkaClient } from 'kafkajs'
import { Fault } from '../fault'
import { brokerFault, onTopics } from './broker-fault'
import { openReader, type PartitionReader } from './kafkajs-internals'
import { type OffsetRange, type PartitionOffset, partitionName } from './offsets'
import { type IncomingBatch, type IncomingRecord, toIncomingBatch } from './records'

const fetchBytesMax = 1_048_576
/** Empty answers in a row, of half a second each, before a range counts as lost. */
const emptyFetchesMax = 20

/** All records of these ranges, one partition after the other. */
export async function* readRanges(client: KafkaClient, ranges: OffsetRange[]): AsyncGenerator<IncomingBatch> {
  try {
    await using reader = await openReader(client, topicsOf(ranges))
    for (const range of ranges) yield* readRange(reader, range)
  } catch (error) {
    throw brokerFault(error, rightsFor(ranges))
  }
}

const topicsOf = (targets: readonly { topic: string }[]) => targets.map(({ topic }) => topic)
const rightsFor = (targets: readonly { topic: string }[]) => `Read ${onTopics(topicsOf(targets))}`

async function* readRange(reader: PartitionReader, range: OffsetRange): AsyncGenerator<IncomingBatch> {
  const { topic, partition, first, offset: end } = range
  let emptyFetches = 0
  for (let next = first; next < end; ) {
    const options = { topic, partition, offset: next, bytesMax: fetchBytesMax, waitMs: 500 }
    const batch = toIncomingBatch(await reader.batchAt(options))
    if (batch.next === next && ++emptyFetches > emptyFetchesMax)
      throw new Fault(
        'broker_unavailable',
        `broker returned no records of ${partitionName(topic, partition)} from offset ${next}`,
      )
    const records = batch.records.filter(({ offset }) => offset < end)
    next = batch.next
    if (records.length > 0) yield { ...batch, records }
  }
}

/** One connection for all questions, opened at the first and replaced after a failure. */
export function createRecordFinder(client: KafkaClient) {
  let opened: Promise<PartitionReader> | undefined

  /**
   * The records at these offsets; undefined where the log has none, or none that can be read. One request
   * each.
   */
  async function recordsAt(offsets: PartitionOffset[]): Promise<(IncomingRecord | undefined)[]> {
    if (offsets.length === 0) return []
    const isReused = opened !== undefined
    opened ??= openReader(client, topicsOf(offsets))
    const current = opened
    try {
      const reader = await current
      await reader.addTopics(topicsOf(offsets))
      const records: (IncomingRecord | undefined)[] = []
      for (const one of offsets) records.push(await readRecordAt(reader, one))
      return records
    } catch (error) {
      if (opened === current) opened = undefined
      current.then((reader) => reader[Symbol.asyncDispose]()).catch(() => {})
      // It knew the brokers and leaders of before.
      if (isReused) return recordsAt(offsets)
      throw brokerFault(error, rightsFor(offsets))
    }
  }

  return {
    recordsAt,
    async close(): Promise<void> {
      await opened?.then((reader) => reader[Symbol.asyncDispose]()).catch(() => {})
    },
  }
}

async function readRecordAt(
  reader: PartitionReader,
  target: PartitionOffset,
): Promise<IncomingRecord | undefined> {
  try {
    // Of one byte brokers make one batch: they answer with the first, of any size.
    const fetched = await reader.batchAt({ ...target, bytesMax: 1, waitMs: 100, uncommitted: true })
    const record = toIncomingBatch(fetched).records.find(({ offset }) => offset === target.offset)
    return record?.unreadable ? undefined : record
  } catch (error) {
    if (error instanceof Error && error.name === 'KafkaJSOffsetOutOfRange') return undefined
    throw error
  }
}
