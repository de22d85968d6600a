/**
 * Batches of every codec and format are read; those that cannot be are reported with their offsets, and
 * skipped.
 */
import { expect, test } from 'bun:test'
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib'
import { crc32c, lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import fc from 'fast-check'
import { casesOf } from '../../testing/random'
import { type RawBatch, type RawRecord, readRecordSet } from './record-set'
import { writeRecordBatch } from './record-writer'

const timestampMs = 1_700_000_000_000
const whole = { from: 0n, end: 1n << 62n }
const read = (bytes: Buffer, range = whole, bounds?: Parameters<typeof readRecordSet>[2]): RawBatch[] => [
  ...readRecordSet(bytes, range, bounds),
]

type Contents = Pick<RawRecord, 'key' | 'value' | 'headers'>
const record = (text: string): Contents => ({ key: null, value: Buffer.from(text), headers: [] })

/** A batch as a broker stores it, with its offset and codec set. */
function stored(
  records: Contents[],
  { at = 0n, codec = 0, compress = (data: Buffer) => data, attributes = 0 } = {},
): Buffer {
  const written = writeRecordBatch(records, timestampMs)
  const batch = Buffer.concat([written.subarray(0, 61), compress(written.subarray(61))])
  batch.writeBigInt64BE(at, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(codec | attributes, 21)
  return sealed(batch)
}

function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

const contents = ({ key, value, headers }: RawRecord): Contents => ({ key, value, headers })
const bytes = fc.uint8Array({ maxLength: 30 }).map((array) => Buffer.from(array))
const nullable = fc.option(bytes, { nil: null })
const records = fc.array(
  fc.record({
    key: nullable,
    value: nullable,
    headers: fc.array(fc.tuple(bytes, nullable), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 20 },
)

test('records come back byte for byte and in order, with null, repeated and binary headers', () => {
  fc.assert(
    fc.property(records, fc.bigInt({ min: 0n, max: 1n << 60n }), (written, at) => {
      const [batch, ...others] = read(stored(written, { at }))
      expect(others).toEqual([])
      expect(batch?.records.map(contents)).toEqual(written)
      expect(batch?.records.map(({ offset }) => offset)).toEqual(
        written.map((_, index) => at + BigInt(index)),
      )
      expect(batch).toMatchObject({ first: at, last: at + BigInt(written.length - 1) })
      expect(batch?.fault).toBeUndefined()
    }),
  )
})

test('single headers are found as in the list of all: the last one of a name', () => {
  const names = ['', 'a', 'b', 'ab'].map((name) => Buffer.from(name))
  const header = fc.tuple(fc.constantFrom(...names), nullable)
  const record = fc.record({ key: nullable, value: nullable, headers: fc.array(header) })
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), (written) => {
      const [batch] = read(stored(written))
      for (const one of batch?.records ?? []) {
        const found = names.map((name) => one.headers.findLast(([other]) => other.equals(name))?.[1])
        expect(one.lastHeaders?.(names)).toEqual(found)
      }
    }),
  )
})

const codecs: [string, number, (data: Buffer) => Buffer][] = [
  ['gzip', 1, (data) => gzipSync(data)],
  ['snappy', 2, snappyCompress],
  ['lz4', 3, lz4Compress],
  ['zstd', 4, (data) => zstdCompressSync(data)],
]

test.each(codecs)('%s: records are read, and a decompression bomb is reported', (_, codec, compress) => {
  const bombBytes = stored([record('x'), { ...record(''), value: Buffer.alloc(40 << 20) }], {
    at: 10n,
    codec,
    compress,
  })
  const set = Buffer.concat([
    stored([record('a'), record('b')], { at: 8n, codec, compress }),
    bombBytes,
    stored([record('c')], { at: 12n, codec, compress }),
  ])
  const [before, bomb, after] = read(set)
  expect(before?.records.map(({ value }) => String(value))).toEqual(['a', 'b'])
  expect(bomb).toMatchObject({ first: 10n, last: 11n, records: [], fault: { cause: 'batch_too_large' } })
  expect(bomb?.fault?.detail).toStartWith('offsets 10 to 11: ')
  expect(bomb?.fault?.bytes.equals(bombBytes)).toBe(true)
  expect(after?.records.map(({ offset }) => offset)).toEqual([12n])
})

test('a batch is bounded by its items, too: millions of empty records or headers are not decoded', () => {
  const bounds = { inflatedBytes: 1 << 20, items: 100 }
  const header = [Buffer.alloc(0), null] as const
  const many = (count: number) => stored([{ ...record(''), headers: Array(count).fill(header) }])
  expect(read(many(99), whole, bounds)[0]?.fault).toBeUndefined()
  expect(read(many(100), whole, bounds)[0]?.fault?.cause).toBe('batch_too_large')
  expect(read(stored(Array(101).fill(record(''))), whole, bounds)[0]?.fault?.cause).toBe('batch_too_large')
  const begunAt = performance.now()
  const claims = sealed(Object.assign(stored([record('')]), {}))
  claims.writeInt32BE(0x7fffffff, 57)
  expect(read(sealed(claims))[0]?.fault?.cause).toBe('batch_too_large')
  expect(read(many(100_000))[0]?.records[0]?.headers).toHaveLength(100_000)
  expect(performance.now() - begunAt).toBeLessThan(2000)
})

const broken: [string, (batch: Buffer) => Buffer][] = [
  ['a flipped byte', (batch) => Object.assign(batch, { 70: (batch[70] ?? 0) ^ 1 })],
  ['another checksum', (batch) => Object.assign(batch, { 17: (batch[17] ?? 0) ^ 1 })],
  ['an unknown codec', (batch) => sealed(Object.assign(batch, { 22: 5 }))],
  ['a codec that did not write it', (batch) => sealed(Object.assign(batch, { 22: 4 }))],
  ['too few records', (batch) => sealed(Object.assign(batch, { 60: 1, 26: 0 }))],
  ['too many records', (batch) => sealed(Object.assign(batch, { 60: 4, 26: 3 }))],
  ['a record length beyond the batch', (batch) => sealed(Object.assign(batch, { 61: 0x7e }))],
  ['a negative record length', (batch) => sealed(Object.assign(batch, { 61: 0x01 }))],
  ['a header count beyond the record', (batch) => sealed(Object.assign(batch, { 68: 0x7e }))],
  ['offsets out of order', (batch) => sealed(Object.assign(batch, { 64: 4 }))],
  ['an unknown format', (batch) => Object.assign(batch, { 16: 7 })],
]

test.each(broken)('%s: the batch is reported, and the next one read', (_, damage) => {
  const batch = damage(stored([record('a'), record('b')], { at: 5n }))
  const [damaged, next] = read(Buffer.concat([batch, stored([record('c')], { at: 7n })]))
  expect(damaged).toMatchObject({ first: 5n, last: 6n, records: [], fault: { cause: 'batch_not_readable' } })
  expect(next?.records.map(({ offset }) => offset)).toEqual([7n])
})

test('any other bytes: nothing is thrown', () => {
  const set = Buffer.concat([stored([record('a'), record('b')]), stored([record('c')], { at: 2n })])
  fc.assert(
    fc.property(fc.nat(set.length - 1), fc.nat(255), fc.nat(set.length), (at, byte, length) => {
      const damaged = Buffer.from(set)
      damaged[at] = byte
      for (const batch of [...read(damaged), ...read(damaged.subarray(0, length))])
        if (batch.fault) expect(batch.fault.detail.length).toBeLessThan(400)
    }),
    { numRuns: casesOf(2000) },
  )
  expect(
    read(Buffer.from(fc.sample(fc.uint8Array({ minLength: 500, maxLength: 500 }), 1)[0] ?? [])),
  ).toBeArray()
})

test('with an inconsistent header readers skip one offset, never past the end of the log', () => {
  const batch = stored([record('a'), record('b')], { at: 5n })
  batch.writeInt32BE(1_000_000, 23)
  expect(read(batch, { from: 5n, end: 7n })[0]).toMatchObject({ first: 5n, last: 5n })
  expect(read(batch, { from: 6n, end: 7n })[0]).toMatchObject({ first: 5n, last: 6n })
  batch.writeInt32BE(1_000_001, 57)
  expect(read(batch, { from: 5n, end: 7n })[0]).toMatchObject({ first: 5n, last: 6n })
})

test('an incomplete batch is left out, to be fetched again', () => {
  const first = stored([record('a')])
  const second = stored([record('b')], { at: 1n })
  for (let length = 1; length < second.length; length++)
    expect(read(Buffer.concat([first, second.subarray(0, length)]))).toHaveLength(1)
})

test('transaction markers and batches emptied by compaction have offsets and no records', () => {
  const marker = stored([{ key: Buffer.from([0, 0, 0, 1]), value: Buffer.alloc(6), headers: [] }], {
    at: 3n,
    attributes: 0x30,
  })
  const emptied = stored([], { at: 4n })
  emptied.writeInt32BE(5, 23)
  const [control, empty] = read(Buffer.concat([marker, sealed(emptied)]))
  expect(control).toMatchObject({ first: 3n, last: 3n, isControl: true, isTransactional: true })
  expect(empty).toMatchObject({ first: 4n, last: 9n, records: [] })
})

test('a timestamp set by the broker is that of all records', () => {
  const batch = stored([record('a'), record('b')], { attributes: 8 })
  batch.writeBigInt64BE(1_800_000_000_000n, 35)
  expect(read(sealed(batch))[0]?.records.map(({ timestampMs }) => timestampMs)).toEqual(
    Array(2).fill(1_800_000_000_000),
  )
})

/** Format 0 or 1. */
function message(offset: bigint, value: Buffer, { magic = 1, attributes = 0 } = {}): Buffer {
  const time = Buffer.alloc(magic === 1 ? 8 : 0)
  if (magic === 1) time.writeBigInt64BE(1_700_000_000_000n)
  const length = Buffer.alloc(4)
  length.writeInt32BE(value.length)
  const checked = Buffer.concat([
    Buffer.from([magic, attributes]),
    time,
    Buffer.from([255, 255, 255, 255]),
    length,
    value,
  ])
  const front = Buffer.alloc(16)
  front.writeBigInt64BE(offset)
  front.writeInt32BE(checked.length + 4, 8)
  front.writeUInt32BE(crc32(checked), 12)
  return Buffer.concat([front, checked])
}

test('message sets of older formats are read, also compressed; nested compression is not', () => {
  const values = (batches: RawBatch[]) =>
    batches.flatMap((one) => one.records).map(({ offset, value }) => `${offset} ${value}`)
  expect(values(read(message(3n, Buffer.from('a'), { magic: 0 })))).toEqual(['3 a'])
  const inner = Buffer.concat([message(0n, Buffer.from('a')), message(1n, Buffer.from('b'))])
  const outer = message(8n, gzipSync(inner), { attributes: 1 })
  expect(values(read(Buffer.concat([outer, stored([record('c')], { at: 9n })])))).toEqual([
    '7 a',
    '8 b',
    '9 c',
  ])
  const absolute = Buffer.concat([7n, 8n].map((offset) => message(offset, Buffer.from('a'), { magic: 0 })))
  expect(values(read(message(8n, snappyCompress(absolute), { magic: 0, attributes: 2 })))).toEqual([
    '7 a',
    '8 a',
  ])
  const nested = message(8n, gzipSync(message(0n, gzipSync(inner), { attributes: 1 })), { attributes: 1 })
  expect(read(nested)[0]).toMatchObject({ first: 8n, last: 8n, fault: { cause: 'batch_not_readable' } })
  const bomb = message(8n, gzipSync(Buffer.alloc(40 << 20)), { attributes: 1 })
  expect(read(bomb)[0]?.fault?.cause).toBe('batch_too_large')
})
