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

/**
 * A class because its headers are read when they are asked for: a copy made by spreading would have none, and
 * does not compile.
 */
export abstract class RawRecord {
  abstract readonly offset: bigint
  abstract readonly key: Buffer | null
  abstract readonly value: Buffer | null
  abstract readonly timestampMs: number
  abstract get headers(): RecordHeader[]
  /**
   * The values of the last headers with these names, undefined where there is none. Faster than to read all
   * of them; without it they have to be read.
   */
  lastHeaders?(names: readonly Uint8Array[]): (Buffer | null | undefined)[]
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
  /** What the records take, inflated. */
  bytes: number
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
  return { first, last, ...plain, bytes: entry.length, timestampMs, fault: { cause, detail, bytes: entry } }
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
  const bytes = decompress(attributes & codecMask, entry.subarray(headerBytes), bounds.inflatedBytes)
  const records = readRecords(bytes, {
    first,
    lastDelta,
    count,
    baseTimestamp: entry.readBigInt64BE(27),
    appendedAtMs: attributes & logAppendTime ? maxTimestampMs : undefined,
    itemsMax: bounds.items,
  })
  return {
    first,
    last: first + BigInt(lastDelta),
    producerId: entry.readBigInt64BE(43),
    isTransactional: (attributes & transactional) !== 0,
    isControl: (attributes & control) !== 0,
    timestampMs: maxTimestampMs,
    records,
    bytes: bytes.length,
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

/** Checks all of each record, and leaves its headers where they are. */
function readRecords(bytes: Buffer, context: Context): RawRecord[] {
  const reader = new Reader(bytes)
  const records: RawRecord[] = []
  let items = context.count
  let before = -1
  for (let index = 0; index < context.count; index++) {
    const size = reader.varint()
    const end = reader.at + size
    if (size < 0 || end > bytes.length) throw new Error('a record exceeds its batch')
    // The attributes, which have no meaning yet.
    reader.at++
    const timestamp = reader.varlong()
    const delta = reader.varint()
    if (delta <= before || delta > context.lastDelta) throw new Error('record offsets out of order')
    before = delta
    const key = reader.part()
    const value = reader.part()
    const headersAt = reader.at
    const headersCount = reader.varint()
    items += headersCount
    if (items > context.itemsMax) throw new TooLarge(`more than ${context.itemsMax} records and headers`)
    for (let header = 0; header < headersCount; header++) {
      if (reader.skipPart() < 0) throw new Error('a header without a name')
      reader.skipPart()
    }
    if (headersCount < 0 || reader.at !== end) throw new Error('a record of the wrong length')
    const timestampMs = context.appendedAtMs ?? Number(context.baseTimestamp + timestamp)
    const offset = context.first + BigInt(delta)
    records.push(new StoredRecord({ offset, key, value, timestampMs }, bytes, headersAt))
  }
  if (reader.at !== bytes.length) throw new Error('bytes after the last record')
  return records
}

class StoredRecord extends RawRecord {
  readonly offset: bigint
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestampMs: number
  readonly #bytes: Buffer
  readonly #headersAt: number
  #headers: RecordHeader[] | undefined

  constructor(
    { offset, key, value, timestampMs }: Pick<RawRecord, 'offset' | 'key' | 'value' | 'timestampMs'>,
    bytes: Buffer,
    headersAt: number,
  ) {
    super()
    this.offset = offset
    this.key = key
    this.value = value
    this.timestampMs = timestampMs
    this.#bytes = bytes
    this.#headersAt = headersAt
  }

  get headers(): RecordHeader[] {
    if (this.#headers) return this.#headers
    const reader = new Reader(this.#bytes, this.#headersAt)
    const headers: RecordHeader[] = []
    for (let left = reader.varint(); left > 0; left--) headers.push([reader.part() as Buffer, reader.part()])
    this.#headers = headers
    return headers
  }

  override lastHeaders(names: readonly Uint8Array[]): (Buffer | null | undefined)[] {
    const values: (Buffer | null | undefined)[] = names.map(() => undefined)
    const reader = new Reader(this.#bytes, this.#headersAt)
    for (let left = reader.varint(); left > 0; left--) {
      const length = reader.skipPart()
      const index = indexOfName(names, this.#bytes, reader.at - length, length)
      if (index < 0) reader.skipPart()
      else values[index] = reader.part()
    }
    return values
  }
}

function indexOfName(names: readonly Uint8Array[], bytes: Buffer, at: number, length: number): number {
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as Uint8Array
    // Most names differ in length.
    if (name.length !== length) continue
    let same = 0
    while (same < length && name[same] === bytes[at + same]) same++
    if (same === length) return index
  }
  return -1
}

class Reader {
  readonly #bytes: Buffer
  at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.at = at
  }

  /** Zigzag-encoded, at most 32 bits. */
  varint(): number {
    const first = this.#bytes[this.at] ?? 0
    if (first < 0x80 && this.at < this.#bytes.length) {
      this.at++
      return (first >>> 1) ^ -(first & 1)
    }
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    throw new Error('varint too long')
  }

  varlong(): bigint {
    // Nearly always all records of a batch are of the same millisecond.
    if (this.#bytes[this.at] === 0) {
      this.at++
      return 0n
    }
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
    throw new Error('varint too long')
  }

  /** Returns the length, -1 for null. */
  skipPart(): number {
    const length = this.varint()
    if (length === -1) return length
    if (length < 0 || this.at + length > this.#bytes.length)
      throw new Error('a record part exceeds its batch')
    this.at += length
    return length
  }

  part(): Buffer | null {
    const length = this.skipPart()
    return length < 0 ? null : this.#bytes.subarray(this.at - length, this.at)
  }

  #byte(): number {
    const byte = this.#bytes[this.at++]
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
  if (codec === 0) {
    const record = { offset: last, key, value, headers: [], timestampMs }
    return { first: last, ...plain, bytes: entry.length, records: [record] }
  }
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
  const time = attributes & logAppendTime ? { timestampMs } : {}
  const shifted = records.map((record) => ({
    ...record,
    headers: [],
    offset: record.offset + shift,
    ...time,
  }))
  return { first: shifted[0]?.offset ?? last, ...plain, bytes: inner.length, records: shifted }
}
