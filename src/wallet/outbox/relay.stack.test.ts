import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { timelineOf } from '../../contract/wire/timeline'
import { takeLead } from '../../drills/sessions-store'
import { type Broker, startBroker } from '../../local/broker/broker'
import { connectKafka } from '../../platform/kafka/client'
import type { IncomingRecord } from '../../platform/kafka/records'
import { openSession } from '../../platform/postgres/database'
import { createLog } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { headerText } from '../../testing/headers'
import { countPending, fillOutbox, fillOutboxRows } from '../../testing/outbox'
import { type Caller, callerOf, type ServiceProcess, serviceConfig, spawnService } from '../../testing/stack'
import { startWallet } from '../service'
import { removeOldDeliveries } from './deliveries-store'
import { enqueueReplay } from './outbox-store'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const log = createLog({ service: 'test', level: 'error', format: 'json' })

/** A wallet with a broker of its own, which may be stopped and made to fail. */
async function start(wallets = 1) {
  const shared = await backing()
  const database = await shared.createDatabase('relay', 'wallet')
  const dataDir = mkdtempSync(join(tmpdir(), 'saldo-relay-'))
  let broker: Broker = await startBroker({ dataDir, fsync: false })
  const { port, brokers } = broker
  const topicPrefix = shared.topicPrefix()
  const config = serviceConfig('wallet', { database, brokers: [brokers], topicPrefix, seed: true })
  const services = await Promise.all(Array.from({ length: wallets }, () => startWallet(config, log)))
  const sql = postgres(config.database.url, { max: 1, onnotice: () => {} })
  const owner = openSession({ url: database.url, applicationName: 'test' })
  const kafka = connectKafka(config.kafka, log)
  type Placed = IncomingRecord & { topic: string; partition: number }
  const read = async (topics: string[], enough: (records: Placed[]) => boolean) => {
    const records: Placed[] = []
    const subscription = await kafka.subscribe({
      groupId: shared.topicPrefix(),
      topics: topics.map((topic) => topicPrefix + topic),
      onAssigned: async () => [],
      onTrouble: () => {},
      onBatches: async (batches) => {
        for (const { topic, partition, records: batch } of batches)
          records.push(...batch.map((record) => ({ topic, partition, ...record, headers: record.headers })))
        return batches.map(({ next }) => next)
      },
    })
    await eventually(() => expect(enough(records)).toBe(true))
    await subscription.close()
    return records
  }
  return {
    callers: services.map((service) => callerOf('wallet', service.port)),
    sql,
    owner,
    cutRelays: () => sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'saldo-relay'`,
    broker: () => broker,
    async restartBroker() {
      broker = await startBroker({ dataDir, port, fsync: false })
    },
    pending: () => countPending(sql),
    config,
    topicPrefix,
    /** Everything on topic `balances`, from its beginning, once `enough` says so. */
    records: (enough: (records: IncomingRecord[]) => boolean) => read(['balances'], enough),
    /** Every event of these transactions is where the wallet says it is. */
    async expectDelivered(caller: Caller, ids: string[]): Promise<void> {
      const answers = await Promise.all(ids.map((id) => caller.get(`/transactions/${id}/delivery`)))
      const places = answers.flatMap(({ body }, index) => {
        expect(body).toMatchObject({ transaction_id: ids[index], status: 'published' })
        return (body.events as Place[]).map(
          ({ name, ...place }) => [`${name}/${ids[index]}` as string, placeName(place)] as const,
        )
      })
      expect(places.map(([id]) => id)).toEqual(
        ids.flatMap((id) => [`TransactionCreated/${id}`, `BalanceUpdated/${id}`]),
      )
      const byPlace = (records: Placed[]) =>
        new Map(records.map((record) => [placeName(record), headerText(record, 'ce_id')]))
      const records = await read(['transactions', 'balances'], (seen) => {
        const there = byPlace(seen)
        return places.every(([, place]) => there.has(place))
      })
      const found = byPlace(records)
      expect(places.map(([, place]) => found.get(place))).toEqual(places.map(([id]) => id))
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()))
      await kafka.close()
      await broker.stop()
      await sql.end()
      await owner.end()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

const only = (callers: Caller[]): Caller => callers[0] as Caller
const transfer = (amount: number, forth = true) =>
  forth
    ? { account_id_from: eva, account_id_to: frank, amount }
    : { account_id_from: frank, account_id_to: eva, amount }
const pay = (caller: Caller, amount: number, forth = true) =>
  caller.post('/transactions', transfer(amount, forth))

type Noted = Place & { published_at: string }
type Place = { name: string; topic: string; partition: number; offset: number }
const placeName = ({
  topic,
  partition,
  offset,
}: {
  topic: string
  partition: number
  offset: number | bigint
}): string => `${topic}/${partition}/${offset}`

type Payload = { transaction_id: string; version_account_id_from: number; account_id_from: string }
const payloadOf = (record: IncomingRecord): Payload => JSON.parse(String(record.value)).Payload

test('without the broker money moves, readiness warns, and everything is published afterwards', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.broker().stop()

  const answers = await Promise.all(Array.from({ length: 20 }, (_, nth) => pay(wallet, 1, nth % 2 === 0)))
  expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(201))
  // Together more than go in one send.
  const transactions = Array.from({ length: 300 }, (_, nth) => transfer(0.01, nth % 2 === 0))
  expect((await wallet.post('/transactions/batch', { transactions })).status).toBe(201)
  expect(await stack.pending()).toBe(640)
  // As old as if the broker had been away for minutes.
  await stack.owner`update outbox set created_at = created_at - interval '3 minutes'`
  await eventually(async () => {
    const { status, body } = await wallet.get('/readyz')
    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'warn', checks: { outbox: { status: 'warn' } } })
    expect(JSON.stringify(body)).toMatch(/640 events wait, the oldest for 18\d s/)
  })

  await stack.restartBroker()
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const ids = answers.map((answer) => answer.body.id as string)
  const records = await stack.records((seen) =>
    ids.every((id) => seen.some((one) => payloadOf(one).transaction_id === id)),
  )
  // One account, one key, one partition: its events are in the order of versions.
  for (const payer of [eva, frank]) {
    const versions = records
      .map(payloadOf)
      .flatMap((one) => (one.account_id_from === payer ? one.version_account_id_from : []))
    expect(versions.length).toBeGreaterThanOrEqual(160)
    expect(versions).toEqual(versions.toSorted((one, other) => one - other))
  }
  expect((await wallet.get('/readyz')).body).toMatchObject({ status: 'pass' })
  await stack.expectDelivered(wallet, ids)
})

test('a broker that is not there shows at the start, while there is nothing to publish', async () => {
  const shared = await backing()
  const database = await shared.createDatabase('relay', 'wallet')
  const settings = { database, brokers: ['127.0.0.1:1'], topicPrefix: '', seed: false }
  const wallet = await startWallet(serviceConfig('wallet', settings), log)
  try {
    await eventually(async () => {
      const { status, body } = await callerOf('wallet', wallet.port).get('/readyz')
      const output = expect.stringMatching(/^0 events wait.*broker unavailable: .*ECONNREFUSED/)
      expect([status, body]).toMatchObject([200, { checks: { outbox: { status: 'warn', output } } }])
    })
  } finally {
    await wallet.stop()
  }
})

test('an acknowledgement that is lost repeats events, under the same id, and loses none', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const lost = stack.broker().faults.inject('Produce', { kind: 'lose' }, 2)
  const { body } = await pay(wallet, 1)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  expect(lost.hits).toBe(2)

  const ofIt = (records: IncomingRecord[]) =>
    records.filter((record) => payloadOf(record).transaction_id === body.id)
  const repeats = ofIt(await stack.records((seen) => ofIt(seen).length >= 2))
  expect(new Set(repeats.map((record) => headerText(record, 'ce_id')))).toEqual(
    new Set([`BalanceUpdated/${body.id}`]),
  )
  await stack.expectDelivered(wallet, [String(body.id)])
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
  await stack.records((seen) => seen.some((record) => payloadOf(record).transaction_id === body.id))
})

test('one relay leads; when its session ends another takes over, and every event is published', async () => {
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
  await stack.records((seen) =>
    ids.every((id) => seen.some((record) => payloadOf(record).transaction_id === id)),
  )
  await stack.expectDelivered(only(stack.callers), ids)
})

test('when the process that leads is killed, another one publishes what it left', async () => {
  await using stack = await start(0)
  const leader = await spawnService(stack.config)
  const other = await startWallet(stack.config, log)
  try {
    await eventually(async () => expect(await stack.pending()).toBe(0))
    await stack.broker().stop()
    const left = await pay(leader, 1)
    await leader.kill()
    await stack.restartBroker()
    const caller = callerOf('wallet', other.port)
    const paid = await pay(caller, 1)
    await eventually(async () => expect(await stack.pending()).toBe(0))
    await stack.expectDelivered(caller, [String(left.body.id), String(paid.body.id)])
  } finally {
    await other.stop()
  }
})

test('a row whose id was drawn early and committed late is not passed over', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const late = await stack.sql.reserve()
  const late7 = Bun.randomUUIDv7()
  const value = JSON.stringify({ Name: 'BalanceUpdated', Payload: { transaction_id: late7 } })
  await late`begin`
  await fillOutbox(late, [{ key: 'late', value, subject: late7 }])
  const { body } = await pay(wallet, 1)
  await stack.records((seen) => seen.some((record) => payloadOf(record).transaction_id === body.id))
  await late`commit`
  late.release()
  await stack.records((seen) => seen.some((record) => payloadOf(record).transaction_id === late7))
})

test('a delivery has the commit time, and the offsets of its events or how long they wait', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.broker().stop()
  const paid = await pay(wallet, 1)
  const path = `/transactions/${paid.body.id}/delivery`

  const waiting = await wallet.get(path)
  const unknown = { leg: null, status: 'pending', partition: null, offset: null, published_at: null }
  const places = ['transactions', 'balances'].map((topic) => stack.topicPrefix + topic)
  expect([waiting.status, waiting.body]).toEqual([
    200,
    {
      transaction_id: paid.body.id,
      committed_at: paid.body.created_at,
      status: 'pending',
      events: [
        { name: 'TransactionCreated', topic: places[0], ...unknown, waiting_seconds: expect.any(Number) },
        { name: 'BalanceUpdated', topic: places[1], ...unknown, waiting_seconds: expect.any(Number) },
      ],
      waits_for: { cause: 'broker', detail: null },
    },
  ])
  const ageOf = ({ body }: typeof waiting) =>
    (body.events as { waiting_seconds: number }[])[0]?.waiting_seconds ?? 0
  await eventually(async () => expect(ageOf(await wallet.get(path))).toBeGreaterThan(ageOf(waiting)))

  await stack.restartBroker()
  await eventually(async () => expect((await wallet.get(path)).body).toMatchObject({ status: 'published' }))
  const { body } = await wallet.get(path)
  for (const event of body.events as Record<string, unknown>[]) {
    expect(event).toMatchObject({ status: 'published', waiting_seconds: null })
    expect(Date.parse(String(event.published_at))).toBeGreaterThanOrEqual(
      Date.parse(String(paid.body.created_at)),
    )
  }
  await stack.expectDelivered(wallet, [String(paid.body.id)])

  for (const id of [crypto.randomUUID(), 'mine']) {
    const { status, body } = await wallet.get(`/transactions/${id}/delivery`)
    expect([status, body.type]).toEqual([404, '/problems/transaction-not-found'])
  }
})

test('an event whose delivery record is gone counts as published, without an offset', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  const { body } = await pay(wallet, 1)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.owner`delete from append_deliveries where ${String(body.id)} = any(subjects)`
  const path = `/transactions/${body.id}/delivery`
  const forgotten = {
    status: 'published',
    partition: null,
    offset: null,
    published_at: null,
    waiting_seconds: null,
  }
  await eventually(async () => {
    expect((await wallet.get(path)).body).toMatchObject({
      status: 'published',
      events: [forgotten, forgotten],
    })
  })
})

test('after cuts and kills every event is at the offset that its delivery names', async () => {
  await using stack = await start(0)
  const wallets: ServiceProcess[] = [await spawnService(stack.config), await spawnService(stack.config)]
  const ids: string[] = []
  const troubles = [
    () => stack.broker().faults.inject('Produce', { kind: 'lose' }, 2),
    () => stack.broker().faults.inject('Produce', { kind: 'drop' }),
    () => stack.broker().faults.inject('Produce', { kind: 'error', error: 'NOT_LEADER_OR_FOLLOWER' }, 2),
    () => stack.broker().faults.dropConnections(),
    () => stack.cutRelays(),
    async () => {
      await stack.broker().stop()
      await stack.restartBroker()
    },
    async () => {
      await wallets[0]?.kill()
      wallets[0] = await spawnService(stack.config)
    },
  ]
  try {
    for (const trouble of troubles) {
      const paid = wallets.flatMap((wallet) => Array.from({ length: 10 }, () => pay(wallet, 0.01)))
      const answered = Promise.allSettled(paid)
      await paid[0]
      await trouble()
      // Who was killed answers no more, and what it took may have been committed; what was answered is.
      for (const one of await answered) if (one.status === 'fulfilled') ids.push(String(one.value.body.id))
    }
    expect(ids.length).toBeGreaterThan(120)
    await eventually(async () => expect(await stack.pending()).toBe(0))
    await stack.expectDelivered(wallets[1] as Caller, ids)
    // Of both wallets, first by first.
    const sent = await stack.records((seen) =>
      ids.every((id) => seen.some((record) => payloadOf(record).transaction_id === id)),
    )
    const versions = sent.map((record) => payloadOf(record).version_account_id_from)
    const payers = Map.groupBy(
      [...sent.keys()],
      (index) => payloadOf(sent[index] as IncomingRecord).account_id_from,
    )
    for (const of of payers.values()) {
      const first = [...new Set(of.map((index) => versions[index] ?? 0))]
      expect(first).toEqual(first.toSorted((one, other) => one - other))
    }
    // Those of requests whose answer was lost, too.
    const [without] = await stack.owner`
      select count(*)::int as count from transactions
      where created_at > now() - interval '1 day'
        and (
          select sum(cardinality(array_positions(subjects, transactions.id))) from append_deliveries
          where occurred_at = created_at
        ) <> 2`
    expect(without?.count).toBe(0)
  } finally {
    for (const wallet of wallets) await wallet.stop()
  }
})

test('deliveries are pruned after 30 days, and not recorded again by republishing', async () => {
  await using stack = await start()
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const idOf = (days: number) => {
    const hex = (Date.now() - days * 86_400_000).toString(16).padStart(12, '0')
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
  }
  const [old, young] = [idOf(31), idOf(29)]
  const timeOf = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
  const noted = async (table: 'deliveries' | 'append_deliveries') => {
    const subject = table === 'deliveries' ? 'subject' : 'unnest(subjects)'
    const rows = await stack.owner.unsafe(`select ${subject} as subject from ${table}`)
    return rows.flatMap((row) => ([old, young].includes(row.subject) ? row.subject : [])).toSorted()
  }
  await stack.owner`
    insert into deliveries (subject, event, partition, "offset", published_at)
    values (${old}, 'BalanceUpdated', 0, 0, now()), (${young}, 'BalanceUpdated', 0, 1, now())`
  for (const [subject, days] of [
    [old, 31],
    [young, 29],
  ] as const)
    await stack.owner`
      insert into append_deliveries (occurred_at, published_at, subjects, runs)
      values (${timeOf(days)}, now(), array[${subject}]::uuid[], 'balances/0/0/1')`
  expect(await removeOldDeliveries(stack.owner, new Date(), 1000)).toBe(1)
  for (const table of ['deliveries', 'append_deliveries'] as const)
    expect(await noted(table)).toEqual([young])

  const event = {
    topic: 'balances',
    key: 'late',
    name: 'BalanceUpdated',
    value: '{}',
    traceparent: null,
  } as const
  const [oldTime, youngTime] = [timeOf(31), timeOf(29)]
  const replay = async () => {
    await enqueueReplay(stack.owner, [
      { ...event, subject: old, time: oldTime },
      { ...event, subject: young, time: youngTime },
    ])
    await eventually(async () => expect(await stack.pending()).toBe(0))
  }
  // One that has a delivery of either kind gets no other.
  await stack.owner`delete from append_deliveries where ${young} = any(subjects)`
  await replay()
  expect(await noted('append_deliveries')).toEqual([])
  await stack.owner`delete from deliveries where subject = ${young}`
  for (let round = 0; round < 2; round++) {
    await replay()
    expect(await noted('append_deliveries')).toEqual([young])
  }
})

test('deliveries that an earlier version noted, one for each event, are answered as before', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  const { body } = await pay(wallet, 1)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  const path = `/transactions/${body.id}/delivery`
  const answered = (await wallet.get(path)).body
  expect(answered.status).toBe('published')
  await stack.owner.begin(async (owner) => {
    for (const { name, partition, offset, ...event } of answered.events as Noted[])
      await owner`
        insert into deliveries (subject, event, partition, "offset", published_at)
        values (${String(body.id)}, ${name}, ${partition}, ${offset}, ${event.published_at})`
    await owner`delete from append_deliveries where ${String(body.id)} = any(subjects)`
  })
  expect((await wallet.get(path)).body).toEqual(answered)
})

test('readiness counts what waits up to a bound, and says that there is more', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  await eventually(async () => expect(await stack.pending()).toBe(0))
  await stack.broker().stop()
  await fillOutboxRows(stack.sql, 10_001, {}, new Date(Date.now() - 3_600_000))
  const { body } = await wallet.get('/readyz')
  expect(JSON.stringify(body)).toMatch(/more than 10000 events wait, the oldest for 36\d\d s/)
})

test('events of a payment carry the times of its request, those of the seed none', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  const beforeMs = Date.now() - 1
  const { body } = await pay(wallet, 1)
  const afterMs = Date.now() + 1
  const records = await stack.records((seen) =>
    seen.some((record) => headerText(record, 'ce_subject') === body.id),
  )
  const publishedMs = Date.now() + 1
  for (const record of records) {
    const timeline = timelineOf(record)
    if (headerText(record, 'ce_subject') !== body.id) {
      expect(timeline).toBeUndefined()
      continue
    }
    const { requested, decided, appended, published } = timeline as Record<string, number> & object
    expect([beforeMs, requested, decided, appended, published, publishedMs]).toEqual(
      [beforeMs, requested, decided, appended, published, publishedMs].toSorted(
        (a, b) => Number(a) - Number(b),
      ),
    )
    expect(decided).toBeLessThan(afterMs)
  }
})

test('what a pending event waits for is said: a broker that answers, or a relay that leads', async () => {
  await using stack = await start()
  const wallet = only(stack.callers)
  const pending = async () => {
    const { body } = await pay(wallet, 1)
    const waitsFor = async () => (await wallet.get(`/transactions/${body.id}/delivery`)).body.waits_for
    return { waitsFor, published: () => eventually(async () => expect(await waitsFor()).toBeNull()) }
  }
  await (await pending()).published()

  await stack.broker().stop()
  const unsent = await pending()
  expect(await unsent.waitsFor()).toEqual({ cause: 'broker', detail: null })
  await stack.restartBroker()
  await unsent.published()

  const lead = await takeLead(stack.config.database.url)
  const unled = await pending()
  expect(await unled.waitsFor()).toEqual({ cause: 'relay', detail: null })
  await lead[Symbol.asyncDispose]()
  await unled.published()
})
