/**
 * An account has one currency and is moved by one kind of record, for any mix of writers and in any
 * order.
 */
import { expect, test } from 'bun:test'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import postgres from 'postgres'
import { createLog } from '../../platform/telemetry/log'
import { eventually } from '../../testing/eventually'
import { type Stack, startStack } from '../../testing/stack'
import { createServedTopics } from '../../testing/topics'
import { startBalances } from '../service'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const log = createLog({ service: 'test', level: 'fatal', format: 'json' })

/** A producer of its own, as other services have. A value goes to the partition that is said. */
async function openProducer({ config }: Stack) {
  const { brokers, topicPrefix, partitions } = config.balances.kafka
  const client = new Kafka({ brokers, logLevel: logLevel.NOTHING })
  const topics = ['accounts', 'balances'].map((name) => ({
    topic: topicPrefix + name,
    numPartitions: partitions,
  }))
  await createServedTopics(client, topics)
  const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  return {
    send: (values: { value: object; partition?: number; timestamp?: string }[], topic = 'balances') =>
      producer.send({
        topic: topicPrefix + topic,
        messages: values.map(({ value, partition = 0, ...rest }) => ({
          value: JSON.stringify(value),
          partition,
          ...rest,
        })),
      }),
    [Symbol.asyncDispose]: () => producer.disconnect(),
  }
}

const course = (from: string, to: string, balanceFrom: number, balanceTo: number, more: object = {}) => ({
  Name: 'BalanceUpdated',
  Payload: {
    account_id_from: from,
    account_id_to: to,
    balance_account_id_from: balanceFrom,
    balance_account_id_to: balanceTo,
    ...more,
  },
})
const versioned = (from: string, to: string, version: number, more: object = {}) =>
  course(from, to, -version, version, {
    version_account_id_from: version,
    version_account_id_to: version,
    transaction_id: `t${version}`,
    amount: 1,
    currency: 'BRL',
    created_at: '2024-01-27T17:13:55.000Z',
    ...more,
  })

const letters = async ({ balances }: Pick<Stack, 'balances'>) =>
  (
    (await balances.get('/dead-letters?limit=200')).body.data as {
      cause: string
      detail: string
      id: string
    }[]
  ).map(({ cause }) => cause)

const shows = (stack: Pick<Stack, 'balances'>, account: string, expected: object) =>
  eventually(async () =>
    expect((await stack.balances.get(`/balances/${account}`)).body).toMatchObject(expected),
  )

test('a record without versions hides no later wallet movement; rebuild and redrive agree', async () => {
  await using stack = await startStack()
  await using others = await openProducer(stack)
  const { wallet } = stack
  const pay = async () => {
    const paid = await wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 })
    const headers = { 'consistency-token': paid.headers.get('consistency-token') ?? '', prefer: 'wait=20' }
    expect((await stack.balances.get(`/balances/${eva}`, headers)).status).toBe(200)
  }
  await pay()
  await others.send([
    { value: course(eva, 'somebody', 1, 1) },
    { value: course('x', frank, 1, 1), partition: 2 },
  ])
  await eventually(async () => expect(await letters(stack)).toEqual(['source_conflict', 'source_conflict']))
  await pay()
  const { balance, version } = (await wallet.get(`/accounts/${eva}`)).body
  await shows(stack, eva, { balance, version })
  expect((await stack.balances.get('/balances/somebody')).status).toBe(404)

  const again = await stack.balances.post('/dead-letters/redrive', { all: true })
  expect(again.body.counts).toMatchObject({ still_failing: 2, applied: 0 })
  await shows(stack, eva, { balance, version })

  expect((await stack.balances.post('/rebuild', {})).status).toBe(202)
  await eventually(async () =>
    expect((await stack.balances.get('/rebuild')).body).toMatchObject({ state: 'swapped' }),
  )
  await shows(stack, eva, { balance, version })
  expect(await letters(stack)).toEqual(['source_conflict', 'source_conflict'])
  await pay()
})

test('seeded accounts have no source: a wallet without versions may move them', async () => {
  await using stack = await startStack({ start: ['balances'] })
  await using others = await openProducer(stack)
  await eventually(async () => expect((await stack.balances.get(`/balances/${frank}`)).status).toBe(200))
  const { version } = (await stack.balances.get(`/balances/${eva}`)).body as { version: number }
  await others.send([{ value: course(eva, frank, 12.5, 99) }, { value: course(eva, frank, 10.5, 101) }])
  await shows(stack, eva, { balance: 10.5, version: version + 2 })
  await others.send([{ value: versioned(eva, 'x', version + 9) }])
  await eventually(async () => expect(await letters(stack)).toEqual(['source_conflict']))
  await shows(stack, eva, { balance: 10.5, version: version + 2 })
})

test('a history has one currency: another is dead-lettered in full, in any order and batching', async () => {
  await using stack = await startStack({ start: ['balances'], seed: false })
  await using others = await openProducer(stack)
  const opened = (id: string, currency: string) => ({
    Name: 'AccountOpened',
    Payload: { id, client_id: 'ana', currency, created_at: '2024-01-27T17:13:55.000Z' },
  })
  await others.send([{ value: opened('dollars', 'USD') }, { value: opened('yen', 'JPY') }], 'accounts')
  await shows(stack, 'yen', { currency: 'JPY' })
  // The account's currency goes without saying.
  await others.send([{ value: course('yen', 'yen', 0, 500) }, { value: course('reais', 'reais', 0, 5) }])
  await shows(stack, 'reais', { balance: 5, currency: 'BRL' })
  await shows(stack, 'yen', { balance: 500, version: 1 })

  const wrong = [
    versioned('dollars', 'new', 1),
    versioned('new', 'dollars', 1, { currency: 'EUR' }),
    course('reais', 'new', 1, 1, { currency: 'USD' }),
    versioned('yen', 'new', 0, { balance_account_id_from: 0, balance_account_id_to: 0 }),
  ]
  await others.send(wrong.slice(0, 1).map((value) => ({ value })))
  await others.send(wrong.slice(1).map((value) => ({ value })))
  await others.send([{ value: versioned('dollars', 'other', 1, { currency: 'USD' }) }])
  await shows(stack, 'dollars', { balance: -1, currency: 'USD', version: 1 })
  await others.send([{ value: opened('reais', 'USD') }, { value: opened('other', 'BRL') }], 'accounts')
  await eventually(async () =>
    expect(await letters(stack)).toEqual(Array.from({ length: 6 }, () => 'currency_mismatch')),
  )
  await shows(stack, 'reais', { balance: 5, currency: 'BRL', client_id: null })
  expect((await stack.balances.get('/balances/new')).status).toBe(404)
})

test('after a rebuild a history knows no more of its beginning than before', async () => {
  await using stack = await startStack({ start: ['balances'], seed: false })
  await using others = await openProducer(stack)
  await others.send([{ value: course('reais', 'reais', 0, 5) }])
  await shows(stack, 'reais', { balance: 5 })
  const statement = async () => (await stack.balances.get('/balances/reais/statement')).body.data
  const before = await statement()
  expect(before).toMatchObject([{ version: 1, balance: 5, amount: null }])
  await stack.balances.post('/rebuild', {})
  await eventually(async () =>
    expect((await stack.balances.get('/rebuild')).body).toMatchObject({ state: 'swapped' }),
  )
  expect(await statement()).toEqual(before)
})

test('an account is not mixed however partitions and processes race', async () => {
  await using stack = await startStack({ start: ['balances'], seed: false })
  await using others = await openProducer(stack)
  const second = await startBalances(stack.config.balances, log)
  const sql = postgres(stack.databases.balances.url, { max: 1, onnotice: () => {} })
  try {
    const accounts = Array.from({ length: 40 }, (_, index) => `account ${index}`)
    const values = accounts.flatMap((account, index) => [
      { value: course(account, account, 0, index), partition: 0 },
      { value: versioned(account, `payee ${index}`, 1), partition: 1 },
      { value: versioned(`payer ${index}`, account, 1, { currency: 'USD' }), partition: 2 },
    ])
    for (let start = 0; start < values.length; start += 7) await others.send(values.slice(start, start + 7))
    await eventually(async () => {
      const [done] = await sql`select coalesce(sum(next_offset), 0)::int as count from consumed_offsets`
      expect(done?.count).toBe(values.length)
    })
    const kinds = await sql`
      select account_id, source, currency, count(*)::int as entries,
        count(distinct entries.transaction_id is null)::int as kinds
      from balances join entries using (account_id) where account_id like 'account%' group by 1, 2, 3`
    expect(kinds).toHaveLength(accounts.length)
    for (const row of kinds) expect(row).toMatchObject({ entries: 1, kinds: 1 })
    // Of three records about an account the first was applied, the two others had no effect.
    const [other] = await sql`select count(*)::int as count from dead_letters`
    expect(other?.count).toBe(2 * accounts.length)
    const [payees] = await sql`select count(*)::int as count from balances where account_id like 'pay%'`
    const [first] = await sql`
      select count(*)::int as count from balances
      where source = 'versioned' and account_id like 'account%'`
    expect(payees?.count).toBe(first?.count)
  } finally {
    await sql.end()
    await second.stop()
  }
})

test('an event without a time in a record without a timestamp is dead-lettered', async () => {
  await using stack = await startStack({ start: ['balances'], seed: false })
  await using others = await openProducer(stack)
  await others.send([
    { value: course('a', 'a', 0, 1), timestamp: '-1' },
    { value: course('a', 'a', 0, 2), timestamp: '-62135596800000' },
    { value: course('a', 'a', 0, 3) },
  ])
  await shows(stack, 'a', { balance: 3, version: 1 })
  expect(await letters(stack)).toEqual(['payload_invalid', 'payload_invalid'])
  const { body } = await stack.balances.get('/dead-letters')
  expect(body.data).toMatchObject([{ record_at: null }, { record_at: null }])
})
