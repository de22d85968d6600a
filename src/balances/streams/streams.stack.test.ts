/** Streams on the tables alone: late entries, gaps, and positions that are gone. */
import { expect, test } from 'bun:test'
import type { Log } from '../../platform/telemetry/log'
import { parseEvents } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { log, openReadModel } from '../../testing/read-model'
import { streamEncoder as encoder } from '../http/streams'
import { findBalances } from '../queries/balances-store'
import { BalanceStreams } from './streams'

/** Reads the next events, as name and version. */
function readerOf({ body }: Response) {
  const events = parseEvents(body as AsyncIterable<string | Uint8Array>)
  return async (count: number): Promise<string[]> => {
    const read: string[] = []
    while (read.length < count) {
      const { value } = await events.next()
      if (!value) throw new Error(`the stream ended after ${read}`)
      read.push(`${value.event} ${value.data.version ?? value.data.to_version ?? ''}`.trim())
    }
    return read
  }
}

test('a late entry is waited for; one that never arrives is a gap once asOf has passed it', async () => {
  await using model = await openReadModel()
  let asOf: string | undefined
  const streams = new BalanceStreams({
    sql: model.sql,
    freshness: () => ({ asOf, lag: 0n }),
    encoder,
    log,
    gapMs: 0,
  })
  const record = async (...versions: number[]) => {
    await model.record(versions)
    streams.wake(['eva'])
  }
  await record(1, 2)
  const balance = (await findBalances(model.sql, ['eva'])).get('eva')
  if (!balance) throw new Error('there is no balance')
  const next = readerOf(streams.account(balance, undefined))
  expect(await next(1)).toEqual(['balance 2'])
  await record(4)
  await record(5)
  await record(3)
  expect(await next(3)).toEqual(['balance 3', 'balance 4', 'balance 5'])

  await record(8)
  asOf = '9999-01-01T00:00:00.000Z'
  expect(await next(2)).toEqual(['gap 7', 'balance 8'])
  // A missing entry that arrives after all reaches streams that have not passed it, and the stream of all.
  await record(6)
  await record(9)
  expect(await next(1)).toEqual(['balance 9'])
  expect(await readerOf(streams.account(balance, 5n))(2)).toEqual(['balance 6', 'gap 7'])
  streams.stop()
})

test('an idle stream pings', async () => {
  await using model = await openReadModel()
  const streams = new BalanceStreams({
    sql: model.sql,
    freshness: () => ({ asOf: undefined, lag: 0n }),
    encoder,
    log,
    pingMs: 20,
  })
  const reader = (streams.all(undefined).body as ReadableStream<string | Uint8Array>).getReader()
  const chunks: string[] = []
  while (chunks.length < 4) chunks.push(String((await reader.read()).value))
  expect(chunks.filter((chunk) => chunk === ': ping\n\n').length).toBeGreaterThan(0)
  streams.stop()
})

test('a stream survives a lost database connection, and resets where its position is gone', async () => {
  await using model = await openReadModel()
  const warnings: string[] = []
  const spy: Log = Object.create(log, {
    debug: { value: (_: object, text: string) => warnings.push(text) },
  })
  const streams = new BalanceStreams({
    sql: model.sql,
    freshness: () => ({ asOf: undefined, lag: 0n }),
    encoder,
    log: spy,
  })
  const record = async (version: number) => {
    await eventually(() => model.record([version]))
    streams.wake(['eva'])
  }
  await streams.start()
  const next = readerOf(streams.all(undefined))
  expect(await next(1)).toEqual(['reset'])
  await record(1)
  expect(await next(1)).toEqual(['balance 1'])
  await model.sql`alter table changes rename to renamed`
  const second = next(1)
  streams.wake()
  await eventually(() => expect(warnings).toHaveLength(1))
  await model.sql`alter table renamed rename to changes`
  await model.cutConnections()
  await record(2)
  expect(await second).toEqual(['balance 2'])
  // As after a rebuild: the same entries, applied by other transactions.
  await model.sql`update changes set xid = (xid::text::bigint - 500)::text::xid8`
  await record(3)
  expect(await next(1)).toEqual(['reset'])
  await record(4)
  expect(await next(1)).toEqual(['balance 4'])
  streams.stop()
})

test('an id from the future resets the stream, of one account and of all', async () => {
  await using model = await openReadModel()
  const streams = new BalanceStreams({
    sql: model.sql,
    freshness: () => ({ asOf: undefined, lag: 0n }),
    encoder,
    log,
  })
  await model.record([1, 2, 3])
  const balance = (await findBalances(model.sql, ['eva'])).get('eva')
  if (!balance) throw new Error('there is no balance')

  for (const ahead of [4n, 10n ** 39n]) {
    const events = parseEvents(streams.account(balance, ahead).body as never)
    expect((await events.next()).value).toEqual({ event: 'reset', id: '3', data: { load: '/balances/eva' } })
    expect((await events.next()).value).toMatchObject({
      event: 'balance',
      id: '3',
      data: { version: 3, balance: 0.03 },
    })
    await events.return()
  }
  const next = readerOf(streams.account(balance, 9n))
  expect(await next(2)).toEqual(['reset', 'balance 3'])

  const [row] = await model.sql<{ xid: string }[]>`select xid from changes`
  const ahead = [`${BigInt(row?.xid ?? 0) + 1000n}:0`, `${row?.xid}:4`, '18446744073709551615:0', '0:0']
  const listeners = ahead.map((position) => readerOf(streams.all(position)))
  expect(await Promise.all(listeners.map((one) => one(1)))).toEqual(ahead.map(() => ['reset']))
  const known = readerOf(streams.all(`${row?.xid}:3`))
  await model.record([4])
  streams.wake()
  expect(await Promise.all([next, known, ...listeners].map((one) => one(1)))).toEqual(
    Array.from({ length: 6 }, () => ['balance 4']),
  )
  streams.stop()
})
