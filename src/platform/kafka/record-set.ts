/**
 * Decodes record batches (format 2) and the older message sets (0 and 1). Never throws: a batch that is
 * damaged, or would take too much memory, is returned with its offsets and a fault, so that readers get past
 * it. https://kafka.apache.org/documentation/#recordbatch
 */
import { crc32 } from 'node:zlib'
import { buf as crc32c } from 'crc-32/crc32c.js'
import { decompress, TooLarge } from './decompress'

/** As on the wire: names may repeat, and neither part has to be text. */
export type RecordHeader = readonly [name: Buffer, value: Buffer | null]

export type RawRecord = {
  offset: bigint
  key: Buffer | null
  value: Buffer | null
  headers: RecordHeader[]
  timestampMs: number
}

export type BatchFault = { cause: 'batch_too_large' | 'batch_not_readable'; detail: string }

/** A batch of the offsets `first` to `last`, some of which may have been compacted away. */
export type RawBatch = {
  first: bigint
  last: bigint
  producerId: bigint
  isTransactional: boolean
  /** A transaction marker, which is not delivered. */
  isControl: boolean
  timestampMs: number
  records: RawRecord[]
  /** Why there are no records; `bytes` is the raw batch. */
  fault?: BatchFault & { bytes: Buffer }
}

export const limits = {
  /** Of one batch. Brokers accept 1 MiB, compressed, by default. */
  inflatedBytes: 32 << 20,
  /** Records and headers of one batch: in memory each takes many times its bytes. */
  items: 500_000,
}

type Limits = typeof limits

const frontBytes = 12
const magicAt = 16
const headerBytes = 61
/** Offset and size, checksum, magic, attributes, and the lengths of key and value. */
const messageBytesMin = 26
const logAppendTime = 0x08
const transactional = 0x10
const control = 0x20
const codecMask = 0x07

/** The fetched offset and the end of the log, which bound the offsets in a damaged header. */
export type FetchedRange = { from: bigint; end: bigint }

/**
 * The batches of a fetch, in order. An incomplete last one, which brokers may send, is left out: it is
 * fetched again.
 */
export function* readRecordSet(
  bytes: Buffer,
  range: FetchedRange,
  bounds: Limits = limits,
): Generator<RawBatch> {
  for (let at = 0; at + magicAt < bytes.length; ) {
    const size = frontBytes + bytes.readInt32BE(at + 8)
    const magic = bytes.readInt8(at + magicAt)
    const isShort = size < (magic < 2 ? messageBytesMin : headerBytes)
    if (!isShort && at + size > bytes.length) return
    const entry = bytes.subarray(at, isShort ? bytes.length : at + size)
    at += entry.length
    const following = at + 8 <= bytes.length ? bytes.readBigInt64BE(at) : undefined
    try {
      if (isShort) throw new Error(`impossible batch size ${size}`)
      yield magic < 2 ? readMessage(entry, bounds) : readBatch(entry, bounds)
    } catch (error) {
      yield unreadable(entry, following, range, error as Error)
    }
  }
}

/**
 * Trusts the header's last offset only if the rest agrees with it; otherwise readers skip offset by
 * offset.
 */
function unreadable(
  entry: Buffer,
  following: bigint | undefined,
  { from, end }: FetchedRange,
  error: Error,
): RawBatch {
  const first = entry.readBigInt64BE(0)
  const hasHeader = entry.length >= headerBytes && entry.readInt8(magicAt) === 2
  const delta = hasHeader ? entry.readInt32BE(23) : 0
  const agrees = hasHeader && delta >= 0 && entry.readInt32BE(57) === delta + 1
  let last = first
  if (following !== undefined && following > first) last = following - 1n
  else if (agrees) last = first + BigInt(delta)
  if (last >= end && end > first) last = end - 1n
  if (last < from) last = from
  const cause = error instanceof TooLarge ? 'batch_too_large' : 'batch_not_readable'
  const detail = `offsets ${first} to ${last}: ${error.message.slice(0, 200)}`
  const timestampMs = hasHeader ? Number(entry.readBigInt64BE(35)) : Number.NaN
  const plain = { producerId: -1n, isTransactional: false, isControl: false, records: [] }
  return { first, last, ...plain, timestampMs, fault: { cause, detail, bytes: entry } }
}

function readBatch(entry: Buffer, bounds: Limits): RawBatch {
  const magic = entry.readInt8(magicAt)
  if (magic !== 2) throw new Error(`unknown message format ${magic}`)
  if (crc32c(entry.subarray(21), 0) >>> 0 !== entry.readUInt32BE(17)) throw new Error('checksum mismatch')
  const attributes = entry.readInt16BE(21)
  const lastDelta = entry.readInt32BE(23)
  const count = entry.readInt32BE(57)
  if (lastDelta < 0 || count < 0) throw new Error('inconsistent header')
  if (count > bounds.items) throw new TooLarge(`${count} records, more than ${bounds.items}`)
  const first = entry.readBigInt64BE(0)
  const maxTimestampMs = Number(entry.readBigInt64BE(35))
  const records = readRecords(
    decompress(attributes & codecMask, entry.subarray(headerBytes), bounds.inflatedBytes),
    {
      first,
      lastDelta,
      count,
      baseTimestamp: entry.readBigInt64BE(27),
      appendedAtMs: attributes & logAppendTime ? maxTimestampMs : undefined,
      itemsMax: bounds.items,
    },
  )
  return {
    first,
    last: first + BigInt(lastDelta),
    producerId: entry.readBigInt64BE(43),
    isTransactional: (attributes & transactional) !== 0,
    isControl: (attributes & control) !== 0,
    timestampMs: maxTimestampMs,
    records,
  }
}

type Context = {
  first: bigint
  lastDelta: number
  count: number
  baseTimestamp: bigint
  appendedAtMs: number | undefined
  itemsMax: number
}

function readRecords(bytes: Buffer, context: Context): RawRecord[] {
  const reader = new Reader(bytes)
  const records: RawRecord[] = []
  let items = context.count
  let before = -1
  for (let index = 0; index < context.count; index++) {
    const size = reader.varint()
    const end = reader.at + size
    if (size < 0 || end > bytes.length) throw new Error('a record exceeds its batch')
    reader.skip(1)
    const timestamp = context.baseTimestamp + reader.varlong()
    const delta = reader.varint()
    if (delta <= before || delta > context.lastDelta) throw new Error('record offsets out of order')
    before = delta
    const key = reader.bytes()
    const value = reader.bytes()
    const headersCount = reader.varint()
    items += headersCount
    if (items > context.itemsMax) throw new TooLarge(`more than ${context.itemsMax} records and headers`)
    const headers: RecordHeader[] = []
    for (let header = 0; header < headersCount; header++) {
      const name = reader.bytes()
      if (!name) throw new Error('a header without a name')
      headers.push([name, reader.bytes()])
    }
    if (headersCount < 0 || reader.at !== end) throw new Error('a record of the wrong length')
    const timestampMs = context.appendedAtMs ?? Number(timestamp)
    records.push({ offset: context.first + BigInt(delta), key, value, headers, timestampMs })
  }
  if (reader.at !== bytes.length) throw new Error('bytes after the last record')
  return records
}

class Reader {
  at = 0
  constructor(readonly buffer: Buffer) {}

  skip(bytes: number): void {
    this.at += bytes
  }

  /** Zigzag-encoded, at most 32 bits. */
  varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    throw new Error('varint too long')
  }

  varlong(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    throw new Error('varint too long')
  }

  bytes(): Buffer | null {
    const length = this.varint()
    if (length === -1) return null
    const end = this.at + length
    if (length < 0 || end > this.buffer.length) throw new Error('a record part exceeds its batch')
    const part = this.buffer.subarray(this.at, end)
    this.at = end
    return part
  }

  #byte(): number {
    const byte = this.buffer[this.at++]
    if (byte === undefined) throw new Error('truncated record')
    return byte
  }
}

/** Formats 0 and 1: one message, or, when compressed, a set of messages in its value. */
function readMessage(entry: Buffer, bounds: Limits, isInner = false): RawBatch {
  const magic = entry.readInt8(magicAt)
  const last = entry.readBigInt64BE(0)
  if (crc32(entry.subarray(16)) !== entry.readUInt32BE(12)) throw new Error('checksum mismatch')
  const attributes = entry.readInt8(17)
  const codec = attributes & codecMask
  let at = magic === 1 ? 26 : 18
  const timestampMs = magic === 1 ? Number(entry.readBigInt64BE(18)) : -1
  const part = (): Buffer | null => {
    const length = entry.readInt32BE(at)
    at += 4
    if (length === -1) return null
    if (length < 0 || at + length > entry.length) throw new Error('a message part exceeds its message')
    at += length
    return entry.subarray(at - length, at)
  }
  const [key, value] = [part(), part()]
  const plain = { producerId: -1n, isTransactional: false, isControl: false, last, timestampMs }
  if (codec === 0)
    return { first: last, ...plain, records: [{ offset: last, key, value, headers: [], timestampMs }] }
  if (isInner || !value) throw new Error('nested compression, or a compressed message without value')

  const records: RawRecord[] = []
  const inner = decompress(codec, value, bounds.inflatedBytes)
  for (let from = 0; from < inner.length; ) {
    const size = frontBytes + (from + frontBytes <= inner.length ? inner.readInt32BE(from + 8) : 0)
    if (size < messageBytesMin || from + size > inner.length) throw new Error('a message exceeds its set')
    records.push(...readMessage(inner.subarray(from, from + size), bounds, true).records)
    if (records.length > bounds.items) throw new TooLarge(`more than ${bounds.items} messages`)
    from += size
  }
  // In format 1, inner offsets are relative, and the outer one is that of the last message.
  const shift = magic === 1 ? last - (records.at(-1)?.offset ?? last) : 0n
  for (const record of records) {
    record.offset += shift
    if (attributes & logAppendTime) record.timestampMs = timestampMs
  }
  return { first: records[0]?.offset ?? last, ...plain, records }
}
