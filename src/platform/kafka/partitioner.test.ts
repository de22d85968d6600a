import { expect, test } from 'bun:test'
import { partitionOf } from './partitioner'

const target = (partitions: number) => ({
  topic: 'any',
  partitionMetadata: Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
  })) as never,
})

// From the tests of Apache Kafka (UtilsTest.testMurmur2). Its clients take the hash without its sign.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('key %p goes where Java’s clients put it', (key, hash) => {
  for (const partitions of [1, 3, 7, 1000]) {
    const expected = (hash & 0x7fffffff) % partitions
    // Twice: the second one is remembered.
    for (const form of [key, key, Buffer.from(key)])
      expect(partitionOf(form, target(partitions))).toBe(expected)
  }
})

test('a record without a key goes where an empty key goes', () => {
  expect(partitionOf(null, target(1000))).toBe(partitionOf('', target(1000)))
  expect(partitionOf(undefined, target(1000))).toBe(partitionOf(Buffer.alloc(0), target(1000)))
})
