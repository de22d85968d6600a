/** The streams over the tables alone: what they do when entries are late, missing, or gone. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import type { Log } from '../../platform/telemetry/log'
import { parseEvents } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { log, openReadModel } from '../../testing/read-model'
import { findBalances } from '../queries/balances-store'
import { createLive } from './streams'

setDefaultTimeout(30_000)

/** The next events, as far as they are told apart here. */
function hearing({ body }: Response) {
  const events = parseEvents(body as AsyncIterable<string | Uint8Array>)
  return async (count: number): Promise<string[]> => {
    const heard: string[] = []
    while (heard.length < count) {
      const { value } = await events.next()
      if (!value) throw new Error(`the stream ended after ${heard}`)
      heard.push(`${value.event} ${value.data.version ?? value.data.to_version ?? ''}`.trim())
    }
    return heard
  }
}

test('an entry that is late is waited for; one that will not come is a gap once all that there was is applied', async () => {
  await using model = await openReadModel()
  let asOf: string | undefined
  const live = createLive({ sql: model.sql, freshness: () => ({ asOf, lag: 0n }), log, gapMs: 0 })
  const record = async (...versions: number[]) => {
    await model.record(versions)
    live.wake(['eva'])
  }
  await record(1, 2)
  const balance = (await findBalances(model.sql, ['eva'])).get('eva')
  if (!balance) throw new Error('there is no balance')
  const hear = hearing(live.account(balance, undefined))
  expect(await hear(1)).toEqual(['balance 2'])
  await record(4)
  await record(5)
  await record(3)
  expect(await hear(3)).toEqual(['balance 3', 'balance 4', 'balance 5'])

  await record(8)
  asOf = '9999-01-01T00:00:00.000Z'
  expect(await hear(2)).toEqual(['gap 7', 'balance 8'])
  // What comes after all is heard of by those who have not passed it, and by those who follow everything.
  await record(6)
  await record(9)
  expect(await hear(1)).toEqual(['balance 9'])
  expect(await hearing(live.account(balance, 5n))(2)).toEqual(['balance 6', 'gap 7'])
  live.stop()
})

test('a stream with nothing to say pings', async () => {
  await using model = await openReadModel()
  const live = createLive({
    sql: model.sql,
    freshness: () => ({ asOf: undefined, lag: 0n }),
    log,
    pingMs: 20,
  })
  const reader = (live.all(undefined).body as ReadableStream<string | Uint8Array>).getReader()
  const chunks: string[] = []
  while (chunks.length < 4) chunks.push(String((await reader.read()).value))
  expect(chunks.filter((chunk) => chunk === ': ping\n\n').length).toBeGreaterThan(0)
  live.stop()
})

test('a stream outlives its connection to the database, and is told to begin again where its place is gone', async () => {
  await using model = await openReadModel()
  const complaints: string[] = []
  const watched: Log = Object.create(log, {
    debug: { value: (_: object, text: string) => complaints.push(text) },
  })
  const live = createLive({ sql: model.sql, freshness: () => ({ asOf: undefined, lag: 0n }), log: watched })
  const record = async (version: number) => {
    await eventually(() => model.record([version]))
    live.wake(['eva'])
  }
  await live.start()
  const hear = hearing(live.all(undefined))
  expect(await hear(1)).toEqual(['reset'])
  await record(1)
  expect(await hear(1)).toEqual(['balance 1'])
  await model.sql`alter table changes rename to gone`
  const second = hear(1)
  live.wake()
  await eventually(() => expect(complaints).toHaveLength(1))
  await model.sql`alter table gone rename to changes`
  await model.cutConnections()
  await record(2)
  expect(await second).toEqual(['balance 2'])
  // As after a rebuild: other tables, in which the same was applied by other transactions.
  await model.sql`update changes set xid = (xid::text::bigint - 500)::text::xid8`
  await record(3)
  expect(await hear(1)).toEqual(['reset'])
  await record(4)
  expect(await hear(1)).toEqual(['balance 4'])
  live.stop()
})

test('an id that is yet to come begins again, of one account and of all', async () => {
  await using model = await openReadModel()
  const live = createLive({ sql: model.sql, freshness: () => ({ asOf: undefined, lag: 0n }), log })
  await model.record([1, 2, 3])
  const balance = (await findBalances(model.sql, ['eva'])).get('eva')
  if (!balance) throw new Error('there is no balance')

  for (const ahead of [4n, 10n ** 39n]) {
    const events = parseEvents(live.account(balance, ahead).body as never)
    expect((await events.next()).value).toEqual({ event: 'reset', id: '3', data: { load: '/balances/eva' } })
    expect((await events.next()).value).toMatchObject({
      event: 'balance',
      id: '3',
      data: { version: 3, balance: 0.03 },
    })
    await events.return()
  }
  const hear = hearing(live.account(balance, 9n))
  expect(await hear(2)).toEqual(['reset', 'balance 3'])

  const [row] = await model.sql<{ xid: string }[]>`select xid from changes`
  const ahead = [`${BigInt(row?.xid ?? 0) + 1000n}:0`, `${row?.xid}:4`, '18446744073709551615:0', '0:0']
  const listeners = ahead.map((position) => hearing(live.all(position)))
  expect(await Promise.all(listeners.map((one) => one(1)))).toEqual(ahead.map(() => ['reset']))
  const known = hearing(live.all(`${row?.xid}:3`))
  await model.record([4])
  live.wake()
  expect(await Promise.all([hear, known, ...listeners].map((one) => one(1)))).toEqual(
    Array.from({ length: 6 }, () => ['balance 4']),
  )
  live.stop()
})
