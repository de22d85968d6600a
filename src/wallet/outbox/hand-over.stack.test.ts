/** What the relay has in memory spares reading it, and decides nothing. */
import { expect, test } from 'bun:test'
import { parseTimeline, timelineHeader } from '../../contract/wire/timeline'
import type { OutgoingRecord } from '../../platform/kafka/records'
import { openSession } from '../../platform/postgres/database'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { countPending, fillOutbox } from '../../testing/outbox'
import { log } from '../../testing/wallets'
import { HandedOver } from './handed-over'
import { linesOfEvents, type OutboxEvent } from './lines'
import { createRelay } from './relay'

const eventOf = (value: string): OutboxEvent => ({
  topic: 'balances',
  key: 'k',
  name: 'BalanceUpdated',
  value,
  subject: Bun.randomUUIDv7(),
  time: new Date().toISOString(),
  traceparent: null,
})

type Sent = Awaited<ReturnType<Parameters<typeof createRelay>[0]['publisher']['send']>>
const places = (records: readonly OutgoingRecord[]): Sent =>
  records.map((_, index) => ({ partition: 0, offset: BigInt(index) }))

/** A relay, and a publisher that answers what the test says. */
async function start(answer: (records: readonly OutgoingRecord[]) => Sent | Promise<Sent> = places) {
  const { url } = await (await backing()).createDatabase('handed_over', 'wallet')
  const sql = openSession({ url, applicationName: 'test' })
  const sends: string[][] = []
  const sent: OutgoingRecord[] = []
  let answering = answer
  const relay = createRelay({
    databaseUrl: url,
    publisher: {
      async send(records) {
        sends.push(records.map(({ value }) => String(value)))
        sent.push(...records)
        return answering(records)
      },
      close: async () => {},
    },
    prepareBroker: async () => {},
    topicPrefix: '',
    sign: undefined,
    log,
    refusedMs: 100,
  })
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  return {
    sql,
    relay,
    sends,
    sent,
    answer: (next: typeof answer) => {
      answering = next
    },
    /** Until it leads. What was there before is published by then, or has failed to be. */
    async run() {
      running = (async () => {
        while (!stopping.signal.aborted) await relay.run?.(stopping.signal, () => {}).catch(() => {})
      })()
      await eventually(() => expect(relay.state().leads).toBe(true))
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
      await relay.stop?.(1000)
      await sql.end()
    },
  }
}

test('what was handed over is published as it was, and not read', async () => {
  await using stack = await start()
  await stack.run()
  const id = await fillOutbox(stack.sql, [eventOf('from the table')])
  stack.relay.handOver({ id, events: [eventOf('from memory')] })
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
  expect(stack.sends).toEqual([['from memory']])
})

test('appends of other processes are published in their place', async () => {
  let release = () => {}
  const blocked = new Promise<void>((resolve) => {
    release = resolve
  })
  await using stack = await start(async (records) => {
    await blocked
    return places(records)
  })
  await stack.run()
  const put = async (value: string) => ({
    id: await fillOutbox(stack.sql, [eventOf(value)]),
    events: [eventOf(value)],
  })
  stack.relay.handOver(await put('first'))
  await eventually(() => expect(stack.sends).toEqual([['first']]))
  const appends = [await put('ours'), await put('theirs'), await put('ours again'), await put('theirs again')]
  for (const index of [0, 2]) stack.relay.handOver(appends[index])
  release()
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
  expect(stack.sends.slice(1)).toEqual([['ours', 'theirs', 'ours again', 'theirs again']])
})

test('what was handed over is not published once its row is gone, or before the relay leads', async () => {
  await using stack = await start()
  const gone = { id: 12_345n, events: [eventOf('gone')] }
  stack.relay.handOver(gone)
  await stack.run()
  stack.relay.handOver(gone)
  const id = await fillOutbox(stack.sql, [eventOf('there')])
  stack.relay.handOver({ id, events: [eventOf('there')] })
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
  expect(stack.sends).toEqual([['there']])
})

test('after a failed send events are read from their rows', async () => {
  await using stack = await start(() => {
    throw new Error('no broker')
  })
  await stack.run()
  const id = await fillOutbox(stack.sql, [eventOf('from the table')])
  stack.relay.handOver({ id, events: [eventOf('from memory')] })
  await eventually(() => expect(stack.sends.length).toBeGreaterThan(2))
  stack.answer(places)
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
  expect(stack.sends[0]).toEqual(['from memory'])
  expect(stack.sends.at(-1)).toEqual(['from the table'])
})

test('of an append that was sent in part only the rest is sent again, as often as it takes', async () => {
  let failures = 2
  await using stack = await start((records) => {
    if (records.length === 1 && failures-- > 0) throw new Error('no broker')
    return records.length === 1
      ? places(records)
      : places(records).map((one, index) => (index < 2 ? one : 'unsent'))
  })
  await stack.run()
  await fillOutbox(stack.sql, ['a', 'b', 'c'].map(eventOf))
  stack.relay.handOver(undefined)
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
  expect(stack.sends).toEqual([['a', 'b', 'c'], ['c'], ['c'], ['c']])
})

test('of an append only what is refused stays, as a row of its own, as old as it was', async () => {
  let isRefusing = true
  await using stack = await start((records) =>
    records.map(({ value }, index) =>
      value === 'b' && isRefusing ? 'too_large' : { partition: 0, offset: BigInt(index) },
    ),
  )
  const events = ['a', 'b', 'c'].map(eventOf)
  const id = await fillOutbox(stack.sql, events)
  const rows = () => stack.sql`select id, created_at, occurred_at, event_count, events from outbox`
  const [before] = await rows()
  await stack.run()
  await eventually(() => expect(stack.relay.state().refused).toHaveLength(1))
  const [left, ...others] = await rows()
  const { created_at, occurred_at } = before ?? {}
  const lines = linesOfEvents(events.slice(1, 2))
  expect(left).toMatchObject({ created_at, occurred_at, event_count: 1, events: lines })
  expect(others).toEqual([])
  expect(left?.id).toBeGreaterThan(id)
  expect(stack.relay.state().refused).toEqual([
    { id: left?.id, topic: 'balances', bytes: expect.any(Number) },
  ])
  isRefusing = false
  await eventually(async () => expect(await countPending(stack.sql)).toBe(0))
  expect(stack.sends[0]).toEqual(['a', 'b', 'c'])
  expect(new Set(stack.sends.slice(1).flat())).toEqual(new Set(['b']))
  expect(stack.relay.state().refused).toEqual([])
})

test('an event says when it passed the wallet, as far as the process that sends it knows', async () => {
  await using stack = await start()
  const timeline = { requested: 1764284400123.4, decided: 1764284400124.2, appended: null, published: null }
  const events = ['0', '1', '2'].map((value) => ({ ...eventOf(value), ...(value !== '2' && { timeline }) }))
  await stack.run()
  const beforeMs = Date.now() - 1
  const id = await fillOutbox(stack.sql, events.slice(0, 1))
  stack.relay.handOver({ id, events: events.slice(0, 1) })
  await eventually(() => expect(stack.sent).toHaveLength(1))
  // Appended by another process.
  await fillOutbox(stack.sql, events.slice(1))
  await eventually(() => expect(stack.sent).toHaveLength(3))
  const [own, others, none] = stack.sent.map(({ headers }) =>
    parseTimeline((headers as Record<string, string>)[timelineHeader]),
  )
  expect([own, others]).toMatchObject(
    [timeline, timeline].map(({ requested, decided }) => ({ requested, decided })),
  )
  expect(own?.appended).toBeWithin(beforeMs, own?.published ?? 0)
  expect(own?.published).toBeWithin(beforeMs, Date.now() + 1)
  expect(others?.appended).toBeNull()
  expect(others?.published).toBeWithin(own?.published ?? 0, Date.now() + 1)
  expect(none).toBeUndefined()
  expect(stack.sent[2]?.headers).not.toHaveProperty(timelineHeader)
})

test('however much is handed over while the broker is away, memory is bounded', () => {
  const handedOver = new HandedOver()
  const large = [eventOf('x'.repeat(100_000))]
  for (let id = 1n; id <= 100n; id++) handedOver.add({ id, events: large })
  const ids = [...handedOver.copy().keys()]
  expect(ids.length).toBeLessThan(50)
  expect(ids[0]).toBe(1n)
  handedOver.forget(ids)
  for (let id = 1n; id <= 10_000n; id++) handedOver.add({ id, events: [eventOf('small')] })
  expect(handedOver.copy().size).toBeLessThan(5000)
  handedOver.clear()
  handedOver.add({ id: 1n, events: large })
  expect([...handedOver.copy()]).toEqual([[1n, { id: 1n, events: large }]])
})
