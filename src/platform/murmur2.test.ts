import { expect, test } from 'bun:test'
import { Partitioners } from 'kafkajs'
import { murmur2 } from './murmur2'

test('hashes as the clients in Java do', () => {
  // From the tests of Apache Kafka (UtilsTest.testMurmur2).
  for (const [text, hash] of [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ] as const)
    expect([text, murmur2(Buffer.from(text))]).toEqual([text, hash])
})

test('places a key where the library that the course uses places it', () => {
  const partition = Partitioners.DefaultPartitioner()
  const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({
    partitionId,
    leader: 0,
  })) as never
  for (const key of ['', 'é', '💰', ...Array.from({ length: 200 }, () => crypto.randomUUID())])
    expect([key, (murmur2(Buffer.from(key)) & 0x7fffffff) % 7]).toEqual([
      key,
      partition({ topic: 'any', partitionMetadata, message: { key, value: '' } }),
    ])
})
