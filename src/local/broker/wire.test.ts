import { expect, test } from 'bun:test'
import {
  array,
  boolean,
  bytes,
  int8,
  int16,
  int32,
  int64,
  MalformedRequest,
  nullableArray,
  nullableBytes,
  nullableString,
  optional,
  Reader,
  since,
  string,
  type Type,
  typeOf,
  Writer,
} from './wire.ts'

const message = typeOf({
  numbers: { one: int8, two: int16, three: int32, four: int64 },
  yes: boolean,
  texts: array(string),
  noText: nullableString,
  large: bytes,
  noBytes: nullableBytes,
  noItems: nullableArray({ name: string }),
  named: array({ name: string, age: optional(int8, 7) }),
  young: since(2, int16, -6),
  last: int32,
})

test('reads back what it wrote, fields of the version and long byte strings included', () => {
  const value = {
    numbers: { one: -1, two: -2, three: -3, four: 2 ** 52 },
    yes: true,
    texts: ['ação', ''],
    noText: null,
    large: Buffer.alloc(5_000, 7),
    noBytes: null,
    noItems: null,
    named: [{ name: 'eva' }, { name: 'frank', age: 8 }],
    last: 9,
  }
  const named = [
    { name: 'eva', age: 7 },
    { name: 'frank', age: 8 },
  ]
  for (const [version, ages] of [
    [1, { young: -6 }],
    [2, { young: 4 }],
  ] as const) {
    const writer = new Writer(version)
    message.write(writer, { ...value, young: 4 })
    const reader = new Reader(writer.finish(), version)
    expect(message.read(reader)).toEqual({ ...value, named, ...ages })
    expect(reader.remaining).toBe(0)
  }
})

const written = <Value>(type: Type<Value>, value: Value) => {
  const writer = new Writer()
  type.write(writer, value)
  return writer.finish()
}
const lies: [string, Buffer, Type<never, unknown>][] = [
  ['a number beyond the end', Buffer.alloc(3), int32],
  ['a string longer than the request', written(int16, 400), string],
  ['a string of negative length', written(int16, -2), nullableString],
  ['a null string where one is required', written(int16, -1), string],
  ['bytes longer than the request', written(int32, 0x7fffffff), bytes],
  ['an array of two billion items', written(int32, 0x7fffffff), array(int8)],
  ['an array of negative length', written(int32, -2), array(int8)],
  ['an offset beyond 2^53', Buffer.alloc(8, 0x7f), int64],
]

test.each(lies)('refuses %s', (_, lie, type) => {
  expect(() => type.read(new Reader(lie))).toThrow(MalformedRequest)
})
