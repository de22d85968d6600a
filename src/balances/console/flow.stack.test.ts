/** The live flow end to end: with both services, and over tables that other processes write. */
import { expect, test } from 'bun:test'
import { connectKafka } from '../../platform/kafka/client'
import { createLog } from '../../platform/telemetry/log'
import { parseEvents, readEvents, type StreamEvent } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { openReadModel } from '../../testing/read-model'
import { type Stack, startStack } from '../../testing/stack'
import { eva, frank } from '../../testing/wallets'
import { flowEncoder } from '../http/console-flow'
import { FlowFeed } from './flow-feed'
import { hopNames } from './flow-lanes'

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })
const path = '/console/flow'

async function sendRecords({ config }: Stack, values: string[]): Promise<void> {
  const { kafka: settings } = config.balances
  const kafka = connectKafka(settings, log)
  const publisher = kafka.publisher()
  const topic = `${settings.topicPrefix}balances`
  await publisher.send(values.map((value) => ({ topic, key: null, value, headers: {} })))
  await publisher.close()
  await kafka.close()
}

const transfer = async ({ wallet }: Stack, amount = 1): Promise<string> => {
  const body = { account_id_from: eva, account_id_to: frank, amount }
  const answer = await wallet.post('/transactions', body)
  expect(answer.status).toBe(201)
  return String(answer.body.id)
}

/** The first event that matches. */
async function find(events: AsyncGenerator<StreamEvent, void>, matches: (event: StreamEvent) => boolean) {
  for (;;) {
    const { value, done } = await events.next()
    if (done) throw new Error('the stream has ended')
    if (matches(value)) return value
  }
}

const isLaneOf =
  (transactionId: string, isLive = true) =>
  ({ event, data }: StreamEvent) =>
    event === 'lane' && data.transaction_id === transactionId && (data.topic !== null) === isLive

test('a transfer is a lane with its hops in order, and later one of the tables', async () => {
  await using stack = await startStack()
  const events = readEvents(stack.balances.port, path)
  await find(events, ({ event }) => event === 'sample')
  const sentMs = Date.now()
  const id = await transfer(stack, 10.25)
  const { data } = await find(events, isLaneOf(id))
  expect(data).toMatchObject({
    ...{ name: 'BalanceUpdated', amount: 10.25, currency: 'BRL', outcome: 'applied', dead_letter: null },
    ...{ account_id_from: eva, account_id_to: frank, trace_id: expect.any(String) },
  })
  const hops = data.hops as Record<string, number | null>
  const known = hopNames.map((name) => hops[name] as number)
  // All of one machine: two roundings may differ.
  for (const [index, ms] of known.entries()) {
    expect(ms).toBeNumber()
    expect(ms).toBeGreaterThanOrEqual((known[index - 1] ?? sentMs) - 2)
  }
  expect(hops.visible).toBeLessThan(Date.now() + 2)

  // Readers were woken by then.
  const { body } = await stack.balances.get(`/balances/${eva}`)
  expect(body.balance).toBe(789.75)

  const later = await find(readEvents(stack.balances.port, path), isLaneOf(id, false))
  expect(later.data).toMatchObject({ key: data.key, amount: 10.25, account_id_from: eva })
  const query = `${path}?account=${frank}`
  const ofFrank = await find(readEvents(stack.balances.port, query), isLaneOf(id, false))
  expect(ofFrank.data).toMatchObject({ key: data.key, amount: 10.25, account_id_from: eva })
  await events.return()
})

test('dead letters are lanes with their ids, and repeated records say so', async () => {
  await using stack = await startStack()
  const events = readEvents(stack.balances.port, path)
  const ofEva = readEvents(stack.balances.port, `${path}?account=${eva}`)
  await Promise.all([events, ofEva].map((one) => find(one, ({ event }) => event === 'sample')))
  await sendRecords(stack, ['poison'])
  const isDead = ({ data }: StreamEvent) => data.outcome === 'dead_letter'
  const dead = await find(events, isDead)
  expect(dead.data).toMatchObject({
    ...{ name: null, transaction_id: null, partition: expect.any(Number), offset: expect.any(Number) },
    dead_letter: { id: '1', cause: 'not_json', detail: expect.any(String) },
    hops: { decided: null, received: expect.any(Number), applied: expect.any(Number), visible: null },
  })
  const { body } = await stack.balances.get('/dead-letters/1')
  expect(dead.data).toMatchObject({ partition: body.partition, offset: body.offset })
  const sample = await find(events, ({ event, data }) => event === 'sample' && data.dead_letters === 1)
  expect(sample.data).toMatchObject({ paused: false, rebuild: null, streams: 2 })

  const id = await transfer(stack)
  const isApplied = await find(ofEva, (one) => isDead(one) || isLaneOf(id)(one))
  expect(isApplied.data.transaction_id).toBe(id)
  const { body: event } = await stack.wallet.get(`/transactions/${id}`)
  const record = {
    ...{ account_id_from: eva, account_id_to: frank, amount: 1, transaction_id: id, currency: 'BRL' },
    ...{ balance_account_id_from: 799, balance_account_id_to: 1201, created_at: event.created_at },
    ...{ version_account_id_from: 5, version_account_id_to: 5 },
  }
  await sendRecords(stack, [JSON.stringify({ Name: 'BalanceUpdated', Payload: record })])
  // Those of the seed are repeated, too.
  const isRepeated = ({ data }: StreamEvent) => data.outcome === 'repeated' && data.transaction_id === id
  const repeated = await find(ofEva, isRepeated)
  expect(repeated.data).toMatchObject({ hops: { requested: null } })
  expect(repeated.data.key).not.toBe(isApplied.data.key)
  await Promise.all([events.return(), ofEva.return()])
})

test('of many transfers a few are shown, spread over the time, and all are counted', async () => {
  await using stack = await startStack()
  const isQuiet = ({ event, data }: StreamEvent) => {
    const lag = event === 'sample' ? (data.lag as { records: number }[] | null) : null
    return data.records === 0 && lag?.every(({ records }) => records === 0) === true
  }
  // After it nothing of the seed is left in the outbox, and at the second sample nothing on the topics.
  await transfer(stack)
  await eventually(async () => expect((await stack.balances.get(`/balances/${eva}`)).body.balance).toBe(799))
  const events = readEvents(stack.balances.port, path)
  for (let samples = 0; samples < 2; samples++) await find(events, isQuiet)
  const [batches, size] = [20, 100]
  const transactions = Array.from({ length: size }, () => ({
    ...{ account_id_from: eva, account_id_to: frank, amount: 0.01 },
  }))
  const sending = Promise.all(
    Array.from({ length: batches }, () => stack.wallet.post('/transactions/batch', { transactions })),
  )
  let [records, lanes, shown, offered, seconds, sampled] = [0, 0, 0, 0, 0, false]
  while (records < batches * size) {
    const { event, data } = (await events.next()).value as StreamEvent
    if (event === 'lane') lanes++
    if (event !== 'sample') continue
    records += Number(data.records)
    offered += Number(data.offered)
    shown += Number(data.shown)
    seconds += Number(data.seconds)
    sampled ||= data.sampled === true
  }
  await find(events, isQuiet)
  expect((await sending).map(({ status }) => status)).toEqual(Array(batches).fill(201))
  expect({ records, offered, sampled }).toEqual({ records: 2000, offered: 2000, sampled: true })
  expect(shown).toBe(lanes)
  expect(lanes).toBeGreaterThanOrEqual(20)
  expect(lanes).toBeLessThanOrEqual(20 + Math.ceil(20 * (seconds + 1)))
  await events.return()
})

test('a stream resumes after its last event, and resets after an unknown one', async () => {
  await using stack = await startStack()
  const { port } = stack.balances
  const events = readEvents(port, path)
  await find(events, ({ event }) => event === 'sample')
  const one = await find(events, isLaneOf(await transfer(stack)))
  const [two, three] = [await transfer(stack), await transfer(stack)]
  await find(events, isLaneOf(three))
  await events.return()
  // Also while no stream is open, for a while.
  const four = await transfer(stack)
  const resumed = readEvents(port, path, one.id)
  const seen: unknown[] = []
  await find(resumed, (event) => {
    if (event.event !== 'sample') seen.push(event.data.transaction_id)
    return isLaneOf(four)(event)
  })
  expect(seen).toEqual([two, three, four])
  await resumed.return()

  for (const id of ['00000000-1', `${one.id}999`]) {
    const reset = readEvents(port, path, id)
    expect((await reset.next()).value).toMatchObject({ event: 'reset', data: {} })
    expect((await find(reset, isLaneOf(four, false))).data.outcome).toBe('applied')
    await reset.return()
  }
  expect((await stack.balances.get(path, { 'last-event-id': 'made up' })).body.code).toBe('MALFORMED')
})

const openFeed = (
  sql: ConstructorParameters<typeof FlowFeed>[0]['sql'],
  limits: { lingerMs?: number } = {},
) => {
  const asked = { count: 0 }
  const sources = {
    lag: async () => {
      asked.count++
      throw new Error('no answer')
    },
    deadLetters: async () => 0,
    rebuild: async () => null,
    paused: () => false,
    streams: () => 0,
  }
  return { feed: new FlowFeed({ sql, encoder: flowEncoder, sources, log, ...limits }), asked }
}

test('what another process applies appears from the tables, and is counted', async () => {
  await using model = await openReadModel()
  await model.record([1, 2])
  const { feed } = openFeed(model.sql)
  const events = parseEvents(feed.open({}).body as never)
  const isLane = ({ event }: StreamEvent) => event === 'lane'
  expect((await find(events, isLane)).data).toMatchObject({ key: 'eva 1', topic: null })
  expect((await find(events, isLane)).data).toMatchObject({ key: 'eva 2', hops: { received: null } })
  expect((await find(events, ({ event }) => event === 'sample')).data).toMatchObject({
    ...{ lag: null, dead_letters: 0, entries_elsewhere: 0, records: 0 },
  })
  await model.record([3])
  await model.sql`insert into dead_letters
    (cluster_id, topic, partition, record_offset, cause, detail, headers)
    values ('c', 'balances', 2, 9, 'not_json', 'not JSON', '[]')`
  const keys: unknown[] = []
  const counted = { entries: 0, offered: 0, shown: 0 }
  while (counted.entries < 1 || keys.length < 2) {
    const { event, data } = (await events.next()).value as StreamEvent
    if (event === 'lane') keys.push(data.key)
    if (event !== 'sample') continue
    counted.entries += Number(data.entries_elsewhere)
    counted.offered += Number(data.offered)
    counted.shown += Number(data.shown)
  }
  expect(keys.toSorted()).toEqual(['balances 2 9', 'eva 3'])
  expect(counted).toEqual({ entries: 1, offered: 2, shown: 2 })
  await events.return()
  feed.stop()
})

test('nothing is collected or asked while no stream is open', async () => {
  await using model = await openReadModel()
  const { feed, asked } = openFeed(model.sql, { lingerMs: 0 })
  const observation = {
    get readings(): never {
      throw new Error('collected')
    },
  }
  // Neither is it by a stream of which nothing was read.
  await feed.open({}).body?.cancel()
  expect([feed.isWatching, feed.count]).toEqual([false, 0])
  feed.observe(observation as never)
  const events = parseEvents(feed.open({}).body as never)
  await find(events, ({ event }) => event === 'sample')
  expect(feed.isWatching).toBe(true)
  expect(() => feed.observe(observation as never)).toThrow('collected')
  await events.return()
  await eventually(() => expect([feed.isWatching, feed.count]).toEqual([false, 0]))
  const { count } = asked
  expect(count).toBeGreaterThan(0)
  const again = parseEvents(feed.open({}).body as never)
  await find(again, ({ event }) => event === 'sample')
  // One sampler, not two.
  expect(asked.count).toBe(count + 1)
  feed.stop()
  expect(feed.isWatching).toBe(false)
  expect(await again.next()).toMatchObject({ done: true })
})
