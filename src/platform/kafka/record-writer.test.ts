import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { readRecordSet } from './record-set'
import { bytesInBatch, encodeRecords, type RecordContents, writeRecordBatch } from './record-writer'

const read = (batch: Buffer) => [...readRecordSet(batch, { from: 0n, end: 1n << 62n })]
const contentsOf = ({ key, value, headers }: RecordContents) => ({
  key: typeof key === 'string' ? Buffer.from(key) : key,
  value: typeof value === 'string' ? Buffer.from(value) : value,
  headers: (Array.isArray(headers) ? headers : Object.entries(headers)).map(([name, content]) => [
    Buffer.from(name),
    typeof content === 'string' ? Buffer.from(content) : content,
  ]),
})

// Lengths at which a varint takes another byte, or a text is written another way.
const lengths = [0, 1, 47, 48, 49, 63, 64, 65, 127, 128, 8191, 8192, 8193, 2731, 4096]
const texts = ['a', 'ã', '€', '😀', '\ud800'].flatMap((character) =>
  lengths.flatMap((length) => {
    const text = character.repeat(length / character.length)
    return [text, `${text}é`, `x${text}`.slice(0, length)]
  }),
)

test('a text is written as its UTF-8, in one to three bytes a character', () => {
  for (const text of texts) {
    const record = { key: text, value: text, headers: [[text, text]] as const }
    const [batch, ...others] = read(writeRecordBatch([record], 0))
    expect(others).toEqual([])
    expect(batch?.fault).toBeUndefined()
    const { key, value, headers = [] } = batch?.records[0] ?? {}
    for (const part of [key, value, ...headers.flat()]) expect(part?.equals(Buffer.from(text))).toBe(true)
  }
})

const part = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.uint8Array({ maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
)
const records: fc.Arbitrary<RecordContents[]> = fc.array(
  fc.record({
    key: fc.option(part, { nil: null }),
    value: fc.option(part, { nil: null }),
    headers: fc.oneof(
      fc.array(fc.tuple(part, fc.option(part, { nil: null })), { maxLength: 5 }),
      fc.dictionary(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 })),
    ),
  }),
  { minLength: 1, maxLength: 200 },
)

test('texts and bytes come back byte for byte, and take no more than estimated', () => {
  fc.assert(
    fc.property(records, (written) => {
      const bytes = writeRecordBatch(written, 1_700_000_000_000)
      const [batch] = read(bytes)
      expect(batch?.records.map(contentsOf)).toEqual(written.map(contentsOf))
      const estimated = encodeRecords(written).reduce((sum, record) => sum + bytesInBatch(record), 61)
      expect(bytes.length).toBeLessThanOrEqual(estimated)
    }),
  )
})

test('records are hashed by their keys', () => {
  const hashes = (keys: (string | Buffer | null)[]) =>
    encodeRecords(keys.map((key) => ({ key, value: 'v', headers: {} }))).map(({ keyHash }) => keyHash)
  expect(hashes(['foobar', Buffer.from('foobar')])).toEqual([-790332482, -790332482])
  expect(hashes([null])).toEqual(hashes(['']))
  const long = 'é'.repeat(5000)
  expect(hashes([long])).toEqual(hashes([Buffer.from(long)]))
})
