import { buf as crc32c } from 'crc-32/crc32c.js'
import { readRecordSet } from '../../../platform/kafka/record-set.ts'
import { Refusal } from '../errors.ts'

/**
 * The record batch, format v2 (https://kafka.apache.org/documentation/#recordbatch). Batches are kept as they
 * were sent; the broker reads the header and writes the two fields in front of the checksum that are its own.
 *
 * baseOffset int64 · batchLength int32 · partitionLeaderEpoch int32 · magic int8 · crc uint32 · attributes
 * int16 · lastOffsetDelta int32 · baseTimestamp int64 · maxTimestamp int64 · producerId int64 · producerEpoch
 * int16 · baseSequence int32 · recordsCount int32 · records
 */
export type BatchHeader = NonNullable<ReturnType<typeof readHeader>>

export const headerBytes = 61
/** What stands in front of the part that `batchLength` counts. */
const lengthBytes = 12
const transactionalOrControl = 0x30
/** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
const compressionMask = 0x07

/** Reads the header at `at`. Undefined when there are too few bytes for one, or they cannot be one. */
export function readHeader(buffer: Buffer, at = 0) {
  if (buffer.length - at < headerBytes || buffer[at + 16] !== 2) return undefined
  const baseOffset = Number(buffer.readBigInt64BE(at))
  const header = {
    baseOffset,
    bytes: buffer.readInt32BE(at + 8) + lengthBytes,
    attributes: buffer.readInt16BE(at + 21),
    lastOffset: baseOffset + buffer.readInt32BE(at + 23),
    maxTimestamp: Number(buffer.readBigInt64BE(at + 35)),
    producerId: Number(buffer.readBigInt64BE(at + 43)),
    producerEpoch: buffer.readInt16BE(at + 51),
    baseSequence: buffer.readInt32BE(at + 53),
    recordsCount: buffer.readInt32BE(at + 57),
  }
  return header.bytes < headerBytes || header.lastOffset < baseOffset ? undefined : header
}

/** Whether the checksum of a whole batch holds. */
export const isIntact = (batch: Buffer) => batch.readInt32BE(17) === crc32c(batch.subarray(21), 0)

/**
 * The one batch a producer may send per partition, or the refusal it earns. Nothing is appended
 * that would not be readable again.
 */
export function checkProduced(records: Buffer, bytesMax: number): BatchHeader {
  if (records.length > bytesMax)
    throw new Refusal('MESSAGE_TOO_LARGE', `batch of ${records.length} bytes, at most ${bytesMax}`)
  if (records.length > 16 && records[16] !== 2)
    throw new Refusal('UNSUPPORTED_FOR_MESSAGE_FORMAT', 'only 2 is kept')
  const header = readHeader(records)
  if (!header || header.bytes !== records.length)
    throw new Refusal('CORRUPT_MESSAGE', 'not exactly one record batch')
  if (!isIntact(records)) throw new Refusal('CORRUPT_MESSAGE', 'checksum does not match')
  if (header.recordsCount < 1 || header.recordsCount !== header.lastOffset - header.baseOffset + 1)
    throw new Refusal('INVALID_RECORD', 'record count and offsets disagree')
  if ((header.attributes & compressionMask) > 4) throw new Refusal('UNSUPPORTED_COMPRESSION_TYPE')
  if (header.attributes & transactionalOrControl)
    throw new Refusal('INVALID_RECORD', 'transactions are not supported')
  return header
}

/** Gives the batch its place in the log. Both fields lie in front of the checksum, which stays as it is. */
export function stampOffset(batch: Buffer, header: BatchHeader, baseOffset: number): BatchHeader {
  batch.writeBigInt64BE(BigInt(baseOffset), 0)
  batch.writeInt32BE(0, 12)
  return { ...header, baseOffset, lastOffset: baseOffset + header.recordsCount - 1 }
}

/**
 * The first record of a batch at or after `timestamp`. Of one whose records cannot be read the first
 * offset, which is early but never late.
 */
export function findTimestamp(batch: Buffer, { baseOffset, maxTimestamp }: BatchHeader, timestamp: number) {
  const [read] = readRecordSet(batch, { from: 0n, end: 0n })
  const record = read?.records.find(({ timestampMs }) => timestampMs >= timestamp)
  return record
    ? { offset: Number(record.offset), timestamp: record.timestampMs }
    : { offset: baseOffset, timestamp: maxTimestamp }
}
