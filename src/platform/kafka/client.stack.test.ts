/** Topics: created, and read without a consumer group. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigResourceTypes, Kafka as KafkaClient, logLevel } from 'kafkajs'
import { startBroker } from '../../local/broker/broker'
import { backing } from '../../testing/backing'
import { createLog } from '../telemetry/log'
import { connectKafka } from './client'
import type { OffsetRange } from './offsets'

const log = createLog({ service: 'test', level: 'error', format: 'json' })

test('all records up to the end offsets are read once, without leaving a group behind', async () => {
  const { brokers, topicPrefix } = await backing()
  const kafka = connectKafka({ brokers, clientId: 'reader', ssl: false, sasl: undefined }, log)
  const admin = new KafkaClient({ brokers, logLevel: logLevel.NOTHING }).admin()
  const publisher = kafka.publisher()
  try {
    await admin.connect()
    const topic = `${topicPrefix()}read`
    await kafka.ensureTopics([topic], 2)
    // More than one fetch returns.
    const value = 'v'.repeat(300_000)
    const send = (key: string) => publisher.send([{ topic, key, value, headers: { of: key } }])
    const keys = Array.from({ length: 12 }, (_, index) => String(index))
    for (const key of keys) await send(key)
    const ends = await kafka.endOffsets([topic])
    await send('too late')

    const groups = await admin.listGroups()
    const readKeys = async (extents: OffsetRange[]) => {
      const read: string[] = []
      for await (const { records } of kafka.read(extents))
        read.push(...records.map(({ headers }) => String(headers[0]?.[1] ?? '')))
      return read.sort((a, b) => Number(a) - Number(b))
    }
    expect(await readKeys(ends)).toEqual(keys)
    expect(await admin.listGroups()).toEqual(groups)
    const later = ends.map((extent) => ({ ...extent, first: extent.offset - 1n }))
    expect(await readKeys(later)).toHaveLength(ends.length)
  } finally {
    await Promise.all([publisher.close(), admin.disconnect(), kafka.close()])
  }
})

test('single records are found over one connection, another one after the broker was away', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  let broker = await startBroker({ dataDir, fsync: false })
  const { port } = broker
  const options = { brokers: [broker.brokers], clientId: 'finder', ssl: false, sasl: undefined }
  const kafka = connectKafka(options, log)
  const publisher = kafka.publisher()
  try {
    const topics = ['one', 'other']
    await kafka.ensureTopics(topics, 1)
    const send = (topic: string) => publisher.send([{ topic, key: topic, value: topic, headers: {} }])
    for (const topic of topics) await send(topic)
    const find = async (...wanted: string[]) => {
      const found = await kafka.recordsAt(wanted.map((topic) => ({ topic, partition: 0, offset: 0n })))
      return found.map((record) => String(record?.value))
    }
    expect(await find('one')).toEqual(['one'])
    // Each connection asks for this first.
    const connections = broker.faults.inject('ApiVersions', { kind: 'delay', until: Promise.resolve() }, 100)
    for (let count = 0; count < 3; count++) expect(await find('other', 'one')).toEqual(['other', 'one'])
    expect(connections.hits).toBe(0)
    await broker.stop()
    broker = await startBroker({ dataDir, port, fsync: false })
    expect(await find('one', 'other')).toEqual(['one', 'other'])
    expect(await kafka.recordsAt([{ topic: 'one', partition: 0, offset: 1n }])).toEqual([undefined])
  } finally {
    await Promise.all([publisher.close(), kafka.close()])
    await broker.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('topics can be used once they are ensured, also where a broker serves them late', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  const broker = await startBroker({ dataDir, fsync: false })
  const options = { brokers: [broker.brokers], clientId: 'late', ssl: false, sasl: undefined }
  const kafka = connectKafka(options, log)
  const { faults } = broker
  // A request for all topics, of which there are none, has no place for an error.
  const unlisted = faults.inject('Metadata', { kind: 'error', error: 'UNKNOWN_TOPIC_OR_PARTITION' }, 12)
  const unserved = faults.inject('ListOffsets', { kind: 'error', error: 'NOT_LEADER_OR_FOLLOWER' }, 3)
  try {
    await kafka.ensureTopics(['one', 'other'], 2)
    expect([unlisted.hits, unserved.hits]).toEqual([12, 3])
    expect(await kafka.endOffsets(['one', 'other'])).toHaveLength(4)
  } finally {
    await kafka.close()
    await broker.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
})

test('a new topic gets its settings, or the defaults where the broker refuses them', async () => {
  const { brokers, topicPrefix } = await backing()
  const prefix = topicPrefix()
  const [kept, refused] = [`${prefix}kept`, `${prefix}refused`]
  const topicSettings = (topic: string): Record<string, string> =>
    topic === kept ? { 'retention.ms': '-1' } : { 'retention.ms': 'for ever' }
  const options = { brokers, clientId: 'settings', ssl: false, sasl: undefined, topicSettings }
  const kafka = connectKafka(options, log)
  const admin = new KafkaClient({ brokers, logLevel: logLevel.NOTHING }).admin()
  try {
    await admin.connect()
    await kafka.ensureTopics([kept], 1)
    await kafka.ensureTopics([refused], 2)
    const configNames = ['retention.ms']
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [kept, refused].map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames })),
    })
    const values = resources.map(({ configEntries: [entry] }) => entry?.configValue)
    expect(values).toEqual(['-1', expect.stringMatching(/^\d+$/)])
    expect(await kafka.endOffsets([refused])).toHaveLength(2)
  } finally {
    await Promise.all([admin.disconnect(), kafka.close()])
  }
})
