/**
 * Encodes records and batches of them, format 2. https://kafka.apache.org/documentation/#recordbatch
 *
 * Key, value and headers of a record are encoded once, all records one after the other: what they take is
 * then known exactly, before they are divided into partitions and requests.
 */
import { buf as crc32c } from 'crc-32/crc32c.js'
import { type Bytes, ByteWriter, varintBytes } from './byte-writer'
import { murmur2 } from './partitioner'

type Header = readonly [name: Bytes, value: Bytes | null]

export type RecordContents = {
  key: Bytes | null
  value: Bytes | null
  headers: Readonly<Record<string, string>> | readonly Header[]
}

/** Ready to be put into a batch. */
export type EncodedRecord = {
  /** By which its partition is chosen. */
  keyHash: number
  /** Key, value and headers. */
  contents: Buffer
}

/** Attributes, timestamp and number of a record within its batch, and its length in front of them. */
const framingBytes = 12
const headerBytes = 61

/** An upper estimate of what it adds to a batch. */
export const bytesInBatch = ({ contents }: EncodedRecord): number => contents.length + framingBytes

/** Of a usual record; the buffer grows where they are larger. */
const recordBytesGuess = 1024

export function encodeRecords(records: readonly RecordContents[]): EncodedRecord[] {
  const writer = new ByteWriter(records.length * recordBytesGuess)
  const ends = records.map(({ key, value, headers }) => {
    const keyEnd = writer.part(key).length
    writeHeaders(writer.part(value), headers)
    return { keyEnd, end: writer.length }
  })
  const all = writer.written()
  let start = 0
  return ends.map(({ keyEnd, end }) => {
    const record = {
      keyHash: murmur2(all, startOfPart(all, start), keyEnd),
      contents: all.subarray(start, end),
    }
    start = end
    return record
  })
}

/** Behind the varint with its length. */
function startOfPart(bytes: Buffer, at: number): number {
  let start = at
  while ((bytes[start++] ?? 0) > 0x7f);
  return start
}

function writeHeaders(writer: ByteWriter, headers: RecordContents['headers']): void {
  if (isList(headers)) {
    writer.varint(headers.length)
    for (const [name, content] of headers) writer.part(name).part(content)
    return
  }
  const names = Object.keys(headers)
  writer.varint(names.length)
  for (const name of names) writer.part(name).part(headers[name] ?? null)
}

/** `Array.isArray` does not see through `readonly`. */
const isList = (headers: RecordContents['headers']): headers is readonly Header[] => Array.isArray(headers)

/** What all batches have in common: no compression, no transaction, by a producer without an id. */
const batchHeader = Buffer.alloc(headerBytes, 0xff).fill(0, 0, 8).fill(2, 16, 17).fill(0, 21, 23)

/** An uncompressed batch of records with the same timestamp. */
export function writeBatch(writer: ByteWriter, records: readonly EncodedRecord[], timestampMs: number): void {
  const start = writer.length
  writer.raw(batchHeader)
  for (const [index, { contents }] of records.entries())
    writer
      .varint(2 + varintBytes(index) + contents.length)
      .int16(0)
      .varint(index)
      .raw(contents)
  const timestamp = BigInt(timestampMs)
  writer
    .int32At(start + 8, writer.length - start - 12)
    .int32At(start + 23, records.length - 1)
    .int64At(start + 27, timestamp)
    .int64At(start + 35, timestamp)
    .int32At(start + 57, records.length)
  writer.int32At(start + 17, crc32c(writer.written(start + 21), 0))
}

/** A batch alone. */
export function writeRecordBatch(records: readonly RecordContents[], timestampMs: number): Buffer {
  const writer = new ByteWriter(headerBytes)
  writeBatch(writer, encodeRecords(records), timestampMs)
  return writer.written()
}
