/**
 * Events that are too many or too large for one send: the broker's limits slow the relay down, and
 * do not stop it.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import postgres from 'postgres'
import { topics } from '../../contract/events/events'
import { startBroker } from '../../local/broker/broker'
import { connectKafka } from '../../platform/kafka/client'
import { requestBytesMax } from '../../platform/kafka/publisher'
import type { IncomingRecord } from '../../platform/kafka/records'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { countPending, fillOutbox, fillOutboxRows } from '../../testing/outbox'
import { callerOf, serviceConfig } from '../../testing/stack'
import { eva, frank, log } from '../../testing/wallets'
import { startWallet } from '../service'

/** A wallet whose topics have one partition, and take batches of `batchBytesMax`. */
async function start(batchBytesMax: number, patience = { standstillMaxMs: 60_000, refusedMs: 200 }) {
  const shared = await backing()
  const database = await shared.createDatabase('relay', 'wallet')
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-relay-'))
  const broker = await startBroker({ dataDir, fsync: false })
  const topicPrefix = shared.topicPrefix()
  const admin = new Kafka({ brokers: [broker.brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const names = topics.map((topic) => topicPrefix + topic)
  const configEntries = [{ name: 'max.message.bytes', value: String(batchBytesMax) }]
  await admin.createTopics({ topics: names.map((topic) => ({ topic, numPartitions: 1, configEntries })) })
  const config = serviceConfig('wallet', { database, brokers: [broker.brokers], topicPrefix, seed: true })
  const service = await startWallet(config, log, patience)
  const sql = postgres(database.url, { max: 1, onnotice: () => {} })
  const kafka = connectKafka(config.kafka, log)
  return {
    wallet: callerOf('wallet', service.port),
    sql,
    pending: () => countPending(sql),
    /** As a movement would leave it there, of any size. */
    tell: (key: string, ...bytes: number[]) =>
      fillOutbox(
        sql,
        bytes.map((count) => ({
          ...{ topic: 'transactions', name: 'TransactionCreated', key },
          value: 'x'.repeat(count),
        })),
      ),
    async records(topic: string): Promise<IncomingRecord[]> {
      const records: IncomingRecord[] = []
      for await (const batch of kafka.read(await kafka.endOffsets([topicPrefix + topic])))
        records.push(...batch.records)
      return records
    },
    topic: (name: string) => topicPrefix + name,
    async [Symbol.asyncDispose]() {
      await service.stop()
      await admin.disconnect()
      await kafka.close()
      await sql.end()
      await broker.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/**
 * As many bytes as a text of 255 characters may become. Control characters, which JSON escapes with
 * six, are refused.
 */
const longest = { wide: '😀'.repeat(255), escaped: '"'.repeat(255), accented: 'é'.repeat(255) }

test.each([
  ['as brokers do by default', 1_048_588],
  ['as one of little memory does', 20_000],
  ['hardly more than one event', 3500],
])('500 events of many bytes go to one partition of a broker that takes batches %s', async (_, bytesMax) => {
  await using stack = await start(bytesMax)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const transactions = Array.from({ length: 500 }, (_, nth) => ({
    account_id_from: nth % 2 === 0 ? eva : frank,
    account_id_to: nth % 2 === 0 ? frank : eva,
    amount: 0.01,
    reference: longest.wide,
    metadata: { note: 'm'.repeat(4000) },
  }))
  // A request has a limit of its own.
  for (let nth = 0; nth < 500; nth += 100) {
    const answer = await stack.wallet.post('/transactions/batch', {
      transactions: transactions.slice(nth, nth + 100),
    })
    expect(answer.status).toBe(201)
  }
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const versions = (await stack.records('balances')).flatMap((record) => {
    const payload = JSON.parse(String(record.value)).Payload
    return payload.account_id_from === eva ? payload.version_account_id_from : []
  })
  // What is repeated because a part of a send was refused changes nothing.
  const first = [...new Set<number>(versions)]
  expect(first.length).toBeGreaterThanOrEqual(250)
  expect(first).toEqual(first.toSorted((one, other) => one - other))
  expect((await stack.wallet.get('/readyz')).body).toMatchObject({ checks: { outbox: { status: 'pass' } } })
})

test('thousands of events that waited for the broker are sent by bytes, not by number', async () => {
  await using stack = await start(1_048_588)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const event = { topic: 'transactions', name: 'TransactionCreated', key: 'one key' } as const
  await fillOutboxRows(stack.sql, 1000, { ...event, value: 'x'.repeat(9000) })
  await eventually(async () => expect(await stack.pending()).toBe(0))
  expect((await stack.records('transactions')).filter(({ key }) => String(key) === 'one key').length).toBe(
    1000,
  )
})

test('an event that is too large waits, readiness names the remedy, and others overtake it', async () => {
  await using stack = await start(5000)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const id = await stack.tell('too large', 9000)
  const { body: paid } = await stack.wallet.post('/transactions', {
    account_id_from: eva,
    account_id_to: frank,
    amount: 1,
  })
  await eventually(async () => expect(await stack.pending()).toBe(1))
  const { status, body } = await eventually(async () => {
    const answer = await stack.wallet.get('/readyz')
    expect(answer.body).toMatchObject({ checks: { outbox: { status: 'warn' } } })
    return answer
  })
  expect(status).toBe(200)
  expect(JSON.stringify(body)).toContain(`${id} (`)
  expect(JSON.stringify(body)).toContain(`topic ${stack.topic('transactions')}): raise max.message.bytes`)
  const values = (await stack.records('transactions')).map(({ value }) => String(value)).join()
  expect(values).toContain(String(paid.id))

  await stack.sql`
    update outbox set events = replace(events, repeat('x', 9000), 'fits') where id = ${String(id)}`
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await eventually(async () =>
    expect((await stack.wallet.get('/readyz')).body).toMatchObject({
      checks: { outbox: { status: 'pass' } },
    }),
  )
})

test('one that was refused and removed is forgotten', async () => {
  await using stack = await start(5000)
  const id = await stack.tell('too large', 9000)
  await eventually(async () =>
    expect((await stack.wallet.get('/readyz')).body).toMatchObject({
      checks: { outbox: { status: 'warn' } },
    }),
  )
  await eventually(async () => expect(await stack.pending()).toBe(1))
  await stack.sql`delete from outbox where id = ${String(id)}`
  await eventually(async () =>
    expect((await stack.wallet.get('/readyz')).body).toMatchObject({
      checks: { outbox: { status: 'pass' } },
    }),
  )
})

test('the wallet is unready while the broker is reachable and refuses every event', async () => {
  await using stack = await start(300, { standstillMaxMs: 1000, refusedMs: 200 })
  await eventually(async () => {
    const { status, body } = await stack.wallet.get('/readyz')
    expect(status).toBe(503)
    expect(body).toMatchObject({
      checks: { outbox: { status: 'fail', output: expect.stringMatching(/too large/) } },
    })
  })
  expect(
    (await stack.wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }))
      .status,
  ).toBe(201)
  await stack.sql`delete from outbox`
  await fillOutbox(stack.sql, [{ key: 'k' }])
  await eventually(async () => expect((await stack.wallet.get('/readyz')).status).toBe(200))
})

test('the largest events that requests can lead to are far smaller than what brokers take', async () => {
  await using stack = await start(1_048_588)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  for (const text of Object.values(longest)) {
    const email = `ada@${Array(3).fill('x'.repeat(60)).join('.')}.example.org`
    expect(
      (await stack.wallet.post('/clients', { name: `n${text.slice(text.length / 255)}`, email })).status,
    ).toBe(201)
    const movement = { account_id_from: eva, account_id_to: frank, amount: 0.01, metadata: { [text]: text } }
    for (const path of ['/transactions', '/holds']) {
      expect((await stack.wallet.post(path, { ...movement, reference: text })).status).toBe(201)
      expect((await stack.wallet.post(path, { ...movement, reference: `${text}x` })).status).toBe(422)
      expect((await stack.wallet.post(path, { ...movement, reference: '\u0001' })).status).toBe(422)
    }
  }
  await eventually(async () => expect(await stack.pending()).toBe(0))
  for (const topic of topics)
    for (const { value } of await stack.records(topic))
      expect(value?.length ?? 0).toBeLessThan(requestBytesMax / 100)
})
