import { expect, test } from 'bun:test'
import { MalformedRequest, Reader, Writer } from './wire.ts'

test('reads back what it wrote, byte strings longer than a chunk among it', () => {
  const large = Buffer.alloc(5_000, 7)
  const bytes = new Writer()
    .int8(-1)
    .boolean(true)
    .int16(-2)
    .int32(-3)
    .int64(2 ** 52)
    .string('ação')
    .string(null)
    .bytes(large)
    .bytes(null)
    .array([1, 2], () => {})
    .int32(9)
    .finish()

  const reader = new Reader(bytes)
  expect([reader.int8(), reader.boolean(), reader.int16(), reader.int32(), reader.int64()]).toEqual([
    -1,
    true,
    -2,
    -3,
    2 ** 52,
  ])
  expect([reader.string(), reader.nullableString()]).toEqual(['ação', null])
  expect(reader.bytes().equals(large)).toBe(true)
  expect(reader.nullableBytes()).toBeNull()
  expect([reader.int32(), reader.int32()]).toEqual([2, 9])
  expect(reader.remaining).toBe(0)
})

const lies: [string, Buffer, (reader: Reader) => unknown][] = [
  ['a number past the end', Buffer.alloc(3), (reader) => reader.int32()],
  ['a string longer than the request', new Writer().int16(400).finish(), (reader) => reader.string()],
  ['a string of negative length', new Writer().int16(-2).finish(), (reader) => reader.nullableString()],
  ['a null string where one is required', new Writer().int16(-1).finish(), (reader) => reader.string()],
  ['bytes longer than the request', new Writer().int32(0x7fffffff).finish(), (reader) => reader.bytes()],
  [
    'an array of two thousand million items',
    new Writer().int32(0x7fffffff).finish(),
    (reader) => reader.array(() => reader.int8()),
  ],
  ['an array of negative length', new Writer().int32(-2).finish(), (reader) => reader.array(() => reader.int8())],
  ['an offset beyond 2^53', Buffer.alloc(8, 0x7f), (reader) => reader.int64()],
]

test.each(lies)('refuses %s', (_, bytes, read) => {
  expect(() => read(new Reader(bytes))).toThrow(MalformedRequest)
})
