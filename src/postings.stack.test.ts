/** Transactions of several legs, end to end: from the wallet to everything that balances shows of them. */
import { expect, test } from 'bun:test'
import { republish } from './cli/republish'
import { runCommand } from './testing/command'
import { eventually } from './testing/eventually'
import { differencesOf, noDifference } from './testing/reconciled'
import { startStack } from './testing/stack'
import { eva, frank, world } from './testing/wallets'

const john = 'd6a4053e-bbd0-11ee-8a24-0242ac120003'

type Row = Record<string, unknown>

/** Frank is paid with a fee; what comes in for Eva is split among three. */
const postings = [
  { account_id_to: eva, amount: 60_000 },
  { account_id_from: eva, account_id_to: frank, amount: 20_000 },
  { account_id_from: eva, account_id_to: john, amount: 20_000 },
  { account_id_from: frank, account_id_to: eva, amount: 1.2 },
  { account_id_from: eva, amount: 100 },
]

const start = async () => {
  const stack = await startStack()
  const posted = await stack.wallet.post('/transactions', { postings, reference: 'split' })
  expect(posted.status).toBe(201)
  const token = { 'consistency-token': posted.headers.get('consistency-token') ?? '', prefer: 'wait=20' }
  const legs = posted.body.postings as Row[]
  return { stack, id: posted.body.id, token, legs, createdAt: posted.body.created_at as string }
}

test('balances has an entry for each leg: balance, statement, explanation', async () => {
  const { stack, id, token, legs } = await start()
  await using _ = stack
  for (const account of [eva, frank, john, world]) {
    const own = legs.flatMap((leg) => [
      ...(leg.account_id_from === account
        ? [
            {
              version: leg.version_account_id_from,
              amount: -Number(leg.amount),
              counterparty: leg.account_id_to,
            },
          ]
        : []),
      ...(leg.account_id_to === account
        ? [{ version: leg.version_account_id_to, amount: leg.amount, counterparty: leg.account_id_from }]
        : []),
    ])
    const ledger = (await stack.wallet.get(`/accounts/${account}`)).body
    const read = await stack.balances.get(`/balances/${account}`, token)
    expect(read.body).toMatchObject({ balance: ledger.balance, version: ledger.version })

    const statement = (await stack.balances.get(`/balances/${account}/statement?limit=200`)).body
    const lines = statement.data as Row[]
    const shown = lines.filter((line) => line.transaction_id === id)
    expect(
      shown.map(({ version, amount, counterparty_account_id }) => ({
        version,
        amount,
        counterparty: counterparty_account_id,
      })),
    ).toEqual(own.reverse() as never)
    const explained = (await stack.balances.get(`/balances/${account}/explain?limit=200`)).body
    const parts = (explained.data as Row[]).map(({ amount }) => Number(amount))
    expect(parts.reduce((sum, amount) => sum + amount, 0)).toBeCloseTo(Number(ledger.balance), 5)
  }
})

test('each event has a delivery of its own', async () => {
  const { stack, id, legs } = await start()
  await using _ = stack
  const { body } = await eventually(async () => {
    const answer = await stack.wallet.get(`/transactions/${id}/delivery`)
    expect(answer.body).toMatchObject({ status: 'published' })
    return answer
  })
  const events = body.events as Row[]
  expect(events.map(({ name, leg }) => [name, leg])).toEqual([
    ['PostingsCreated', null],
    ...legs.map((_, leg) => ['BalanceUpdated', leg]),
  ] as never)
  const places = new Set(events.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`))
  expect(places.size).toBe(events.length)
  expect([...places].join()).not.toContain('null')
})

test('each large leg is a large movement, also over pages', async () => {
  const { stack, id, createdAt } = await start()
  await using _ = stack
  const large = [
    { leg: 2, account_id_to: john, amount: 20_000 },
    { leg: 1, account_id_to: frank, amount: 20_000 },
    { leg: 0, account_id_from: world, amount: 60_000 },
  ].map((row) => ({ transaction_id: id, reference: 'split', created_at: createdAt, ...row }))
  await eventually(async () => {
    const rows: Row[] = []
    for (let cursor = ''; ; ) {
      const { body } = await stack.balances.get(`/large-movements?limit=1${cursor}`)
      rows.push(...(body.data as Row[]))
      if (body.next_cursor === null) break
      cursor = `&cursor=${body.next_cursor}`
    }
    expect(rows).toMatchObject(large)
    expect(rows).toHaveLength(large.length)
  })
  const { body } = await stack.balances.get(`/large-movements?account_id=${john}`)
  expect(body.data).toMatchObject(large.slice(0, 1))
})

test('ledger, topics and read model agree, also after reversal, republication and rebuild', async () => {
  const { stack, id } = await start()
  await using _ = stack
  expect(await differencesOf(stack)).toEqual(noDifference)
  const back = await stack.wallet.post(`/transactions/${id}/reverse`, {})
  expect(back.status).toBe(201)
  expect(await differencesOf(stack)).toEqual(noDifference)

  const { databases } = stack
  const env = { DATABASE_URL: databases.wallet.url }
  expect((await runCommand(republish, [], env)).code).toBe(0)
  expect(await differencesOf(stack)).toEqual(noDifference)

  await stack.balances.post('/rebuild', {})
  const rebuilt = await eventually(
    async () => {
      const { body } = await stack.balances.get('/rebuild')
      expect(body.state).toBe('swapped')
      return body
    },
    { intervalMs: 50 },
  )
  expect(rebuilt.divergence).toMatchObject({ accounts: 0, entries: 0, clients: 0 })
  expect(await differencesOf(stack)).toEqual(noDifference)
})
