/**
 * The broker contract that the services rely on, as tests. Runs against the local broker, Apache Kafka
 * and Redpanda; `BrokerFeatures` lists their differences.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomUUID } from 'node:crypto'
import {
  type Admin,
  CompressionTypes,
  type Consumer,
  Kafka,
  logLevel,
  Partitioners,
  type Producer,
} from 'kafkajs'
import {
  apiVersions,
  createTopics,
  deleteTopics,
  describeConfigs,
  findCoordinator,
  incrementalAlterConfigs,
  metadata,
} from '../local/broker/apis/cluster.ts'
import {
  describeGroups,
  heartbeat,
  joinGroup,
  leaveGroup,
  listGroups,
  offsetCommit,
  offsetFetch,
  syncGroup,
} from '../local/broker/apis/groups.ts'
import { deleteRecords, fetch, initProducerId, listOffsets, produce } from '../local/broker/apis/records.ts'
import { typeOf } from '../local/broker/wire.ts'
import { eventually } from './eventually.ts'
import {
  codecsOf,
  fetchBody,
  fetchRaw,
  frame,
  listOffsetRaw,
  onlyPartition,
  produceBody,
  produceRaw,
  producerIdRaw,
  RawKafka,
  RawMember,
  recordBatch,
} from './raw-kafka.ts'
import { createServedTopics } from './topics.ts'

export type RunningBroker = AsyncDisposable & {
  /** `host:port`. Survives a restart. */
  brokers: string
  /** Ends the broker with the signal, starts it again, and resolves when it is ready. */
  restart?(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

export type BrokerFeatures = {
  /** The suite may start, stop and kill further brokers. */
  restarts: boolean
  /** The shortest session timeout that the broker accepts. Kafka's default is 6000. */
  sessionMsMin: number
  /** Whether transactions work. Otherwise they have to be refused. */
  transactions: boolean
}

const error = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopic: 3,
  messageTooLarge: 10,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  unsupportedVersion: 35,
  invalidConfig: 40,
  policyViolation: 44,
  outOfOrderSequence: 45,
  memberIdRequired: 79,
}
const rawClient = { clientName: 'raw', clientVersion: '1' }
const coordinatorMoving = [14, 15, 16]

export function brokerSuite(
  name: string,
  start: () => Promise<RunningBroker>,
  features: BrokerFeatures,
): void {
  describe(name, () => {
    let broker: RunningBroker
    let kafka: Kafka
    let admin: Admin
    let producer: Producer

    beforeAll(async () => {
      broker = await start()
      kafka = client(broker.brokers)
      admin = kafka.admin()
      producer = kafka.producer({
        createPartitioner: Partitioners.DefaultPartitioner,
        allowAutoTopicCreation: false,
      })
      await Promise.all([admin.connect(), producer.connect()])
    })

    afterAll(async () => {
      await Promise.all([producer?.disconnect(), admin?.disconnect()])
      await broker?.[Symbol.asyncDispose]()
    })

    async function newTopic({
      partitions = 1,
      config = {},
    }: {
      partitions?: number
      config?: Record<string, string>
    } = {}) {
      const topic = `suite-${randomUUID()}`
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
      await createServedTopics(kafka, [
        { topic, numPartitions: partitions, replicationFactor: 1, configEntries },
      ])
      return topic
    }

    /** A member driven by hand, in a group whose coordinator is available. */
    async function newMember(
      groupId: string,
      { sessionMs = features.sessionMsMin, rebalanceMs = 5_000 } = {},
    ): Promise<RawMember & AsyncDisposable> {
      const raw = await RawKafka.connect(broker.brokers)
      const member = new RawMember(raw, groupId, { sessionMs, rebalanceMs })
      await eventually(async () => {
        expect((await raw.request(findCoordinator, { key: groupId })).errorCode).toBe(error.none)
        expect(coordinatorMoving).not.toContain(
          await member.heartbeat({ generation: 1, memberId: 'stranger' }),
        )
      })
      return Object.assign(member, { [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose]() })
    }

    describe('log', () => {
      test('records of a partition are read in the order sent, without gaps in the offsets', async () => {
        const topic = await newTopic()
        for (let batch = 0; batch < 20; batch++) {
          const messages = Array.from({ length: 50 }, (_, index) => ({ value: String(batch * 50 + index) }))
          await producer.send({ topic, messages })
        }
        const records = await readAll(kafka, topic, 1_000)
        expect(records.map(({ value }) => Number(value))).toEqual([...Array(1_000).keys()])
        expect(records.map(({ offset }) => Number(offset))).toEqual([...Array(1_000).keys()])
      })

      test('key, value, headers, timestamp and tombstones are read as sent', async () => {
        const topic = await newTopic()
        const sent = {
          key: 'chave',
          value: 'preço',
          headers: { ce_id: '1', traceparent: '00-ab' },
          timestamp: '1700000000123',
        }
        await producer.send({ topic, messages: [sent, { key: 'tombstone', value: null }] })
        const [record, tombstone] = await readAll(kafka, topic, 2)
        expect(record).toMatchObject({ key: 'chave', value: 'preço', timestamp: '1700000000123' })
        expect(record?.headers).toEqual({ ce_id: '1', traceparent: '00-ab' })
        expect(tombstone).toMatchObject({ key: 'tombstone', value: null })
      })

      test('a key maps to one partition, and each partition has its own offsets', async () => {
        const topic = await newTopic({ partitions: 3 })
        const messages = Array.from({ length: 60 }, (_, index) => ({
          key: `k${index % 6}`,
          value: String(index),
        }))
        await producer.send({ topic, messages })
        const records = await readAll(kafka, topic, 60)
        const partitionsOf = Map.groupBy(records, ({ key }) => key)
        for (const [, group] of partitionsOf)
          expect(new Set(group.map(({ partition }) => partition)).size).toBe(1)
        const offsets = await admin.fetchTopicOffsets(topic)
        expect(offsets.reduce((total, { high }) => total + Number(high), 0)).toBe(60)
      })

      test('a read may start at any offset, also within a batch', async () => {
        const topic = await newTopic()
        await producer.send({
          topic,
          messages: Array.from({ length: 10 }, (_, index) => ({ value: String(index) })),
        })
        await producer.send({
          topic,
          messages: Array.from({ length: 10 }, (_, index) => ({ value: String(10 + index) })),
        })
        const records = await readAll(kafka, topic, 7, { from: '13' })
        expect(records.map(({ value }) => value)).toEqual(['13', '14', '15', '16', '17', '18', '19'])
      })

      test('a compressed batch is stored as sent', async () => {
        const topic = await newTopic()
        const messages = Array.from({ length: 200 }, (_, index) => ({
          value: `compressible text ${index}`,
        }))
        await producer.send({ topic, messages, compression: CompressionTypes.GZIP })
        const records = await readAll(kafka, topic, 200)
        expect(records.map(({ value }) => value)).toEqual(messages.map(({ value }) => value))
        await using raw = await RawKafka.connect(broker.brokers)
        expect(await codecsOf(raw, topic, 0)).toEqual(['gzip'])
      })

      test('a batch just below the limit is accepted, one above is refused without effect', async () => {
        const topic = await newTopic()
        const value = 'x'.repeat(1_000_000)
        await producer.send({ topic, messages: [{ value }] })
        const tooLarge = producer.send({ topic, messages: [{ value: 'y'.repeat(1_100_000) }] })
        await expect(tooLarge).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' })
        const [record] = await readAll(kafka, topic, 1)
        expect(record?.value === value).toBe(true)
        expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ high: '1' }])
      })

      test('a batch larger than the requested size is returned whole, so no reader gets stuck', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const batch = recordBatch([{ value: 'z'.repeat(50_000) }])
        await produceRaw(raw, { topic, batch })
        await produceRaw(raw, { topic, batch })
        const fetched = await fetchRaw(raw, { topic, offset: 0, bytesMax: 1_000 })
        expect(fetched.records.length).toBe(batch.length)
      })

      test('records are deleted up to an offset, in every version', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        for (let value = 0; value < 10; value++)
          await producer.send({ topic, messages: [{ value: String(value) }] })
        const deleteTo = async (offset: number, version?: number, name = topic) => {
          const topics = [{ name, partitions: [{ index: 0, offset }] }]
          const answer = await raw.request(deleteRecords, { topics, timeoutMs: 5_000 }, version)
          const { errorCode, lowWatermark } = onlyPartition(answer.topics)
          return { errorCode, lowWatermark }
        }
        for (const version of versionsOf(deleteRecords)) {
          const offset = 2 + version
          expect(await deleteTo(offset, version)).toEqual({ errorCode: error.none, lowWatermark: offset })
        }
        expect(await deleteTo(1)).toEqual({ errorCode: error.none, lowWatermark: 4 })
        expect(await deleteTo(11)).toEqual({ errorCode: error.offsetOutOfRange, lowWatermark: -1 })
        expect(await listOffsetRaw(raw, topic, -2)).toEqual({ errorCode: error.none, offset: 4 })
        expect((await fetchRaw(raw, { topic, offset: 3 })).errorCode).toBe(error.offsetOutOfRange)
        expect((await readAll(kafka, topic, 6)).map(({ value }) => Number(value))).toEqual([4, 5, 6, 7, 8, 9])
        // All of it.
        expect(await deleteTo(-1)).toEqual({ errorCode: error.none, lowWatermark: 10 })
        await producer.send({ topic, messages: [{ value: 'next' }] })
        expect(await readAll(kafka, topic, 1)).toMatchObject([{ offset: '10', value: 'next' }])

        const compacted = await newTopic({ config: { 'cleanup.policy': 'compact' } })
        expect((await deleteTo(-1, undefined, compacted)).errorCode).toBe(error.policyViolation)
        const unknown = await deleteTo(0, undefined, `${topic}-unknown`)
        expect(unknown.errorCode).toBe(error.unknownTopic)
      })

      test('a batch with a wrong checksum is refused without effect', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const batch = recordBatch([{ value: 'corrupted' }])
        batch[batch.length - 2] = (batch[batch.length - 2] ?? 0) ^ 1
        expect(await produceRaw(raw, { topic, batch })).toMatchObject({ errorCode: error.corruptMessage })
        expect(await listOffsetRaw(raw, topic, -1)).toEqual({ errorCode: error.none, offset: 0 })
      })

      test('with acks 0 there is no response, and the record is stored', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        raw.send(
          frame(produce, produceBody({ topic, acks: 0, batch: recordBatch([{ value: 'unanswered' }]) })),
        )
        // A response to it would be matched to the next request, and fail there.
        expect(await listOffsetRaw(raw, topic, -2)).toEqual({ errorCode: error.none, offset: 0 })
        await eventually(async () => expect(await listOffsetRaw(raw, topic, -1)).toMatchObject({ offset: 1 }))
      })

      test('an offset is found by time, the first record at or after it, also when compressed', async () => {
        const topic = await newTopic()
        const messages = [1_000, 2_000, 3_000].map((timestamp) => ({
          value: 'x',
          timestamp: String(timestamp),
        }))
        await producer.send({ topic, messages })
        const later = [4_000, 5_000].map((timestamp) => ({ value: 'x', timestamp: String(timestamp) }))
        await producer.send({ topic, messages: later, compression: CompressionTypes.GZIP })
        await using raw = await RawKafka.connect(broker.brokers)
        const found = [-2, 1, 1_000, 1_001, 3_000, 4_500, 5_001, -1].map((timestamp) =>
          listOffsetRaw(raw, topic, timestamp),
        )
        expect((await Promise.all(found)).map(({ offset }) => offset)).toEqual([0, 0, 0, 1, 2, 4, -1, 5])
      })
    })

    describe('fetch', () => {
      test('at the end of the log waits for the requested time and returns empty', async () => {
        const topic = await newTopic()
        await producer.send({ topic, messages: [{ value: 'only' }] })
        await using raw = await RawKafka.connect(broker.brokers)
        const begun = performance.now()
        const fetched = await fetchRaw(raw, { topic, offset: 1, waitMaxMs: 300 })
        expect(fetched).toMatchObject({ errorCode: error.none, highWatermark: 1, startOffset: 0 })
        expect(fetched.records.length).toBe(0)
        expect(performance.now() - begun).toBeGreaterThan(250)
      })

      test('that waits returns with the next record', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const begun = performance.now()
        const waiting = fetchRaw(raw, { topic, offset: 0, waitMaxMs: 20_000 })
        await producer.send({ topic, messages: [{ value: 'wake up' }] })
        expect((await waiting).records.includes('wake up')).toBe(true)
        expect(performance.now() - begun).toBeLessThan(5_000)
      })

      test('with a minimum size waits for it', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const batch = recordBatch([{ value: 'half' }])
        const waiting = fetchRaw(raw, { topic, offset: 0, waitMaxMs: 20_000, bytesMin: batch.length + 1 })
        await producer.send({ topic, messages: [{ value: 'half' }] })
        await producer.send({ topic, messages: [{ value: 'half' }] })
        expect((await waiting).highWatermark).toBe(2)
      })

      test('beyond the end or before the start is out of range at once', async () => {
        const topic = await newTopic()
        await producer.send({ topic, messages: [{ value: 'only' }] })
        await using raw = await RawKafka.connect(broker.brokers)
        const begun = performance.now()
        expect(await fetchRaw(raw, { topic, offset: 2, waitMaxMs: 20_000 })).toMatchObject({
          errorCode: error.offsetOutOfRange,
        })
        expect(await fetchRaw(raw, { topic, offset: -5, waitMaxMs: 20_000 })).toMatchObject({
          errorCode: error.offsetOutOfRange,
        })
        expect(performance.now() - begun).toBeLessThan(5_000)
      })
    })

    describe('topics', () => {
      test('one that was not created is unknown to metadata, producers and consumers', async () => {
        const topic = `missing-${randomUUID()}`
        await using raw = await RawKafka.connect(broker.brokers)
        const { topics } = await raw.request(metadata, { topics: [{ name: topic }], mayCreate: false })
        expect(topics).toMatchObject([{ name: topic, errorCode: error.unknownTopic }])
        expect(await produceRaw(raw, { topic, batch: recordBatch([{ value: 'x' }]) })).toMatchObject({
          errorCode: error.unknownTopic,
        })
        expect(await fetchRaw(raw, { topic, offset: 0 })).toMatchObject({ errorCode: error.unknownTopic })
        expect(await listOffsetRaw(raw, topic, -1)).toMatchObject({ errorCode: error.unknownTopic })
        expect(await admin.listTopics()).not.toContain(topic)
      })

      test('metadata returns all topics, none or the requested ones', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const topicsOf = async (filter: { name: string }[] | null) => {
          const { topics } = await raw.request(metadata, { topics: filter, mayCreate: false })
          return topics.map(({ name }) => name)
        }
        expect(await topicsOf(null)).toContain(topic)
        expect(await topicsOf([])).toEqual([])
        expect(await topicsOf([{ name: topic }])).toEqual([topic])
      })

      test('creation refuses unsupported settings and an existing name', async () => {
        const topic = await newTopic({ partitions: 2 })
        expect(
          await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] }),
        ).toBe(false)
        const refusals: [string, object][] = [
          ['INVALID_REPLICATION_FACTOR', { topic: `${topic}-r`, numPartitions: 1, replicationFactor: 9 }],
          ['INVALID_PARTITIONS', { topic: `${topic}-p`, numPartitions: 0, replicationFactor: 1 }],
          ['INVALID_TOPIC_EXCEPTION', { topic: 'no spaces please', numPartitions: 1, replicationFactor: 1 }],
          [
            'INVALID_CONFIG',
            {
              topic: `${topic}-c`,
              replicationFactor: 1,
              configEntries: [{ name: 'retention.ms', value: 'soon' }],
            },
          ],
        ]
        for (const [type, definition] of refusals) {
          const created = admin.createTopics({ topics: [definition as { topic: string }] })
          await expect(created).rejects.toMatchObject({ errors: [{ type }] })
        }
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
        expect(topics[0]?.partitions.map(({ partitionId }) => partitionId).sort()).toEqual([0, 1])
      })

      test('validateOnly creates nothing', async () => {
        const topic = `suite-${randomUUID()}`
        await admin.createTopics({
          topics: [{ topic, numPartitions: 1, replicationFactor: 1 }],
          validateOnly: true,
          waitForLeaders: false,
        })
        expect(await admin.listTopics()).not.toContain(topic)
      })

      test('configuration set at creation is described', async () => {
        const topic = await newTopic({ config: { 'retention.ms': '12345000', 'cleanup.policy': 'compact' } })
        const described = await admin.describeConfigs({
          includeSynonyms: false,
          resources: [{ type: 2, name: topic }],
        })
        const entries = new Map(
          described.resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]),
        )
        expect([entries.get('retention.ms'), entries.get('cleanup.policy')]).toEqual(['12345000', 'compact'])
        expect(entries.get('max.message.bytes')).toBe('1048588')
      })

      test('a setting is changed, and one that is deleted has its default again', async () => {
        const topic = await newTopic({ config: { 'retention.ms': '12345000', 'retention.bytes': '-1' } })
        await using raw = await RawKafka.connect(broker.brokers)
        const names = ['retention.ms', 'retention.bytes', 'cleanup.policy']
        const settingsOf = async () => {
          const body = { resources: [{ type: 2, name: topic, keys: names }], withSynonyms: false }
          const { resources } = await raw.request(describeConfigs, body)
          return Object.fromEntries((resources[0]?.entries ?? []).map(({ name, value }) => [name, value]))
        }
        const alter = async (settings: object[], version: number, validateOnly = false) => {
          const resources = [{ type: 2, name: topic, settings: settings as never }]
          const body = { resources, validateOnly }
          return (await raw.request(incrementalAlterConfigs, body, version)).resources[0]?.errorCode
        }
        const unlimited = { name: 'retention.ms', operation: 0, value: '-1' }
        expect(await alter([unlimited], 0, true)).toBe(error.none)
        expect(await alter([{ ...unlimited, value: 'for ever' }], 1)).toBe(error.invalidConfig)
        expect(await settingsOf()).toMatchObject({ 'retention.ms': '12345000' })
        const size = { name: 'retention.bytes', operation: 0, value: '1000000' }
        expect(await alter([unlimited, size], 1)).toBe(error.none)
        const changed = { 'retention.ms': '-1', 'retention.bytes': '1000000', 'cleanup.policy': 'delete' }
        await eventually(async () => expect(await settingsOf()).toEqual(changed))
        expect(await alter([{ name: 'retention.ms', operation: 1, value: null }], 0)).toBe(error.none)
        await eventually(async () =>
          expect(await settingsOf()).toEqual({ ...changed, 'retention.ms': '604800000' }),
        )
      })

      test('a deleted and recreated topic is empty, without committed offsets', async () => {
        const topic = await newTopic()
        const groupId = `group-${randomUUID()}`
        await producer.send({ topic, messages: [{ value: 'old' }] })
        await using member = await newMember(groupId)
        expect(await member.commit(topic, 1, { generation: -1, memberId: '' })).toBe(error.none)
        await admin.deleteTopics({ topics: [topic] })
        await eventually(async () => expect(await admin.listTopics()).not.toContain(topic))
        await createServedTopics(kafka, [{ topic, numPartitions: 1, replicationFactor: 1 }])
        await eventually(async () =>
          expect(await listOffsetRaw(member.client, topic, -1)).toEqual({ errorCode: error.none, offset: 0 }),
        )
        await eventually(async () => expect(await member.committed(topic)).toBe(-1))
      })
    })

    describe('idempotent producer', () => {
      test('a batch sent twice is stored once and acknowledged twice; a gap is refused', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const producerId = await newProducerId(raw)
        const batch = (baseSequence: number) =>
          recordBatch([{ value: 'a' }, { value: 'b' }], { producerId, producerEpoch: 0, baseSequence })
        expect(await produceRaw(raw, { topic, batch: batch(0) })).toEqual({
          errorCode: error.none,
          baseOffset: 0,
        })
        expect(await produceRaw(raw, { topic, batch: batch(2) })).toEqual({
          errorCode: error.none,
          baseOffset: 2,
        })
        expect(await produceRaw(raw, { topic, batch: batch(0) })).toEqual({
          errorCode: error.none,
          baseOffset: 0,
        })
        expect(await produceRaw(raw, { topic, batch: batch(2) })).toEqual({
          errorCode: error.none,
          baseOffset: 2,
        })
        expect(await produceRaw(raw, { topic, batch: batch(6) })).toMatchObject({
          errorCode: error.outOfOrderSequence,
        })
        expect(await produceRaw(raw, { topic, batch: batch(4) })).toEqual({
          errorCode: error.none,
          baseOffset: 4,
        })
        expect(await listOffsetRaw(raw, topic, -1)).toMatchObject({ offset: 6 })
      })

      test('every producer gets a unique id', async () => {
        await using raw = await RawKafka.connect(broker.brokers)
        const ids = await Promise.all(Array.from({ length: 20 }, () => newProducerId(raw)))
        expect(new Set(ids).size).toBe(20)
      })

      test('of kafkajs delivers every record once', async () => {
        const topic = await newTopic({ partitions: 2 })
        const idempotent = kafka.producer({
          idempotent: true,
          createPartitioner: Partitioners.DefaultPartitioner,
        })
        await idempotent.connect()
        for (let batch = 0; batch < 10; batch++) {
          await idempotent.send({
            topic,
            messages: Array.from({ length: 10 }, (_, index) => ({ value: String(batch * 10 + index) })),
          })
        }
        await idempotent.disconnect()
        const values = (await readAll(kafka, topic, 100)).map(({ value }) => Number(value))
        expect(values.sort((left, right) => left - right)).toEqual([...Array(100).keys()])
      })

      if (!features.transactions) {
        test('with a transactional id is refused', async () => {
          await using raw = await RawKafka.connect(broker.brokers)
          const body = { transactionalId: 'pay', transactionTimeoutMs: 60_000 }
          expect((await raw.request(initProducerId, body)).errorCode).not.toBe(error.none)
        })
      }
    })

    describe('group', () => {
      test('a member without an id gets one', async () => {
        await using member = await newMember(`group-${randomUUID()}`)
        const joined = await member.join()
        const { memberId } = member
        expect(joined).toMatchObject({ errorCode: error.none, leader: memberId, members: [memberId] })
        expect(await member.sync({ [memberId]: 'all of it' })).toEqual({
          errorCode: error.none,
          assignment: 'all of it',
        })
        expect(await member.heartbeat()).toBe(error.none)
        expect(await member.leave()).toBe(error.none)
        expect(await member.heartbeat()).toBe(error.unknownMember)
      })

      test('a join triggers a rebalance, and the leader assigns the partitions', async () => {
        const groupId = `group-${randomUUID()}`
        await using first = await newMember(groupId)
        await using second = await newMember(groupId)
        await first.join()
        await first.sync({ [first.memberId]: 'all' })

        const secondJoins = second.join()
        await eventually(async () => expect(await first.heartbeat()).toBe(error.rebalanceInProgress))
        const firstJoined = await first.join()
        const secondJoined = await secondJoins
        expect(firstJoined.leader).toBe(first.memberId)
        expect(firstJoined.members.sort()).toEqual([first.memberId, second.memberId].sort())
        expect(secondJoined).toMatchObject({ leader: first.memberId, members: [] })
        expect(first.generation).toBe(second.generation)

        const secondSyncs = second.sync()
        expect(
          (await first.sync({ [first.memberId]: 'left half', [second.memberId]: 'right half' })).assignment,
        ).toBe('left half')
        expect(await secondSyncs).toEqual({ errorCode: error.none, assignment: 'right half' })
      })

      test('commits of old generations, unknown members and outsiders are fenced', async () => {
        const topic = await newTopic()
        const groupId = `group-${randomUUID()}`
        await using first = await newMember(groupId)
        await using second = await newMember(groupId)
        expect(await first.committed(topic)).toBe(-1)
        await first.join()
        await first.sync({ [first.memberId]: 'all' })
        expect(await first.commit(topic, 10)).toBe(error.none)

        const secondJoins = second.join()
        await eventually(async () => expect(await first.heartbeat()).toBe(error.rebalanceInProgress))
        await first.join()
        await secondJoins
        const secondSyncs = second.sync()
        await first.sync({ [first.memberId]: 'half', [second.memberId]: 'half' })
        await secondSyncs

        expect(await first.commit(topic, 11, { generation: first.generation - 1 })).toBe(
          error.illegalGeneration,
        )
        expect(await first.commit(topic, 11, { memberId: 'stranger' })).toBe(error.unknownMember)
        expect(await first.commit(topic, 11, { generation: -1, memberId: '' })).toBe(error.unknownMember)
        expect(await first.committed(topic)).toBe(10)
        expect(await second.commit(topic, 12)).toBe(error.none)
        expect(await first.committed(topic)).toBe(12)
        expect(await second.heartbeat({ generation: second.generation - 1 })).toBe(error.illegalGeneration)
      })

      test('a member that does not rejoin in time is removed', async () => {
        const groupId = `group-${randomUUID()}`
        const timeouts = { sessionMs: 30_000, rebalanceMs: 300 }
        await using first = await newMember(groupId, timeouts)
        await using second = await newMember(groupId, timeouts)
        await first.join()
        await first.sync({ [first.memberId]: 'all' })
        const joined = await second.join()
        expect(joined).toMatchObject({
          errorCode: error.none,
          leader: second.memberId,
          members: [second.memberId],
        })
        expect(await first.heartbeat()).toBe(error.unknownMember)
      })

      test('a member that died is removed when its session expires', async () => {
        const groupId = `group-${randomUUID()}`
        await using dead = await newMember(groupId)
        await using alive = await newMember(groupId, { rebalanceMs: 60_000 })
        await dead.join()
        await dead.sync({ [dead.memberId]: 'all' })
        dead.client.close()
        const joined = await alive.join()
        expect(joined).toMatchObject({ errorCode: error.none, members: [alive.memberId] })
      })

      test('of kafkajs shares the partitions and continues when a member leaves', async () => {
        const topic = await newTopic({ partitions: 4 })
        const groupId = `group-${randomUUID()}`
        await using first = await readInGroup(kafka, groupId, topic)
        await eventually(() => expect(first.assigned).toBe(4))
        const second = await readInGroup(kafka, groupId, topic)
        await eventually(() => expect([first.assigned, second.assigned]).toEqual([2, 2]))
        const messages = [0, 1, 2, 3].map((partition) => ({ partition, value: `before ${partition}` }))
        await producer.send({ topic, messages })
        await eventually(() => expect([first.values.length, second.values.length]).toEqual([2, 2]))

        await second[Symbol.asyncDispose]()
        await eventually(() => expect(first.assigned).toBe(4))
        await producer.send({
          topic,
          messages: [0, 1, 2, 3].map((partition) => ({ partition, value: `after ${partition}` })),
        })
        await eventually(() =>
          expect(first.values.filter((value) => value.startsWith('after')).length).toBe(4),
        )
        const all = [...first.values, ...second.values]
        expect(new Set(all).size).toBe(all.length)
      })

      test('is listed and described with and without members', async () => {
        const topic = await newTopic()
        const groupId = `group-${randomUUID()}`
        const reader = await readInGroup(kafka, groupId, topic)
        await producer.send({ topic, messages: [{ value: 'x' }] })
        await eventually(() => expect(reader.values).toEqual(['x']))
        await eventually(async () => {
          const { groups } = await admin.describeGroups([groupId])
          expect(groups).toMatchObject([
            { groupId, state: 'Stable', protocolType: 'consumer', members: [{ clientId: 'suite' }] },
          ])
        })
        expect((await admin.listGroups()).groups.map((group) => group.groupId)).toContain(groupId)
        await reader[Symbol.asyncDispose]()
        expect((await admin.describeGroups([groupId])).groups).toMatchObject([
          { state: 'Empty', members: [] },
        ])
        expect((await admin.listGroups()).groups.map((group) => group.groupId)).toContain(groupId)
      })
    })

    describe('connection', () => {
      test('responses come in the order of the requests, also behind a waiting fetch', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const waiting = fetchRaw(raw, { topic, offset: 0, waitMaxMs: 200 })
        // Correlation ids are checked in order, so a response out of order fails here.
        const behind = Array.from({ length: 50 }, () => listOffsetRaw(raw, topic, -1))
        expect((await waiting).records.length).toBe(0)
        expect(await Promise.all(behind)).toEqual(Array(50).fill({ errorCode: error.none, offset: 0 }))
      })

      test('requests may arrive in any fragments', async () => {
        const topic = await newTopic()
        await using raw = await RawKafka.connect(broker.brokers)
        const ids = [1, 2, 3, 4]
        const bytes = Buffer.concat(
          ids.map((correlationId) =>
            frame(fetch, fetchBody({ topic, offset: 0, waitMaxMs: 0 }), { correlationId }),
          ),
        )
        const answers = ids.map((id) => raw.answer(id))
        // Byte by byte through the first request and into the second, then all the rest at once.
        const cut = Math.floor(bytes.length / 3)
        for (const byte of bytes.subarray(0, cut)) raw.send(Buffer.from([byte]))
        raw.send(bytes.subarray(cut))
        expect(await Promise.all(answers)).toHaveLength(4)
      })

      test('a version that is too new is answered with the supported versions', async () => {
        await using raw = await RawKafka.connect(broker.brokers)
        // A flexible header ends with tagged fields, here none; the response has the layout of
        // version 0.
        raw.send(frame({ ...apiVersions, request: typeOf({}) }, {}, { version: 99 }))
        const { errorCode, apis } = apiVersions.response.read(await raw.answer(1))
        expect(errorCode).toBe(error.unsupportedVersion)
        expect(apis.find(({ key }) => key === apiVersions.key)).toBeDefined()
      })

      test('all versions that the local broker supports behave the same', async () => {
        const groupId = `group-${randomUUID()}`
        await using member = await newMember(groupId)
        const raw = member.client
        const topic = await newTopic()
        const batch = () => recordBatch([{ value: 'once in each version' }])
        let end = 0
        // Older versions predate record batch format 2.
        for (const version of versionsOf(produce).filter((one) => one >= 3)) {
          const { topics } = await raw.request(produce, produceBody({ topic, batch: batch() }), version)
          expect(topics).toMatchObject([{ partitions: [{ errorCode: error.none, baseOffset: end++ }] }])
        }
        for (const version of versionsOf(fetch)) {
          const { topics } = await raw.request(fetch, fetchBody({ topic, offset: 1 }), version)
          expect(topics).toMatchObject([{ partitions: [{ errorCode: error.none, highWatermark: end }] }])
          expect(topics[0]?.partitions[0]?.records.length).toBe((end - 1) * batch().length)
        }
        const positions = [{ name: topic, partitions: [{ index: 0, timestamp: -1 }] }]
        for (const version of versionsOf(listOffsets)) {
          const { topics } = await raw.request(listOffsets, { topics: positions }, version)
          expect(topics).toMatchObject([
            { name: topic, partitions: [{ errorCode: error.none, offset: end }] },
          ])
        }
        for (const version of versionsOf(initProducerId)) {
          const body = { transactionalId: null, transactionTimeoutMs: 60_000 }
          expect(await raw.request(initProducerId, body, version)).toMatchObject({
            errorCode: error.none,
            epoch: 0,
          })
        }
        const port = Number(broker.brokers.split(',')[0]?.split(':')[1])
        for (const version of versionsOf(findCoordinator)) {
          expect(await raw.request(findCoordinator, { key: groupId }, version)).toMatchObject({
            errorCode: 0,
            port,
          })
        }
        expect((await raw.request(leaveGroup, { groupId, memberId: 'stranger' }, 2)).errorCode).toBe(
          error.unknownMember,
        )
        for (const version of versionsOf(createTopics)) {
          const topics = [{ name: `${topic}-${version}`, partitions: 1, replicationFactor: 1 }]
          const created = await raw.request(
            createTopics,
            { topics, timeoutMs: 5_000, validateOnly: true },
            version,
          )
          expect(created.topics).toMatchObject([{ errorCode: error.none, errorMessage: null }])
        }
        for (const version of versionsOf(deleteTopics)) {
          const name = await newTopic()
          const deleted = await raw.request(deleteTopics, { names: [name], timeoutMs: 5_000 }, version)
          expect(deleted.topics).toEqual([{ name, errorCode: error.none }])
        }
        for (const version of versionsOf(apiVersions)) {
          const { apis } = await raw.request(apiVersions, rawClient, version)
          expect(apis.map(({ key }) => key)).toContain(apiVersions.key)
        }
      })

      test('all versions of metadata describe one topic, and all topics without a filter', async () => {
        const topic = await newTopic({ partitions: 2 })
        await using raw = await RawKafka.connect(broker.brokers)
        const seen = new Set<string>()
        for (const version of versionsOf(metadata)) {
          const named = await raw.request(metadata, { topics: [{ name: topic }], mayCreate: false }, version)
          expect(named.topics).toMatchObject([{ errorCode: error.none, name: topic, isInternal: false }])
          expect(named.topics[0]?.partitions.map(({ index }) => index).sort()).toEqual([0, 1])
          if (version >= 10) seen.add(named.topics[0]?.id.toString('hex') ?? '')
          const all = await raw.request(
            metadata,
            { topics: version === 0 ? [] : null, mayCreate: false },
            version,
          )
          expect(all.topics.map(({ name }) => name)).toContain(topic)
        }
        expect([...seen]).toEqual([expect.stringMatching(/[1-9a-f]/)])
        for (const version of versionsOf(describeConfigs)) {
          const body = { resources: [{ type: 2, name: topic, keys: ['retention.ms'] }], withSynonyms: false }
          const { resources } = await raw.request(describeConfigs, body, version)
          expect(resources).toMatchObject([{ errorCode: error.none, entries: [{ name: 'retention.ms' }] }])
        }
      })

      test('in all versions a member joins, syncs, commits, fetches its commit and leaves', async () => {
        const topic = await newTopic()
        for (const version of versionsOf(joinGroup)) {
          const groupId = `group-${randomUUID()}`
          await using member = await newMember(groupId)
          const raw = member.client
          const supported = (api: { versions: readonly [number, number] }) =>
            Math.min(version, api.versions[1])
          const settings = {
            groupId,
            sessionTimeoutMs: 6_000,
            rebalanceTimeoutMs: 6_000,
            protocolType: 'consumer',
          }
          const protocols = [{ name: 'range', metadata: Buffer.from('m') }]
          const join = (memberId: string) =>
            raw.request(joinGroup, { ...settings, memberId, protocols }, version)
          let joined = await join('')
          if (joined.errorCode === error.memberIdRequired) joined = await join(joined.memberId)
          const { memberId, generation } = joined
          expect(joined).toMatchObject({ errorCode: error.none, leader: memberId, protocol: 'range' })
          expect(joined.members.map((one) => one.memberId)).toEqual([memberId])
          const who = { groupId, generation, memberId }
          const assignments = [{ memberId, assignment: Buffer.from('all') }]
          const chosen = { protocolType: 'consumer', protocol: 'range' }
          const synced = await raw.request(
            syncGroup,
            { ...who, ...chosen, assignments },
            supported(syncGroup),
          )
          expect([synced.errorCode, synced.assignment.toString()]).toEqual([error.none, 'all'])
          expect((await raw.request(heartbeat, who, supported(heartbeat))).errorCode).toBe(error.none)

          for (const each of versionsOf(offsetCommit)) {
            const topics = [{ name: topic, partitions: [{ partition: 0, offset: each, metadata: 'note' }] }]
            expect(await raw.request(offsetCommit, { ...who, topics }, each)).toMatchObject({
              topics: [{ partitions: [{ errorCode: error.none }] }],
            })
          }
          for (const each of versionsOf(offsetFetch)) {
            const topics = [{ name: topic, partitions: [0] }]
            expect(await raw.request(offsetFetch, { groupId, topics }, each)).toMatchObject({
              topics: [
                {
                  partitions: [{ offset: offsetCommit.versions[1], metadata: 'note', errorCode: error.none }],
                },
              ],
            })
          }
          const described = await raw.request(
            describeGroups,
            { groups: [groupId] },
            supported(describeGroups),
          )
          expect(described.groups).toMatchObject([{ errorCode: error.none, groupId, state: 'Stable' }])
          const listed = await raw.request(listGroups, {}, supported(listGroups))
          expect(listed.groups.map((one) => one.groupId)).toContain(groupId)
          const left = await raw.request(
            leaveGroup,
            { groupId, memberId, members: [{ memberId }] },
            supported(leaveGroup),
          )
          expect(left.errorCode).toBe(error.none)
          expect((await raw.request(heartbeat, who, supported(heartbeat))).errorCode).toBe(
            error.unknownMember,
          )
        }
      })

      test('many work concurrently', async () => {
        const topic = await newTopic()
        const clients = await Promise.all(Array.from({ length: 200 }, () => RawKafka.connect(broker.brokers)))
        const produced = clients.map((raw, index) =>
          produceRaw(raw, { topic, batch: recordBatch([{ value: `from ${index}` }]) }),
        )
        const offsets = (await Promise.all(produced)).map(({ baseOffset }) => baseOffset)
        expect(offsets.sort((left, right) => left - right)).toEqual([...Array(200).keys()])
        for (const raw of clients) raw.close()
      })

      test('a slow reader blocks no other connection and gets everything in the end', async () => {
        const topic = await newTopic()
        const value = 'v'.repeat(900_000)
        for (let sent = 0; sent < 4; sent++) await producer.send({ topic, messages: [{ value }] })
        await using slow = await RawKafka.connect(broker.brokers)
        await using quick = await RawKafka.connect(broker.brokers)
        slow.pause()
        const answers = Array.from({ length: 6 }, () =>
          fetchRaw(slow, { topic, offset: 0, bytesMax: 16 << 20 }),
        )
        for (let round = 0; round < 20; round++) await listOffsetRaw(quick, topic, -1)
        slow.resume()
        for (const { records } of await Promise.all(answers))
          expect(records.length).toBeGreaterThan(4 * 900_000)
      })

      test('that sends garbage is closed, and the broker survives', async () => {
        await using raw = await RawKafka.connect(broker.brokers)
        raw.send(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'))
        await raw.closed
        await using other = await RawKafka.connect(broker.brokers)
        expect((await other.request(apiVersions, rawClient)).errorCode).toBe(error.none)
      })
    })

    if (features.restarts) {
      describe.each(['SIGTERM', 'SIGKILL'] as const)('after %s and a restart', (signal) => {
        test('acknowledged records, topics, commits, cluster id and producer ids survive', async () => {
          await using mortal = await start()
          const restarts = client(mortal.brokers)
          const mortalAdmin = restarts.admin()
          const mortalProducer = restarts.producer({ createPartitioner: Partitioners.DefaultPartitioner })
          await Promise.all([mortalAdmin.connect(), mortalProducer.connect()])
          const topic = 'survives'
          await mortalAdmin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] })
          const { clusterId } = await mortalAdmin.describeCluster()
          let raw = await RawKafka.connect(mortal.brokers)
          const producerId = await newProducerId(raw)
          const batch = recordBatch([{ value: 'once' }], { producerId, producerEpoch: 0, baseSequence: 0 })
          expect(await produceRaw(raw, { topic, batch })).toEqual({ errorCode: error.none, baseOffset: 0 })
          await mortalProducer.send({
            topic,
            messages: Array.from({ length: 100 }, (_, index) => ({ partition: 1, value: String(index) })),
          })
          const member = new RawMember(raw, 'readers', {
            sessionMs: features.sessionMsMin,
            rebalanceMs: 1_000,
          })
          expect(await member.commit(topic, 1, { generation: -1, memberId: '' })).toBe(error.none)
          raw.close()
          const deleted = { topic, partitions: [{ partition: 1, offset: '40' }] }
          await mortalAdmin.deleteTopicRecords(deleted)

          await mortal.restart?.(signal)
          raw = await RawKafka.connect(mortal.brokers)
          expect(await produceRaw(raw, { topic, batch })).toEqual({ errorCode: error.none, baseOffset: 0 })
          expect(await newProducerId(raw)).toBeGreaterThan(producerId)
          expect(await new RawMember(raw, 'readers', member.timeouts).committed(topic)).toBe(1)
          raw.close()
          const records = await readAll(restarts, topic, 61)
          expect(
            records.filter(({ partition }) => partition === 1).map(({ value }) => Number(value)),
          ).toEqual([...Array(100).keys()].slice(40))
          expect((await mortalAdmin.describeCluster()).clusterId).toBe(clusterId)
          // A client from before the restart reconnects by itself.
          await mortalProducer.send({ topic, messages: [{ value: 'and on' }] })
          await Promise.all([mortalAdmin.disconnect(), mortalProducer.disconnect()])
        })
      })
    }
  })
}

function versionsOf({
  versions: [lowest, highest],
}: {
  versions: readonly [lowest: number, highest: number]
}): number[] {
  return Array.from({ length: highest - lowest + 1 }, (_, index) => lowest + index)
}

/** Retries while a broker that has just started cannot allocate ids yet. */
function newProducerId(raw: RawKafka): Promise<number> {
  return eventually(() => producerIdRaw(raw))
}

function client(brokers: string): Kafka {
  return new Kafka({
    brokers: [brokers],
    clientId: 'suite',
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 20 },
  })
}

type ReadRecord = {
  partition: number
  offset: string
  timestamp: string
  key: string | undefined
  value: string | null | undefined
  headers: Record<string, string>
}

/**
 * Reads `count` records or more, ordered within each partition, from the start or from offset `from`
 * of partition 0.
 */
async function readAll(
  kafka: Kafka,
  topic: string,
  count: number,
  { from }: { from?: string } = {},
): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  const consumer = kafka.consumer({ groupId: `read-${randomUUID()}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)])
      const { offset, timestamp } = message
      const value = message.value === null ? null : message.value.toString()
      records.push({
        partition,
        offset,
        timestamp,
        key: message.key?.toString(),
        value,
        headers: Object.fromEntries(headers),
      })
    },
  })
  if (from !== undefined) consumer.seek({ topic, partition: 0, offset: from })
  await eventually(() => expect(records.length).toBeGreaterThanOrEqual(count))
  await consumer.disconnect()
  return records
}

/** A kafkajs consumer that records its assignment and values. Disposing leaves the group. */
async function readInGroup(kafka: Kafka, groupId: string, topic: string) {
  const consumer: Consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: 100,
    heartbeatInterval: 100,
    rebalanceTimeout: 5_000,
  })
  const reading = { assigned: 0, values: [] as string[], [Symbol.asyncDispose]: () => consumer.disconnect() }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    reading.assigned = payload.memberAssignment[topic]?.length ?? 0
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => void reading.values.push(String(message.value)) })
  return reading
}
