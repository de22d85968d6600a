import { expect, test } from 'bun:test'
import { murmur2, partitionOf } from './partitioner'

// From the tests of Apache Kafka (UtilsTest.testMurmur2).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('key %p goes where Java’s clients put it', (key, hash) => {
  const bytes = Buffer.from(`..${key}..`)
  expect(murmur2(bytes, 2, bytes.length - 2)).toBe(hash)
  for (const partitions of [1, 3, 7, 1000])
    expect(partitionOf(hash, partitions)).toBe((hash & 0x7fffffff) % partitions)
})
