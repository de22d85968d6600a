/** The balances service with database and broker, through restarts and outages. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import type { ServiceConfig } from '../config/config'
import { type EncodedEvent, encodeEvent } from '../contract/wire/envelope'
import { startBroker } from '../local/broker/broker'
import { startPostgres } from '../local/postgres/cluster'
import { openDatabase } from '../platform/postgres/database'
import type { RunningService } from '../platform/process/service'
import { createLog } from '../platform/telemetry/log'
import { backing } from '../testing/backing'
import { eventually } from '../testing/eventually'
import { type Caller, callerOf, serviceConfig, spawnService } from '../testing/stack'
import { createServedTopics } from '../testing/topics'
import { startBalances } from './service'

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

/** Writes like the course's services: no key, headers or version. */
type CourseWallet = {
  /** In order, in one request. */
  send(values: string[], partition?: number): Promise<void>
  /** Sets the offsets of the group, which must be empty. */
  moveGroup(offset: number): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

async function courseWallet({ kafka }: ServiceConfig): Promise<CourseWallet> {
  const client = new Kafka({ brokers: kafka.brokers, clientId: 'course', logLevel: logLevel.NOTHING })
  const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const topic = `${kafka.topicPrefix}balances`
  await createServedTopics(client, [{ topic, numPartitions: 3 }])
  return {
    async send(values, partition = 0) {
      await producer.send({ topic, messages: values.map((value) => ({ value, partition })) })
    },
    async moveGroup(offset) {
      const groupId = `${kafka.topicPrefix}${kafka.groupId}`
      const member = client.consumer({ groupId, maxWaitTimeInMs: 50 })
      await member.subscribe({ topics: [topic] })
      const joined = new Promise((resolve) => member.on(member.events.GROUP_JOIN, resolve))
      await member.run({ autoCommit: false, eachBatch: async () => {} })
      await joined
      await member.commitOffsets([0, 1, 2].map((partition) => ({ topic, partition, offset: String(offset) })))
      await member.disconnect()
    },
    async [Symbol.asyncDispose]() {
      await producer.disconnect()
    },
  }
}

/** A movement within one account, so that one record is one version of it. */
const course = (account: string, balance: number) =>
  balanceUpdated({
    ...{ account_id_from: account, balance_account_id_from: 0 },
    ...{ account_id_to: account, balance_account_id_to: balance },
  })

const balanceUpdated = (payload: object) => JSON.stringify({ Name: 'BalanceUpdated', Payload: payload })

const courses = (account: string, count: number) =>
  Array.from({ length: count }, (_, index) => course(account, index + 1))

async function freshConfig({ seed = false, isEmpty = false } = {}): Promise<ServiceConfig> {
  const shared = await backing()
  const database = await shared.createDatabase('balances', isEmpty ? undefined : 'balances')
  return serviceConfig('balances', {
    database,
    brokers: shared.brokers,
    topicPrefix: shared.topicPrefix(),
    seed,
  })
}

type Running = Caller & RunningService & AsyncDisposable

async function start(config: ServiceConfig): Promise<Running> {
  const service = await startBalances(config, log)
  return { ...callerOf('balances', service.port), ...service, [Symbol.asyncDispose]: service.stop }
}

const hasBalance = (service: Caller, account: string, balance: number, version: number) =>
  eventually(async () => {
    const { body } = await service.get(`/balances/${account}`)
    expect(body).toMatchObject({ account_id: account, balance, version })
  })

const hasConsumer = (service: Caller, status: 'pass' | 'warn', output: RegExp) =>
  eventually(async () => {
    const answer = await service.get('/readyz')
    expect(answer.status).toBe(200)
    expect(answer.body.checks).toMatchObject({
      consumer: { status, output: expect.stringMatching(output) },
    })
  })

test('our own events end in the newest version of each account, reordered and redelivered', async () => {
  const config = await freshConfig()
  await using balances = await start(config)
  await using wallet = await courseWallet(config)
  const update = (version: number): EncodedEvent =>
    encodeEvent(
      {
        name: 'BalanceUpdated',
        payload: {
          account_id_from: 'eva',
          account_id_to: 'frank',
          balance_account_id_from: 1000 - version * 10,
          balance_account_id_to: 1000 + version * 10,
          version_account_id_from: version,
          version_account_id_to: version,
          currency: 'BRL',
          created_at: '2024-01-27T17:13:55.000Z',
        },
      },
      '2024-01-27T17:13:55.000Z',
    )
  const values = [5, 3, 7, 1, 7, 2, 6, 4, 5, 3].map((version) => update(version).value)
  await wallet.send(values.slice(0, 4), 2)
  await wallet.send(values.slice(4), 0)
  await hasConsumer(balances, 'pass', /9 partitions, 0 records behind, last applied at/)
  await hasBalance(balances, 'eva', 930, 7)
  await hasBalance(balances, 'frank', 1070, 7)

  const [first, other] = await Promise.all([balances.get('/balances/eva'), balances.get('/accounts/eva')])
  expect(other.body).toEqual(first.body)
  const etag = first.headers.get('etag') ?? ''
  expect((await balances.get('/balances/eva', { 'if-none-match': etag })).status).toBe(304)
})

test('records of the course are applied in log order, once each, at any offset of the group', async () => {
  const config = await freshConfig()
  await using wallet = await courseWallet(config)
  await wallet.send([
    balanceUpdated({
      ...{ account_id_from: 'eva', balance_account_id_from: 775 },
      ...{ account_id_to: 'frank', balance_account_id_to: 1225 },
    }),
    balanceUpdated({
      ...{ account_from_id: 'eva', balance_account_from: 750.5 },
      ...{ account_to_id: 'frank', balance_account_to: 1249.5 },
    }),
    'not an event',
    balanceUpdated({
      ...{ account_id_from: 'eva', balance_account_id_from: 700.5 },
      ...{ account_id_to: 'eva', balance_account_id_to: 800.5 },
    }),
  ])
  const first = await start(config)
  await hasBalance(first, 'eva', 800.5, 3)
  await hasBalance(first, 'frank', 1249.5, 2)
  await first.stop()

  await wallet.moveGroup(0)
  const behind = await start(config)
  await wallet.send([course('eva', 1)])
  await hasBalance(behind, 'eva', 1, 4)
  await behind.stop()

  await wallet.send([course('eva', 2), course('eva', 3)])
  await wallet.moveGroup(7)
  const ahead = await start(config)
  await hasBalance(ahead, 'eva', 3, 6)
  expect((await ahead.get('/dead-letters')).body.data).toMatchObject([{ offset: 2, value: 'not an event' }])
  await ahead.stop()

  const { url } = await (await backing()).createDatabase('balances', 'balances')
  await using fresh = await start({ ...config, database: { ...config.database, url } })
  await hasBalance(fresh, 'eva', 3, 6)
  await hasBalance(fresh, 'frank', 1249.5, 2)
})

test('a killed service leaves no partial writes: the next one continues at the stored offset', async () => {
  const config = await freshConfig()
  await using wallet = await courseWallet(config)
  const database = openDatabase({ ...config.database, applicationName: 'test' })
  const versionNow = async () => {
    const [row] = await database.sql<
      { version: bigint }[]
    >`select version from balances where account_id = 'eva'`
    return Number(row?.version ?? 0)
  }
  const killed = await spawnService(config)
  let count = 0
  let isAlive = true
  const sending = (async () => {
    for (; isAlive; count += 100) await wallet.send(courses('eva', count + 100).slice(count))
  })()
  await eventually(async () => expect(await versionNow()).toBeGreaterThan(500), {
    intervalMs: 1,
  })
  await killed.kill()
  const left = await versionNow()
  isAlive = false
  await sending
  await database.close()
  expect(left).toBeLessThan(count)

  // Another group: the broker waits ten seconds for the dead member of the old one. Offsets are in the
  // database anyway.
  await using next = await start({ ...config, kafka: { ...config.kafka, groupId: 'another' } })
  await hasBalance(next, 'eva', count, count)
})

test('every record is applied once while members join and leave', async () => {
  const config = await freshConfig()
  const count = 3000
  await using wallet = await courseWallet(config)
  const first = await start(config)
  await hasConsumer(first, 'pass', /9 partitions/)
  const sending = Promise.all(
    [0, 1, 2].map(async (partition) => {
      const values = courses(`account-${partition}`, count)
      for (let sent = 0; sent < count; sent += 100)
        await wallet.send(values.slice(sent, sent + 100), partition)
    }),
  )
  await using second = await start(config)
  await hasConsumer(second, 'pass', /[1-8] partitions/)
  await first.stop()
  await sending
  for (const partition of [0, 1, 2]) await hasBalance(second, `account-${partition}`, count, count)
  await hasConsumer(second, 'pass', /9 partitions/)
})

test('four replicas may start at once on an empty database', async () => {
  const config = await freshConfig({ seed: true, isEmpty: true })
  const replicas = await Promise.all([start(config), start(config), start(config), start(config)])
  const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
  for (const replica of replicas) await hasBalance(replica, eva, 800, 4)
  await using wallet = await courseWallet(config)
  await wallet.send([course(eva, 1)])
  for (const replica of replicas) await hasBalance(replica, eva, 1, 5)
  await Promise.all(replicas.map((replica) => replica.stop()))

  // The seed is applied once, and reverts nothing.
  await using again = await start(config)
  await hasBalance(again, eva, 1, 5)
})

test.concurrent('without its broker the service answers, warns, and continues once it is back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  const dataDir = join(folder, 'broker')
  const config = await freshConfig({ seed: true })
  const before = await startBroker({ dataDir, fsync: false })
  const { port, brokers } = before
  await before.stop()
  config.kafka.brokers = [brokers]

  await using balances = await start(config)
  const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
  await hasBalance(balances, eva, 800, 4)
  await hasConsumer(balances, 'warn', /broker unavailable/)

  const broker = await startBroker({ dataDir, port, fsync: false })
  await hasConsumer(balances, 'pass', /9 partitions/)
  {
    await using wallet = await courseWallet(config)
    await wallet.send([course(eva, 1)])
    await hasBalance(balances, eva, 1, 5)
  }
  await broker.stop()
  await hasConsumer(balances, 'warn', /broker|connect/i)
  await hasBalance(balances, eva, 1, 5)

  await using back = await startBroker({ dataDir, port, fsync: false })
  await using wallet = await courseWallet(config)
  await wallet.send([course(eva, 2)])
  await hasBalance(balances, eva, 2, 6)
  await hasConsumer(balances, 'pass', /9 partitions/)
  await balances.stop()
  await back.stop()
  rmSync(folder, { recursive: true, force: true })
})

test.concurrent('a database restart in mid-stream loses no record', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-postgres-'))
  const options = {
    dataDir: join(folder, 'data'),
    durable: false,
    databases: [{ name: 'balances', user: 'balances', password: 'balances' }],
  }
  const config = await freshConfig()
  const server = await startPostgres(options)
  config.database = { ...config.database, url: server.url('balances'), migrationUrl: undefined }
  await using balances = await start(config)
  await using wallet = await courseWallet(config)
  const count = 3000
  const sending = (async () => {
    for (let sent = 0; sent < count; sent += 100)
      await wallet.send(courses('eva', count).slice(sent, sent + 100))
  })()
  await eventually(async () => expect((await balances.get('/balances/eva')).status).toBe(200))
  await server.stop()
  expect((await balances.get('/livez')).status).toBe(200)
  expect((await balances.get('/readyz')).status).toBe(503)
  expect(await balances.get('/balances/eva')).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } })

  await using again = await startPostgres({ ...options, port: server.port })
  await sending
  await hasBalance(balances, 'eva', count, count)
  await balances.stop()
  await again.stop()
  rmSync(folder, { recursive: true, force: true })
})
