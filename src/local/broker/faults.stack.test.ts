import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Admin, Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'
import { eventually } from '../../testing/eventually.ts'
import {
  createTopicRaw,
  fetchRaw,
  listOffsetRaw,
  produceRaw,
  RawKafka,
  RawMember,
  recordBatch,
} from '../../testing/raw-kafka.ts'
import { type Broker, startBroker } from './broker.ts'

const topic = 'faulty'
let dataDir: string
let broker: Broker
let kafka: Kafka
let admin: Admin

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'broker-faults-'))
  broker = await startBroker({ dataDir, fsync: false })
  kafka = new Kafka({
    brokers: [broker.brokers],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 100, retries: 50 },
  })
  admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: false })
})

afterEach(async () => {
  await admin.disconnect()
  await broker.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

async function newProducer(options: { idempotent?: boolean } = {}): Promise<Producer & AsyncDisposable> {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options })
  await producer.connect()
  return Object.assign(producer, { [Symbol.asyncDispose]: () => producer.disconnect() })
}

async function endOffset(): Promise<number> {
  await using raw = await RawKafka.connect(broker.brokers)
  return (await listOffsetRaw(raw, topic, -1)).offset
}

test('a dropped request has no effect, and the client retries', async () => {
  broker.faults.inject('Produce', { kind: 'drop' })
  await using raw = await RawKafka.connect(broker.brokers)
  await expect(produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) })).rejects.toThrow('closed')
  expect(await endOffset()).toBe(0)

  await using producer = await newProducer()
  const dropped = broker.faults.inject('Produce', { kind: 'drop' })
  await producer.send({ topic, messages: [{ value: 'x' }] })
  expect([dropped.hits, await endOffset()]).toEqual([1, 1])
})

test('when a response is lost, a plain producer writes twice and an idempotent one once', async () => {
  await using plain = await newProducer()
  broker.faults.inject('Produce', { kind: 'lose' })
  await plain.send({ topic, messages: [{ value: 'twice' }] })
  expect(await endOffset()).toBe(2)

  await using idempotent = await newProducer({ idempotent: true })
  broker.faults.inject('Produce', { kind: 'lose' })
  await idempotent.send({ topic, messages: [{ value: 'once' }] })
  expect(await endOffset()).toBe(3)
})

test('a delayed request takes effect at once, its response arrives when released', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  const { promise: until, resolve: release } = Promise.withResolvers<void>()
  broker.faults.inject('Produce', { kind: 'delay', until })
  let answered = false
  const produced = produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) }).finally(() => {
    answered = true
  })
  await eventually(async () => expect(await endOffset()).toBe(1))
  expect(answered).toBe(false)
  release()
  expect(await produced).toEqual({ errorCode: 0, baseOffset: 0 })
})

test('an injected error replaces the response as many times as requested', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  broker.faults.inject('Produce', { kind: 'error', error: 'NOT_LEADER_OR_FOLLOWER' }, 2)
  broker.faults.inject('Fetch', { kind: 'error', error: 'UNKNOWN_SERVER_ERROR' })
  broker.faults.inject('Heartbeat', { kind: 'error', error: 'NOT_COORDINATOR' })
  const produce = async () =>
    (await produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) })).errorCode
  expect([await produce(), await produce(), await produce()]).toEqual([6, 6, 0])
  expect((await fetchRaw(raw, { topic, offset: 0 })).errorCode).toBe(-1)
  expect((await fetchRaw(raw, { topic, offset: 0 })).errorCode).toBe(0)
  const member = new RawMember(raw, 'group', { sessionMs: 1_000, rebalanceMs: 1_000 })
  expect(await member.heartbeat()).toBe(16)
})

test('kafkajs hides retriable errors from the sender', async () => {
  await using producer = await newProducer()
  const refused = broker.faults.inject('Produce', { kind: 'error', error: 'NOT_ENOUGH_REPLICAS' }, 3)
  await producer.send({ topic, messages: [{ value: 'x' }] })
  expect([refused.hits, await endOffset()]).toEqual([3, 1])
})

test('an unlimited fault hits every request until it is cancelled', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  const refused = broker.faults.inject(
    'ListOffsets',
    { kind: 'error', error: 'LEADER_NOT_AVAILABLE' },
    Number.POSITIVE_INFINITY,
  )
  for (let round = 0; round < 5; round++) expect((await listOffsetRaw(raw, topic, -1)).errorCode).toBe(5)
  refused.cancel()
  expect((await listOffsetRaw(raw, topic, -1)).errorCode).toBe(0)
  expect(refused.hits).toBe(5)
})

test('a paused broker answers no request, and all of them once resumed', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  broker.faults.pause(true)
  let answered = 0
  const produced = [1, 2, 3].map(() =>
    produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) }).then(({ baseOffset }) => {
      answered++
      return baseOffset
    }),
  )
  // A connection made during the pause is accepted, and blocks too.
  await using late = await RawKafka.connect(broker.brokers)
  const end = listOffsetRaw(late, topic, -2)
  for (let turn = 0; turn < 10; turn++) (await RawKafka.connect(broker.brokers)).close()
  expect(answered).toBe(0)
  broker.faults.pause(false)
  expect(await Promise.all(produced)).toEqual([0, 1, 2])
  expect(await end).toEqual({ errorCode: 0, offset: 0 })
})

test('a response that falls due during a pause is sent once resumed', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  const { promise: until, resolve: release } = Promise.withResolvers<void>()
  broker.faults.inject('Produce', { kind: 'delay', until })
  let answered = false
  const produced = produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) }).finally(() => {
    answered = true
  })
  await eventually(async () => expect(await endOffset()).toBe(1))
  broker.faults.pause(true)
  release()
  for (let turn = 0; turn < 10; turn++) (await RawKafka.connect(broker.brokers)).close()
  expect(answered).toBe(false)
  broker.faults.pause(false)
  expect(await produced).toEqual({ errorCode: 0, baseOffset: 0 })
})

test('while connections are refused none gets in, afterwards clients reconnect', async () => {
  await using producer = await newProducer()
  broker.faults.refuseConnections(true)
  await using refused = await RawKafka.connect(broker.brokers)
  await refused.closed
  const sent = producer.send({ topic, messages: [{ value: 'patient' }] })
  broker.faults.refuseConnections(false)
  await sent
  expect(await endOffset()).toBe(1)
})

test('a full disk fails produce and commit requests and loses nothing', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  const produce = async () =>
    (await produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) })).errorCode
  const member = new RawMember(raw, 'group', { sessionMs: 1_000, rebalanceMs: 1_000 })
  const commit = (offset: number) => member.commit(topic, offset, { generation: -1, memberId: '' })
  expect([await produce(), await commit(1)]).toEqual([0, 0])
  const create = () => createTopicRaw(raw, 'new')
  broker.faults.diskFull(true)
  expect([await produce(), await commit(2), await create()]).toEqual([56, 56, 56])
  expect([await endOffset(), await member.committed(topic)]).toEqual([1, 1])
  broker.faults.diskFull(false)
  expect([await produce(), await commit(2), await create()]).toEqual([0, 0, 0])
  expect([await endOffset(), await member.committed(topic)]).toEqual([2, 2])
})

test('dropping connections fails a waiting fetch, and clients reconnect', async () => {
  await using raw = await RawKafka.connect(broker.brokers)
  const waiting = fetchRaw(raw, { topic, offset: 0, waitMaxMs: 60_000 })
  broker.faults.dropConnections()
  await expect(waiting).rejects.toThrow('closed')
  expect(await admin.listTopics()).toEqual([topic])
})
