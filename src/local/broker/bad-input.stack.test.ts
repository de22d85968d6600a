import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../testing/eventually.ts'
import { seeded } from '../../testing/random.ts'
import {
  createTopicRaw,
  encode,
  fetchBody,
  frame,
  listOffsetRaw,
  produceBody,
  produceRaw,
  RawKafka,
  recordBatch,
} from '../../testing/raw-kafka.ts'
import {
  apiVersions,
  createTopics,
  deleteTopics,
  describeConfigs,
  findCoordinator,
  incrementalAlterConfigs,
  metadata,
} from './apis/cluster.ts'
import {
  describeGroups,
  heartbeat,
  joinGroup,
  leaveGroup,
  listGroups,
  offsetCommit,
  offsetFetch,
  syncGroup,
} from './apis/groups.ts'
import { deleteRecords, fetch, initProducerId, listOffsets, produce } from './apis/records.ts'
import { apis, type Broker, startBroker } from './broker.ts'
import { connectionLimits } from './connection.ts'
import { int16, int32, typeOf, type WrittenOf } from './wire.ts'

const topic = 'target'
let dataDir: string
let broker: Broker
let reasons: string[]

async function start(limits = connectionLimits) {
  broker = await startBroker(
    {
      dataDir,
      fsync: false,
      log: (_, message, fields) => reasons.push(`${message}: ${JSON.stringify(fields)}`),
    },
    limits,
  )
  await using raw = await RawKafka.connect(broker.brokers)
  await createTopicRaw(raw, topic)
}

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'broker-bad-input-'))
  reasons = []
})

afterEach(async () => {
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

async function stillServes(): Promise<void> {
  await using raw = await RawKafka.connect(broker.brokers)
  expect((await produceRaw(raw, { topic, batch: recordBatch([{ value: 'fine' }]) })).errorCode).toBe(0)
  const { offset } = await listOffsetRaw(raw, topic, -1)
  expect(offset).toBeGreaterThan(0)
}

const size = (bytes: number) => encode(int32, bytes)
/** A metadata request with another body. */
const metadataOf = <S extends Parameters<typeof typeOf>[0]>(shape: S, value: WrittenOf<S>) => {
  return frame({ ...metadata, request: typeOf(shape) }, value)
}
const nonsense: [string, Buffer][] = [
  ['a length of two gigabytes', Buffer.concat([size(0x7fffffff), Buffer.alloc(64)])],
  ['a negative length', Buffer.concat([size(-1), Buffer.alloc(64)])],
  ['a length too short for a header', Buffer.concat([size(3), Buffer.alloc(3)])],
  ['an unknown request', frame({ ...metadata, key: 999, request: typeOf({}) }, {}, { version: 0 })],
  ['a version that is not served', frame(fetch, fetchBody({ topic, offset: 0 }), { version: 99 })],
  ['a request cut short', metadataOf({ topics: int32, length: int16 }, { topics: 1, length: 50 })],
  ['an array of two billion topics', metadataOf(int32, 0x7fffffff)],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
]

test.each(nonsense)('%s closes this connection only, and is logged', async (_, bytes) => {
  await start()
  await using bystander = await RawKafka.connect(broker.brokers)
  await using raw = await RawKafka.connect(broker.brokers)
  raw.send(bytes)
  await raw.closed
  expect(reasons.filter((reason) => reason.startsWith('connection closed'))).toHaveLength(1)
  expect((await bystander.request(apiVersions, {})).errorCode).toBe(0)
})

test('a request that never completes is closed in time', async () => {
  await start({ ...connectionLimits, requestMs: 50 })
  await using raw = await RawKafka.connect(broker.brokers)
  raw.send(Buffer.concat([size(1_000), Buffer.alloc(10)]))
  await raw.closed
  expect(reasons.join()).toContain('not complete in time')
  await stillServes()
})

test('incomplete requests together stay within their memory budget', async () => {
  await start({ ...connectionLimits, heldBytesMax: 4 << 20 })
  const hoarders = await Promise.all(Array.from({ length: 8 }, () => RawKafka.connect(broker.brokers)))
  for (const hoarder of hoarders) hoarder.send(Buffer.concat([size(8 << 20), Buffer.alloc(1 << 20)]))
  await Promise.any(hoarders.map(({ closed }) => closed))
  expect(reasons.join()).toContain('hold too much')
  await stillServes()
  for (const hoarder of hoarders) hoarder.close()
  // Their memory is released, or these would exceed the budget.
  for (let round = 0; round < 8; round++) {
    await using passing = await RawKafka.connect(broker.brokers)
    passing.send(Buffer.concat([size(8 << 20), Buffer.alloc(1 << 20)]))
    await stillServes()
  }
})

test('unread responses stay within the memory budget', async () => {
  await start({ ...connectionLimits, heldBytesMax: 4 << 20 })
  await using raw = await RawKafka.connect(broker.brokers)
  const batch = recordBatch([{ value: 'x'.repeat(1_000_000) }])
  for (let sent = 0; sent < 4; sent++) await produceRaw(raw, { topic, batch })
  const hoarders = await Promise.all(Array.from({ length: 8 }, () => RawKafka.connect(broker.brokers)))
  for (const hoarder of hoarders) {
    hoarder.pause()
    // Socket buffers absorb the first few.
    for (let sent = 0; sent < 8; sent++)
      hoarder.send(frame(fetch, fetchBody({ topic, offset: 0, bytesMax: 16 << 20 })))
  }
  await eventually(() => expect(reasons.join()).toContain('hold too much'))
  await stillServes()
  for (const hoarder of hoarders) hoarder.close()
})

test('requests queued behind a slow one are not buffered without limit', async () => {
  await start({ ...connectionLimits, heldBytesMax: 8 << 20 })
  await using raw = await RawKafka.connect(broker.brokers)
  // Behind the pending fetch comes four times the buffer limit: the socket has to push back.
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>()
  broker.faults.inject('Fetch', { kind: 'delay', until })
  const waiting = raw.request(fetch, fetchBody({ topic, offset: 0, waitMaxMs: 0 }))
  const batch = recordBatch([{ value: 'x'.repeat(500_000) }])
  const produced = Array.from({ length: 64 }, () => produceRaw(raw, { topic, batch }))
  for (let round = 0; round < 50; round++) await stillServes()
  letGo()
  await waiting
  expect((await Promise.all(produced)).every(({ errorCode }) => errorCode === 0)).toBe(true)
  expect(reasons).toEqual([])
})

test('connections above the limit are closed, earlier ones stay', async () => {
  await start({ ...connectionLimits, connectionsMax: 5 })
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawKafka.connect(broker.brokers)))
  for (const raw of clients) expect((await raw.request(apiVersions, {})).errorCode).toBe(0)
  await using excess = await RawKafka.connect(broker.brokers)
  await excess.closed
  expect(
    await Promise.all(clients.map(async (raw) => (await raw.request(apiVersions, {})).errorCode)),
  ).toEqual([0, 0, 0, 0, 0])
  for (const raw of clients) raw.close()
})

test(
  'random, cut and twisted requests never bring it down',
  seeded(async (random) => {
    await start()
    const below = (limit: number) => Math.floor(random() * limit)
    const member = { groupId: 'g', generation: 1, memberId: 'm' }
    const position = { partition: 0, offset: 1, metadata: '' }
    const timeouts = { sessionTimeoutMs: 50, rebalanceTimeoutMs: 50 }
    const protocols = [{ name: 'range', metadata: Buffer.alloc(4) }]
    const valid = [
      frame(produce, produceBody({ topic, batch: recordBatch([{ value: 'a' }, { value: 'b' }]) })),
      frame(fetch, fetchBody({ topic, offset: 0, waitMaxMs: 1 })),
      frame(listOffsets, { topics: [{ name: topic, partitions: [{ index: 0, timestamp: -1 }] }] }),
      frame(metadata, { topics: null, mayCreate: false }),
      frame(offsetCommit, { ...member, generation: -1, topics: [{ name: topic, partitions: [position] }] }),
      frame(offsetFetch, { groupId: 'g', topics: null }),
      frame(findCoordinator, { key: 'g' }),
      frame(joinGroup, { groupId: 'g', memberId: '', protocolType: 'consumer', ...timeouts, protocols }),
      frame(heartbeat, member),
      frame(leaveGroup, { groupId: 'g', memberId: 'm' }),
      frame(syncGroup, { ...member, assignments: [] }),
      frame(describeGroups, { groups: ['g'] }),
      frame(listGroups, {}),
      frame(apiVersions, {}),
      frame(createTopics, {
        topics: [
          { name: 't', partitions: 1, replicationFactor: 1, config: [{ name: 'retention.ms', value: '1' }] },
        ],
        timeoutMs: 1_000,
        validateOnly: true,
      }),
      frame(deleteTopics, { names: ['t'], timeoutMs: 1_000 }),
      frame(deleteRecords, {
        topics: [{ name: topic, partitions: [{ index: 0, offset: 0 }] }],
        timeoutMs: 1_000,
      }),
      frame(initProducerId, { transactionalId: null, transactionTimeoutMs: 1_000 }),
      frame(incrementalAlterConfigs, {
        resources: [
          { type: 2, name: topic, settings: [{ name: 'retention.ms', operation: 0, value: '-1' }] },
        ],
        validateOnly: true,
      }),
      frame(describeConfigs, { resources: [{ type: 2, name: topic, keys: null }], withSynonyms: false }),
    ]
    expect(valid).toHaveLength(apis.length)
    const twist = (bytes: Buffer): Buffer => {
      const twisted = Buffer.from(bytes)
      for (let change = 0; change <= below(4); change++) {
        // After the size: a wrong size alone only makes the broker wait.
        const at = 4 + below(twisted.length - 4)
        if (below(2)) twisted[at] = below(256)
        else twisted.fill(below(2) ? 0xff : 0x7f, at, Math.min(at + 4, twisted.length))
      }
      return twisted
    }
    const attack = (): Buffer => {
      const chosen = valid[below(valid.length)] ?? Buffer.alloc(0)
      const kind = below(10)
      if (kind === 0) return Buffer.from(Array.from({ length: 1 + below(200) }, () => below(256)))
      if (kind === 1) return chosen.subarray(0, 1 + below(chosen.length))
      return Buffer.concat([twist(chosen), chosen, twist(chosen)])
    }
    for (let round = 0; round < 40; round++) {
      const clients = await Promise.all(Array.from({ length: 20 }, () => RawKafka.connect(broker.brokers)))
      for (const raw of clients) raw.send(attack())
      await stillServes()
      for (const raw of clients) raw.close()
    }
    expect(reasons.filter((reason) => reason.startsWith('request failed'))).toEqual([])
    await eventually(() => expect(reasons.length).toBeGreaterThan(100))
  }),
)
