import { expect, test } from 'bun:test'
import { crc32c } from '@platformatic/wasm-utils'
import kafkajs from 'kafkajs/package.json'
import { files, imports, textOf } from '../../testing/rules/source'
import { decodeFetch, instrument, toFetched } from './kafkajs-internals'
import { writeRecordBatch } from './record-writer'
import { toIncomingBatch } from './records'

test('the inner modules are of the version they were read in', async () => {
  // Another version: read the modules that kafkajs-internals.ts imports again, then change this line.
  expect(kafkajs.version).toBe('2.2.4')
  expect(() => instrument({} as never)).toThrow('is this kafkajs 2.2.4?')
})

test('nothing else reaches inside kafkajs', async () => {
  const inner = imports.filter(({ to }) => to.startsWith('kafkajs/src'))
  expect(new Set(inner.map(({ from }) => from))).toEqual(new Set(['platform/kafka/kafkajs-internals.ts']))
  expect(files).toContain('platform/kafka/kafkajs-internals.ts')
  expect(await textOf('platform/kafka/kafkajs-internals.ts')).toContain('kafkajs/src')
})

/** A batch of one transaction at an offset: its records, or its marker. */
function transactional(at: bigint, producerId: bigint, values: string[], attributes = 0x10): Buffer {
  const isMarker = attributes === 0x30
  const records = values.map((value) => ({
    key: isMarker ? Buffer.from(value, 'hex') : null,
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

const [abortMarker, commitMarker] = ['00000000', '00000001']

test.each([
  ['aborted, and last', [[7n, 0n]], abortMarker, []],
  ['committed', [], commitMarker, ['a', 'b']],
] as [string, [bigint, bigint][], string, string[]][])(
  'a transaction that was %s: its records are shown or not, and the position is beyond its marker',
  (_, aborted, marker, values) => {
    const records = Buffer.concat([transactional(0n, 7n, ['a', 'b']), transactional(2n, 7n, [marker], 0x30)])
    const { responses } = decodeFetch(fetchAnswer(records, 3n, aborted), 11, new Map([['t/0', 0n]]))
    const batch = toIncomingBatch(toFetched('t', 0n, responses[0]?.partitions[0]))
    expect(batch.records.map(({ value }) => String(value))).toEqual(values)
    expect(batch).toMatchObject({ next: 3n, highWatermark: 3n })
  },
)
