import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { type Broker, startBroker } from '../embedded/broker/broker'
import { connectKafka, type IncomingRecord } from '../platform/kafka'
import { createLog } from '../platform/log'
import { backing } from '../testing/backing'
import { eventually } from '../testing/eventually'
import { type Caller, callerOf, serviceConfig } from '../testing/stack'
import { startWallet } from './start'

setDefaultTimeout(60_000)

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const log = createLog({ service: 'test', level: 'error', format: 'json' })

/** A wallet with a broker of its own, which may be stopped and made to fail. */
async function start(wallets = 1) {
  const shared = await backing()
  const database = await shared.createDatabase('relay')
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-relay-'))
  let broker: Broker = await startBroker({ dataDir, fsync: false })
  const { port, brokers } = broker
  const topicPrefix = shared.topicPrefix()
  const config = serviceConfig('wallet', { database, brokers: [brokers], topicPrefix, seed: true })
  const services = await Promise.all(Array.from({ length: wallets }, () => startWallet(config, log)))
  const sql = postgres(config.database.url, { max: 1, onnotice: () => {} })
  const kafka = connectKafka(config.kafka, log)
  return {
    callers: services.map((service) => callerOf(service.port)),
    sql,
    database: database.name,
    broker: () => broker,
    async restartBroker() {
      broker = await startBroker({ dataDir, port, fsync: false })
    },
    pending: async () => Number((await sql`select count(*)::int as count from outbox`)[0]?.count),
    /** Everything on topic `balances`, from its beginning, once `enough` says so. */
    async records(enough: (records: IncomingRecord[]) => boolean): Promise<IncomingRecord[]> {
      const records: IncomingRecord[] = []
      const subscription = await kafka.subscribe({
        groupId: shared.topicPrefix(),
        topics: [`${topicPrefix}balances`],
        onAssigned: async () => [],
        onTrouble: () => {},
        onBatch: async (batch) => {
          records.push(...batch.records)
          return batch.next
        },
      })
      await eventually(() => expect(enough(records)).toBe(true))
      await subscription.close()
      return records
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()))
      await kafka.close()
      await broker.stop()
      await sql.end()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

const only = (callers: Caller[]): Caller => callers[0] as Caller
const pay = (caller: Caller, amount: number) =>
  caller.post('/transactions', { account_id_from: eva, account_id_to: frank, amount })

type Told = { transaction_id: string; version_account_id_from: number; account_id_from: string }
const told = (record: IncomingRecord): Told => JSON.parse(String(record.value)).Payload

test('with the broker away money goes on moving, readiness says what waits, and all of it is told afterwards', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.broker().stop()

  const answers = await Promise.all(Array.from({ length: 20 }, () => pay(wallet, 1)))
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(201))
  expect(await stack.pending()).toBe(40)
  await eventually(async () => {
    const { status, body } = await wallet.get('/readyz')
    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'warn', checks: { outbox: { status: 'warn' } } })
    expect(JSON.stringify(body)).toContain('40 events wait')
  })

  await stack.restartBroker()
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const ids = answers.map((answer) => answer.body.id as string)
  const records = await stack.records((seen) => ids.every((id) => seen.some((one) => told(one).transaction_id === id)))
  // One account, one key, one partition: what is told of it keeps the order of its versions.
  const versions = records.map(told).filter((one) => one.account_id_from === eva)
  expect(versions.map((one) => one.version_account_id_from)).toEqual(versions.map((_, index) => index + 2))
  expect((await wallet.get('/readyz')).body).toMatchObject({ status: 'pass' })
})

test('an acknowledgement that is lost repeats events, under the same id, and loses none', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const lost = stack.broker().faults.inject('Produce', { kind: 'lose' }, 2)
  const { body } = await pay(wallet, 1)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  expect(lost.hits).toBe(2)

  const ofIt = (records: IncomingRecord[]) => records.filter((record) => told(record).transaction_id === body.id)
  const repeats = ofIt(await stack.records((seen) => ofIt(seen).length >= 2))
  expect(new Set(repeats.map((record) => record.headers.ce_id))).toEqual(new Set([`BalanceUpdated/${body.id}`]))
})

test('what the broker refuses stays in the outbox until it is taken', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  stack.broker().faults.diskFull(true)
  const { body } = await pay(wallet, 1)
  await eventually(async () => expect((await wallet.get('/readyz')).body).toMatchObject({ status: 'warn' }))
  expect(await stack.pending()).toBe(2)
  stack.broker().faults.clear()
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.records((seen) => seen.some((record) => told(record).transaction_id === body.id))
})

test('one relay leads; when its session ends another one does, and every event is told by somebody', async () => {
  await using stack = await start(3)
  const leaders = () => stack.sql`
    select pid from pg_locks where locktype = 'advisory' and granted
      and database = (select oid from pg_database where datname = current_database())`
  const ids: string[] = []
  for (let round = 0; round < 5; round++) {
    const [leader, ...others] = await eventually(async () => {
      const rows = await leaders()
      expect(rows.length).toBe(1)
      return rows
    })
    expect(others).toEqual([])
    const paid = Promise.all(stack.callers.flatMap((caller) => [pay(caller, 1), pay(caller, 1)]))
    await stack.sql`select pg_terminate_backend(${leader?.pid})`
    for (const answer of await paid) {
      expect(answer.status).toBe(201)
      ids.push(String(answer.body.id))
    }
  }
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.records((seen) => ids.every((id) => seen.some((record) => told(record).transaction_id === id)))
})

test('a row whose id was drawn early and committed late is not passed over', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const late = await stack.sql.reserve()
  const row = (subject: string) => late`
    insert into outbox (aggregatetype, aggregateid, type, payload, subject, occurred_at)
    values ('balances', 'late', 'BalanceUpdated', ${JSON.stringify({ Name: 'BalanceUpdated', Payload: { transaction_id: subject } })}, ${subject}, now())`
  await late`begin`
  await row('late')
  const { body } = await pay(wallet, 1)
  await stack.records((seen) => seen.some((record) => told(record).transaction_id === body.id))
  await late`commit`
  late.release()
  await stack.records((seen) => seen.some((record) => told(record).transaction_id === 'late'))
})
