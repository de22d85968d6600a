/**
 * Dead letters in a running service: table, topic, redrive, and readiness meanwhile.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServiceConfig } from '../../config/config'
import { encodeEvent } from '../../contract/wire/envelope'
import { startBroker } from '../../local/broker/broker'
import { connectKafka } from '../../platform/kafka/client'
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { IncomingRecord, OutgoingRecord } from '../../platform/kafka/records'
import { openDatabase } from '../../platform/postgres/database'
import { createService } from '../../platform/process/service'
import { createLog } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { headerText, textsOf } from '../../testing/headers'
import { callerOf, serviceConfig } from '../../testing/stack'
import { whileLeading } from '../rebuild/rebuild-store'
import { startBalances } from '../service'
import { createDeadLetterPublisher } from './publisher'

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

/** Balances on a broker of its own with topics of one partition, a publisher, and a reader. */
async function openStage() {
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-broker-'))
  const broker = await startBroker({ dataDir, fsync: false })
  const shared = await backing()
  const database = await shared.createDatabase('balances', 'balances')
  const settings = {
    database,
    brokers: [broker.brokers],
    topicPrefix: shared.topicPrefix(),
    seed: false,
  }
  const config: ServiceConfig = serviceConfig('balances', settings)
  config.kafka.partitions = 1
  const { topicPrefix } = settings
  const patience = { lookEveryMs: 50, standstillMaxMs: 200, sessionTimeoutMs: 2000 }
  const service = await startBalances(config, log, patience)
  const { url } = database
  const client = openDatabase({ url, prepare: true, poolMax: 1, applicationName: 'test' })
  // Otherwise the owner could not end the sessions of the service.
  await client.sql.unsafe(`grant "${new URL(database.serviceUrl).username}" to current_user`)
  const { sql } = client
  const kafka = connectKafka(config.kafka, log)
  const publisher = kafka.publisher()
  const topic = `${topicPrefix}balances`
  const deadLetterTopic = `${topic}.${topicPrefix}balances.dlq`
  await kafka.ensureTopics([topic], 1)
  return {
    sql,
    faults: broker.faults,
    databaseUrl: config.database.url,
    topic,
    topicPrefix,
    balances: callerOf('balances', service.port),
    /** As another replica does. Returns its stop. */
    publishDeadLetters(): () => Promise<void> {
      const database = openDatabase({ ...config.database, applicationName: 'test' })
      const groupId = `${topicPrefix}balances`
      const running = createService({ name: 'test', log, shutdownTimeoutMs: 10_000 }).start({
        port: 0,
        parts: [createDeadLetterPublisher({ database, kafka, groupId })],
        prepare: async () => {},
      })
      return async () => {
        await (await running).stop()
        await database.close()
      }
    },
    send: (records: Omit<OutgoingRecord, 'topic'>[]) =>
      publisher.send(records.map((record) => ({ topic, ...record }))),
    /** To all clients but this test. */
    async closeDatabase(closed: boolean): Promise<void> {
      await sql.unsafe(`alter database ${database.name} connection limit ${closed ? 0 : -1}`)
      if (closed)
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`
    },
    /** Records of the dead-letter topic, once there are this many. */
    async deadLetters(count: number): Promise<IncomingRecord[]> {
      const records: IncomingRecord[] = []
      await eventually(async () => {
        const [end] = await kafka.endOffsets([deadLetterTopic])
        expect(end?.offset).toBe(BigInt(count))
      })
      const subscription = await kafka.subscribe({
        ...{ groupId: shared.topicPrefix(), topics: [deadLetterTopic] },
        ...{ onAssigned: async () => [], onTrouble: () => {} },
        onBatches: async (batches) => {
          for (const { records: batch } of batches) records.push(...batch)
          return batches.map(({ next }) => next)
        },
      })
      await eventually(() => expect(records.length).toBeGreaterThanOrEqual(count))
      await subscription.close()
      return records
    },
    async [Symbol.asyncDispose]() {
      await service.stop()
      await publisher.close()
      await kafka.close()
      await client.close()
      await broker.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

type Stage = Awaited<ReturnType<typeof openStage>>

let opened: Promise<Stage> | undefined
const theStage = (): Promise<Stage> => {
  opened ??= openStage()
  return opened
}
afterAll(async () => (await opened)?.[Symbol.asyncDispose]())

const readiness = ({ balances }: Stage, status: number, consumer: 'pass' | 'warn' | 'fail', output: RegExp) =>
  eventually(async () => {
    const checks = { consumer: { status: consumer, output: expect.stringMatching(output) } }
    expect(await balances.get('/readyz')).toMatchObject({ status, body: { checks } })
  })

const createdAt = (version: number) => `2024-01-27T00:00:0${version}.000Z`

/** `world` pays 1 to an account, whose versions follow the order of its payments. */
const payment = (account: string, version: number, ofWorld: number) => ({
  key: account,
  value: encodeEvent(
    {
      name: 'BalanceUpdated',
      payload: {
        ...{ account_id_from: 'world', balance_account_id_from: -ofWorld, version_account_id_from: ofWorld },
        ...{ account_id_to: account, balance_account_id_to: version, version_account_id_to: version },
        ...{ amount: 1, currency: 'BRL', created_at: createdAt(version) },
      },
    },
    createdAt(version),
  ).value,
  headers: {},
})

test('each letter is published as it came, once, by whichever replica', async () => {
  const stage = await theStage()
  const headersOfOdd: RecordHeader[] = [
    [Buffer.from('content-type'), Buffer.from('te\0xt')],
    [Buffer.from([0xff, 0xfe]), Buffer.from([0xc3])],
    [Buffer.from('nul'), null],
    [Buffer.from('empty'), Buffer.alloc(0)],
    [Buffer.from('content-type'), Buffer.from('te\0xt')],
  ]
  const odd = { key: Buffer.from([0, 255]), value: Buffer.from([0xff, 0]), headers: headersOfOdd }
  const nothing = { key: null, value: null, headers: {} }
  await stage.send([odd, nothing, ...Array.from({ length: 100 }, () => ({ ...nothing, value: 'nonsense' }))])
  const letterOf = async (cause: string) => {
    const { body } = await stage.balances.get(`/dead-letters?cause=${cause}`)
    return (body.data as { id: string; sent_at: string | null }[])[0]
  }
  await eventually(async () => expect((await letterOf('not_json'))?.sent_at).toBeString())
  await stage.balances.post('/dead-letters/redrive', { ids: [(await letterOf('no_value'))?.id] })
  await eventually(async () => expect((await letterOf('no_value'))?.sent_at).toBeString())
  // Two publishers start at once, with everything unsent.
  await stage.sql`update dead_letters set sent_at = null`
  const publishers = [stage.publishDeadLetters(), stage.publishDeadLetters()]

  const letters = await stage.deadLetters(205)
  await Promise.all(publishers.map((stop) => stop()))
  const offsets = letters.map((letter) => Number(headerText(letter, 'dlq-offset')))
  const each = [...Array(102).keys()]
  expect(offsets).toEqual([...each, 1, ...each])
  const reasons = {
    'dlq-topic': stage.topic,
    'dlq-partition': '0',
    'dlq-group': `${stage.topicPrefix}balances`,
    'dlq-first-failed-at': expect.stringMatching(/^\d{4}-.*Z$/),
  }
  const shown = (record: IncomingRecord | undefined) =>
    record && { ...record, headers: textsOf(record.headers) }
  const unreadable = { 'dlq-error-type': 'not_json', 'dlq-attempts': '1' }
  const [first] = letters
  expect([first?.key, first?.value, first?.headers.slice(0, 5)]).toEqual([odd.key, odd.value, headersOfOdd])
  expect(textsOf(first?.headers ?? [])).toMatchObject({ ...reasons, ...unreadable })
  const empty = { 'dlq-error-type': 'no_value', 'dlq-error-message': 'the record has no value', ...reasons }
  expect(shown(letters[1])).toMatchObject({ ...nothing, headers: { ...empty, 'dlq-attempts': '1' } })
  expect(shown(letters[102])).toMatchObject({ ...nothing, headers: { ...empty, 'dlq-attempts': '2' } })
  await stage.sql`delete from dead_letters`
})

test('dead letters are published while a rebuild holds its lock', async () => {
  const stage = await theStage()
  let led = false
  await whileLeading(stage.databaseUrl, async () => {
    led = true
    await stage.send([{ key: null, value: 'nonsense', headers: {} }])
    await eventually(async () =>
      expect(await stage.sql`select from dead_letters where sent_at is not null`).toHaveLength(1),
    )
  })
  expect(led).toBe(true)
  await stage.sql`delete from dead_letters`
})

test('a list cuts large letters, each is complete at its own URL', async () => {
  const stage = await theStage()
  const { sql, balances } = stage
  // Marked as sent, so that none is published.
  await sql`
    insert into dead_letters
      (cluster_id, topic, partition, record_offset, cause, detail, key, value, headers, sent_at)
    select 'c', 'balances', 0, n, 'not_json', repeat('d', 100000), decode(repeat('ff', 100000), 'hex'),
      convert_to('a' || repeat('\u00e9', 100000), 'utf8'),
      json_build_array(json_build_array('bmFtZQ==', repeat('QUJD', 100000))), now()
    from generate_series(1, 200) as n`
  const listing = Array.from({ length: 8 }, () =>
    fetch(`http://127.0.0.1:${balances.port}/dead-letters?limit=200`),
  )
  const texts = await Promise.all((await Promise.all(listing)).map((answer) => answer.text()))
  for (const text of texts) expect(text.length).toBeLessThan(1_000_000)

  const { data } = JSON.parse(texts[0] as string) as { data: Record<string, unknown>[] }
  expect(data).toHaveLength(200)
  const [first] = data
  expect(first).toMatchObject({
    value: `a${'\u00e9'.repeat(511)}`,
    value_bytes: 200_001,
    key_bytes: 100_000,
    key_base64: Buffer.alloc(256, 0xff).toString('base64'),
    headers: [],
    truncated: true,
    href: `/dead-letters/${first?.id}`,
  })
  const whole = await balances.get(String(first?.href))
  expect(whole.status).toBe(200)
  expect(whole.body).toMatchObject({ id: first?.id, value_bytes: 200_001, truncated: false })
  expect(whole.body.value).toBe(`a${'\u00e9'.repeat(100_000)}`)
  expect((whole.body.headers as { name: string }[])[0]?.name).toBe('name')
  expect(Buffer.from(String(whole.body.key_base64), 'base64')).toHaveLength(100_000)
  const ids = data.slice(0, 10).map(({ id }) => id)
  const redriven = await balances.post('/dead-letters/redrive', { ids, dry_run: true })
  expect(JSON.stringify(redriven.body).length).toBeLessThan(10_000)

  await sql`delete from dead_letters`
  for (const path of [
    String(first?.href),
    '/dead-letters/0',
    '/dead-letters/x',
    '/dead-letters/99999999999999999999',
  ])
    expect([path, (await balances.get(path)).body.code]).toEqual([path, 'DEAD_LETTER_NOT_FOUND'])
})

test('letters too large for one request are published in several', async () => {
  const stage = await theStage()
  const values = Array.from({ length: 12 }, (_, index) => 'x'.repeat(300_000) + index)
  for (const value of values) await stage.send([{ key: null, value, headers: {} }])
  await eventually(async () =>
    expect(await stage.sql`select from dead_letters where sent_at is not null`).toHaveLength(values.length),
  )
  await stage.sql`delete from dead_letters`
})

test('one account of fifty is dead-lettered: the others are applied, and it is after a redrive', async () => {
  const stage = await theStage()
  const { balances, sql } = stage
  await sql`alter table balances add constraint trouble check (account_id <> 'account-50')`
  await sql`alter table entries add constraint trouble check (account_id <> 'account-1' or version <> 2)`

  const accounts = Array.from({ length: 50 }, (_, index) => `account-${index + 1}`)
  const payments = [1, 2, 3, 4].flatMap((version) =>
    accounts.map((account, index) => payment(account, version, (version - 1) * 50 + index + 1)),
  )
  await stage.send(payments)
  const holding = async (): Promise<string[]> => {
    const { body } = await balances.get('/balances?limit=200')
    return (body.data as { id: string; balance: number }[])
      .map(({ id, balance }) => `${id} ${balance}`)
      .sort()
  }
  const lineOf = async (): Promise<string[]> => {
    const { body } = await balances.get('/balances/account-1/statement')
    return (body.data as { version?: number }[]).map(({ version = 'gap' }) => String(version))
  }
  const expected = [...accounts.map((account) => `${account} 4`), 'world -200'].sort()
  await eventually(async () => {
    const right = expected.filter((line) => !/account-50|world/.test(line))
    expect(await holding()).toEqual([...right, 'world -199'].sort())
  })
  expect(await lineOf()).toEqual(['4', '3', 'gap', '1'])

  const { topic } = stage
  expect((await balances.get('/dead-letters/causes')).body.data).toMatchObject([
    { cause: 'not_storable', topic, count: 5 },
  ])
  const selection = { cause: 'not_storable', topic }
  const dryRun = await balances.post('/dead-letters/redrive', { ...selection, dry_run: true })
  expect(dryRun.body).toMatchObject({ dry_run: true, counts: { applied: 0, still_failing: 5 } })

  await sql`alter table balances drop constraint trouble`
  await sql`alter table entries drop constraint trouble`
  const { status, body } = await balances.post('/dead-letters/redrive', selection)
  expect([status, body.counts, body.next_cursor]).toEqual([
    200,
    { applied: 5, skipped: 0, superseded: 0, still_failing: 0, gone: 0 },
    null,
  ])
  expect(await holding()).toEqual(expected)
  expect(await lineOf()).toEqual(['4', '3', '2', '1'])
  expect((await balances.get('/dead-letters')).body.data).toEqual([])
})

test('readiness fails while the consumer is stalled, and recovers by itself', async () => {
  const stage = await theStage()
  await stage.sql.begin(async (tx) => {
    await tx`select from consumed_offsets for update`
    await stage.send([payment('late', 1, 201)])
    await readiness(stage, 503, 'fail', /^no progress for \d+ s with 1 records to apply/)
  })
  await readiness(stage, 200, 'pass', /0 records behind/)
  expect((await stage.balances.get('/balances/late')).body).toMatchObject({ balance: 1 })
})

test('a database outage longer than the session timeout costs no membership and no letter', async () => {
  const stage = await theStage()
  const { balances, faults, sql } = stage
  const counting = (api: 'Heartbeat' | 'JoinGroup') =>
    faults.inject(api, { kind: 'delay', until: Promise.resolve() }, Number.POSITIVE_INFINITY)
  const joins = counting('JoinGroup')
  await stage.closeDatabase(true)
  await stage.send([payment('after', 1, 202), { key: null, value: 'nonsense', headers: {} }])
  await readiness(stage, 503, 'warn', /^waiting: /)
  // A member sends six in each session.
  const beats = counting('Heartbeat')
  await eventually(() => expect(beats.hits).toBeGreaterThan(7))
  const refused = faults.inject('Produce', { kind: 'error', error: 'NOT_LEADER_OR_FOLLOWER' })
  await stage.closeDatabase(false)
  await eventually(async () =>
    expect((await balances.get('/balances/after')).body).toMatchObject({ balance: 1 }),
  )
  expect(joins.hits).toBe(0)
  await eventually(async () =>
    expect(await sql`select from dead_letters where sent_at is not null`).toHaveLength(1),
  )
  expect(refused.hits).toBe(1)
})

test('on topic balances an event of another name is dead-lettered, not skipped', async () => {
  const stage = await theStage()
  const { payload } = { payload: { account_id_from: 'a', account_id_to: 'b', balance_account_id_from: 1 } }
  const value = JSON.stringify({ Name: 'BalanceAdjusted', Payload: payload })
  const foreign = {
    ce_specversion: '1.0',
    ce_id: '1',
    ce_source: '/other',
    ce_type: 'com.example.adjusted.v1',
  }
  const accounts = stage.topic.replace(/balances$/, 'accounts')
  await stage.send([
    { key: null, value, headers: {} },
    { key: null, value: '{"some":"thing"}', headers: foreign },
    { key: null, value: 'not even JSON', headers: foreign },
    { key: null, value, headers: {}, topic: accounts },
    payment('behind', 1, 500),
  ] as never)
  await eventually(async () =>
    expect((await stage.balances.get('/balances/behind')).body).toMatchObject({ balance: 1 }),
  )
  const { body } = await stage.balances.get('/dead-letters?cause=unknown_event')
  expect(body.data).toMatchObject(
    Array.from({ length: 3 }, () => ({
      topic: stage.topic,
      cause: 'unknown_event',
      detail: expect.any(String),
    })),
  )
  const redriven = await stage.balances.post('/dead-letters/redrive', { cause: 'unknown_event' })
  expect(redriven.body.counts).toMatchObject({ skipped: 0, still_failing: 3 })
  await stage.sql`delete from dead_letters`
})
