/** Fetched partitions: what is shown of them, and where they end. */
import { expect, test } from 'bun:test'
import { crc32c } from '@platformatic/wasm-utils'
import { decodeFetch } from './fetch-response'
import { toFetched } from './kafkajs-internals'
import { writeRecordBatch } from './record-writer'
import { toIncomingBatch } from './records'

/** A batch of one transaction at an offset: its records, or its marker. */
function transactional(at: bigint, producerId: bigint, values: string[], attributes = 0x10): Buffer {
  const isMarker = attributes === 0x30
  const records = values.map((value) => ({
    // A record may have the key of a marker.
    key: Buffer.from(isMarker ? value : '00000000', 'hex'),
    value: isMarker ? Buffer.alloc(6) : Buffer.from(value),
    headers: [],
  }))
  const batch = writeRecordBatch(records, 1_700_000_000_000)
  batch.writeBigInt64BE(producerId, 43)
  batch.writeBigInt64BE(at, 0)
  batch.writeInt16BE(attributes, 21)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

/** An answer to Fetch 11 about partition 0 of topic `t`. */
function fetchAnswer(records: Buffer, end: bigint, aborted: [producerId: bigint, first: bigint][]): Buffer {
  const int16 = (value: number) => Buffer.from([value >> 8, value & 0xff])
  const int32 = (value: number) => Buffer.from(new Uint8Array(new Int32Array([value]).buffer)).swap32()
  const int64 = (value: bigint) => Buffer.from(new Uint8Array(new BigInt64Array([value]).buffer)).swap64()
  return Buffer.concat([
    ...[int32(0), int16(0), int32(0)],
    ...[int32(1), int16(1), Buffer.from('t'), int32(1)],
    ...[int32(0), int16(0), int64(end), int64(end), int64(0n)],
    ...[int32(aborted.length), ...aborted.flat().map(int64)],
    ...[int32(-1), int32(records.length), records],
  ])
}

const asked = (from: bigint) => ({ fetchOffsets: new Map([['t/0', from]]), watched: () => 0 })

const [abortMarker, commitMarker] = ['00000000', '00000001']

function fetched(records: Buffer[], end: bigint, aborted: [bigint, bigint][], from = 0n) {
  const answer = fetchAnswer(Buffer.concat(records), end, aborted)
  const { responses } = decodeFetch(answer, 11, asked(from))
  const batch = toIncomingBatch(toFetched('t', from, responses[0]?.partitions[0]))
  return { batch, values: batch.records.map(({ value }) => String(value)) }
}

test.each([
  ['aborted, and last', [[7n, 0n]], abortMarker, []],
  ['committed', [], commitMarker, ['a', 'b']],
] as [string, [bigint, bigint][], string, string[]][])(
  'a transaction that was %s: its records are shown or not, and the position is beyond its marker',
  (_, aborted, marker, expected) => {
    const records = [transactional(0n, 7n, ['a', 'b']), transactional(2n, 7n, [marker], 0x30)]
    const { batch, values } = fetched(records, 3n, aborted)
    expect(values).toEqual(expected)
    expect(batch).toMatchObject({ next: 3n, highWatermark: 3n })
  },
)

test('what one producer aborts is left out up to its marker, also where another writes in between', () => {
  const records = [
    transactional(0n, 7n, ['aborted']),
    transactional(1n, 8n, ['committed']),
    transactional(2n, 7n, ['aborted']),
    transactional(3n, 8n, [commitMarker], 0x30),
    transactional(4n, 7n, [abortMarker], 0x30),
    transactional(5n, 7n, ['next']),
    transactional(6n, 7n, [commitMarker], 0x30),
    transactional(7n, 7n, ['aborted']),
    transactional(8n, 7n, [abortMarker], 0x30),
  ]
  const order: [bigint, bigint][] = [
    [7n, 7n],
    [7n, 0n],
  ]
  const { batch, values } = fetched(records, 9n, order)
  expect(values).toEqual(['committed', 'next'])
  expect(batch.next).toBe(9n)
})

test('a batch that begins before the offset is shown from there', () => {
  const records = [transactional(4n, 7n, ['a', 'b', 'c'])]
  const { batch, values } = fetched(records, 7n, [], 5n)
  expect(values).toEqual(['b', 'c'])
  expect(batch).toMatchObject({ fetchedFrom: 5n, next: 7n })
})

test('a response that ends early is not read', () => {
  const answer = fetchAnswer(transactional(0n, 7n, ['a']), 1n, [])
  for (let length = 0; length < answer.length; length++)
    expect(() => decodeFetch(answer.subarray(0, length), 11, asked(0n))).toThrow('the response is too short')
})
