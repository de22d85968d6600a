/**
 * Large movements over a real database and broker: recorded once, despite redeliveries, unreadable
 * records and outages.
 */
import { expect, test } from 'bun:test'
import { TransactionCreated } from '../../contract/events/events'
import { encodeEvent } from '../../contract/wire/envelope'
import { connectKafka } from '../../platform/kafka/client'
import type { OutgoingRecord } from '../../platform/kafka/records'
import { openDatabase } from '../../platform/postgres/database'
import { createLog } from '../../platform/telemetry/log'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { startStack } from '../../testing/stack'
import { decodeFrom } from '../projection/topics'
import { type LargeMovements, startLargeMovements } from './large-movements'
import { listLargeMovements } from './large-movements-store'

const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

const shows = (reaction: LargeMovements, status: 'pass' | 'warn', output: string) =>
  eventually(async () =>
    expect(await reaction.health()).toEqual({ status, output: expect.stringContaining(output) }),
  )

test('a movement is recorded once despite redeliveries; unreadable records do not block', async () => {
  const shared = await backing()
  const { url } = await shared.createDatabase('balances', 'balances')
  const database = openDatabase({ url, poolMax: 2, prepare: true, applicationName: 'test' })
  const kafka = connectKafka({ brokers: shared.brokers, clientId: 'test', ssl: false, sasl: undefined }, log)
  const prefix = shared.topicPrefix()
  const topic = `${prefix}transactions`
  const publisher = kafka.publisher()
  const react = (groupId: string) =>
    startLargeMovements({
      database,
      kafka,
      groupId: prefix + groupId,
      topics: [topic],
      partitions: 1,
      min: 10_000,
      log,
      read: decodeFrom,
    })
  const raw = (value: string): OutgoingRecord => ({ topic, key: 'eva', value, headers: {} })
  const movement = (id: string, amount: number): OutgoingRecord => {
    const payload = { ...TransactionCreated.example, id, amount }
    return raw(encodeEvent({ name: 'TransactionCreated', payload }, '').value)
  }
  const recorded = async () =>
    (await listLargeMovements(database.sql, undefined, { after: undefined, limit: 9 })).map(
      (row) => row.transactionId,
    )

  await database.sql`alter table large_movements add constraint odd check (transaction_id <> 'odd')`
  await kafka.ensureTopics([topic], 1)
  await publisher.send([
    raw('nonsense'),
    movement('a', 10_000),
    movement('b', 9999),
    raw('{"Name":"Other","Payload":{}}'),
    movement('a', 10_000),
    movement('odd', 10_000),
  ])
  const reaction = react('one')
  await eventually(async () => expect(await recorded()).toEqual(['a']))
  await shows(reaction, 'pass', '1 recorded and 3 skipped')

  // It waits while the table cannot be written, and health says so.
  await database.sql`alter table large_movements rename to elsewhere`
  await publisher.send([movement('c', 20_000)])
  await shows(reaction, 'warn', 'waiting')
  await database.sql`alter table elsewhere rename to large_movements`
  await eventually(async () => expect(await recorded()).toEqual(['c', 'a']))

  // A new group has no offsets and reads everything, as after a crash before the commit.
  const again = react('another')
  await shows(again, 'pass', '0 recorded and 3 skipped')
  await publisher.send([movement('d', 30_000)])
  await eventually(async () => expect(await recorded()).toEqual(['d', 'c', 'a']))
  await Promise.all([reaction.stop(), again.stop(), publisher.close()])
  await Promise.all([kafka.close(), database.close()])
})

test('a large deposit is listed for its account, page by page, and counted by readiness', async () => {
  await using stack = await startStack()
  const [eva, frank] = ['d6a41403-bbd0-11ee-8a24-0242ac120003', 'd6a41504-bbd0-11ee-8a24-0242ac120003']
  const deposits: unknown[] = []
  for (const amount of [10_000, 10_000.01, 9999.99, 20_000]) {
    const { body } = await stack.wallet.post(`/accounts/${eva}/deposits`, { amount, reference: 'heritage' })
    if (amount >= 10_000) deposits.unshift([body.id, amount])
  }
  const pages = async (query: string) => {
    const rows: unknown[] = []
    for (let cursor: unknown = ''; cursor !== null; ) {
      const { body } = await stack.balances.get(
        `/large-movements?limit=2${query}${cursor && `&cursor=${cursor}`}`,
      )
      rows.push(...(body.data as Record<string, unknown>[]))
      cursor = body.next_cursor
    }
    return rows as Record<string, unknown>[]
  }
  const rows = await eventually(async () => {
    const rows = await pages(`&account_id=${eva}`)
    expect(rows.map((row) => [row.transaction_id, row.amount])).toEqual(deposits as never)
    return rows
  })
  expect(rows[0]).toMatchObject({ account_id_to: eva, currency: 'BRL', reference: 'heritage' })
  expect(await pages('')).toEqual(rows)
  expect(await pages(`&account_id=${frank}`)).toEqual([])
  const { body } = await stack.balances.get('/readyz')
  expect(body.checks).toMatchObject({
    large_movements: { status: 'pass', output: expect.stringContaining('3 recorded') },
  })
})
