/** https://kafka.apache.org/protocol#The_Messages_Produce, versions 3 to 7, without a transaction. */
import { ByteWriter } from './byte-writer'
import { bytesInBatch, type EncodedRecord, writeBatch } from './record-writer'

export type PartitionRecords = { partition: number; records: EncodedRecord[] }
export type TopicRecords = { topic: string; partitions: PartitionRecords[] }

/** Headers of the request and of batches, and names of topics. */
const partitionBytesGuess = 256

export function encodeProduce(topics: readonly TopicRecords[], acks: number, timeoutMs: number): Buffer {
  const writer = new ByteWriter(bytesOf(topics)).string(null).int16(acks).int32(timeoutMs)
  writer.int32(topics.length)
  for (const { topic, partitions } of topics) {
    writer.string(topic).int32(partitions.length)
    for (const { partition, records } of partitions) {
      writer.int32(partition).int32(0)
      const start = writer.length
      writeBatch(writer, records, Date.now())
      writer.int32At(start - 4, writer.length - start)
    }
  }
  return writer.written()
}

function bytesOf(topics: readonly TopicRecords[]): number {
  let bytes = partitionBytesGuess
  for (const { partitions } of topics)
    for (const { records } of partitions) {
      bytes += partitionBytesGuess
      for (const record of records) bytes += bytesInBatch(record)
    }
  return bytes
}
