/**
 * Money of more digits than a JSON number has: everything stored can be shown, and no account blocks
 * another.
 */
import { expect, test } from 'bun:test'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { openDatabase } from '../../platform/postgres/database'
import { readEvents } from '../../testing/event-source'
import { eventually } from '../../testing/eventually'
import { reconciled } from '../../testing/reconciled'
import { type Caller, type Stack, startStack } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, world } from '../../testing/wallets'

/** The most that an account can hold, in BRL. */
const most = 9_999_999_999_999.99

/** Sends values as the course's services do. */
async function send({ config }: Stack, ...values: object[]) {
  const { brokers, topicPrefix } = config.balances.kafka
  const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  const messages = values.map((value) => ({ value: JSON.stringify(value), partition: 0 }))
  await producer.send({ topic: `${topicPrefix}balances`, messages })
  await producer.disconnect()
}

const course = (account: string, balance: number) => ({
  Name: 'BalanceUpdated',
  Payload: {
    account_id_from: account,
    account_id_to: account,
    balance_account_id_from: 0,
    balance_account_id_to: balance,
  },
})

const shows = (balances: Caller, account: string, expected: object) =>
  eventually(async () => expect((await balances.get(`/balances/${account}`)).body).toMatchObject(expected))

async function pagesOf(balances: Caller, path: string): Promise<Record<string, unknown>[]> {
  const pages: Record<string, unknown>[] = []
  let cursor: unknown
  do {
    const query = cursor ? `&cursor=${cursor}` : ''
    const { status, body } = await balances.get(`${path}${path.includes('?') ? '&' : '?'}limit=1${query}`)
    expect(status).toBe(200)
    pages.push(body)
    cursor = body.next_cursor
  } while (cursor)
  return pages
}

test('the difference of two balances may have 16 digits: every read and every stream goes on', async () => {
  await using stack = await startStack({ start: ['balances'], seed: false })
  const { balances } = stack
  await send(stack, course('wide', -most), course('wide', most), course('wide', -most), course('other', 1))
  await shows(balances, 'other', { balance: 1 })
  await shows(balances, 'wide', { balance: -most, version: 3 })

  const amounts = (pages: Record<string, unknown>[]) =>
    pages.flatMap(({ data }) => (data as { amount: unknown }[]).map(({ amount }) => amount))
  const down = '-19999999999999.98'
  expect(amounts(await pagesOf(balances, '/balances/wide/statement'))).toEqual([
    down,
    '19999999999999.98',
    null,
  ])
  const [now, ...older] = await pagesOf(balances, '/balances/wide/explain')
  expect(now).toMatchObject({ balance: -most, closing: -most, opening: most, data: [{ amount: down }] })
  expect(older).toHaveLength(2)
  expect((await balances.get('/balances/wide/explain?limit=1&time=effective')).status).toBe(200)
  expect((await balances.get('/balances/wide?at=2999-01-01T00:00:00Z&time=effective')).status).toBe(200)

  const { body } = await balances.get(
    '/balances?currency=BRL&min_balance=-99999999999999.99&max_balance=-9999999999999.99',
  )
  expect(body.data).toMatchObject([{ account_id: 'wide', balance: -most }])

  const heard: unknown[] = []
  for await (const { event, data } of readEvents(balances.port, '/balances/wide/stream', '0')) {
    heard.push([event, data.amount])
    if (heard.length === 3) break
  }
  expect(heard).toEqual([
    ['balance', null],
    ['balance', '19999999999999.98'],
    ['balance', down],
  ])
  const all = readEvents(balances.port, '/balances/stream')
  expect((await all.next()).value).toMatchObject({ event: 'reset' })
  await send(stack, course('wide', most), course('other', 2))
  const [wide, other] = [(await all.next()).value, (await all.next()).value]
  expect(wide).toMatchObject({ data: { account_id: 'wide', amount: '19999999999999.98' } })
  expect(other).toMatchObject({ data: { account_id: 'other', balance: 2 } })
  await all.return()
})

test('a currency unknown to this version blocks no other account', async () => {
  await using stack = await startStack({ start: ['balances'], seed: false })
  const { balances, databases } = stack
  await send(stack, course('odd', 5), course('other', 1))
  await shows(balances, 'other', { balance: 1 })
  const database = openDatabase({
    url: databases.balances.url,
    poolMax: 1,
    prepare: false,
    applicationName: 'test',
  })
  await database.sql`update balances set currency = 'XQZ' where account_id = 'odd'`
  await database.close()
  for (const path of ['', '/statement', '/explain', '?at=2999-01-01T00:00:00Z'])
    expect((await balances.get(`/balances/odd${path}`)).status).toBe(200)
  const { body } = await balances.get('/balances')
  expect(body.data).toMatchObject([
    { account_id: 'odd', balance: null, held: null, available: null, currency: 'XQZ' },
    { account_id: 'other', balance: 1 },
  ])
})

test('`world` may owe more than 15 digits; balances and reconcile agree to the cent', async () => {
  await using stack = await startStack()
  const { wallet, balances } = stack
  const client = (await wallet.post('/clients', { name: 'Ana', email: 'ana@example.com' })).body.id
  const rich = await Promise.all(
    [1, 2, 3].map(async () => String((await wallet.post('/accounts', { client_id: client })).body.id)),
  )
  for (const id of rich)
    expect((await wallet.post(`/accounts/${id}/deposits`, { amount: most })).status).toBe(201)
  const [first = '', second = ''] = rich
  const full = await wallet.post(`/accounts/${first}/deposits`, { amount: 0.01 })
  expect(full).toMatchObject({ status: 422, body: { code: 'BALANCE_LIMIT_REACHED' } })
  const back = await wallet.post(`/accounts/${second}/withdrawals`, { amount: 0.1 })
  expect(back.status).toBe(201)
  expect((await wallet.post(`/accounts/${eva}/deposits`, { amount: 1 })).status).toBe(201)

  const owed = (await wallet.get(`/accounts/${world}`)).body
  expect(owed).toMatchObject({ held: 0, overdraft_limit: null })
  expect(owed.balance).toMatch(/^-3\d{13}\.\d\d$/)
  expect(owed.available).toBe(owed.balance)
  await shows(balances, world, { balance: owed.balance, version: owed.version })
  await shows(balances, second, { balance: 9_999_999_999_999.89 })
  for (const path of [
    '/statement',
    '/explain',
    '?at=2999-01-01T00:00:00Z',
    '?at=2999-01-01T00:00:00Z&time=effective',
  ])
    expect((await balances.get(`/balances/${world}${path}`)).status).toBe(200)
  const filtered = await balances.get('/balances?currency=BRL&max_balance=-10000000000000.00')
  expect(filtered.body.data).toMatchObject([{ account_id: world, balance: owed.balance }])

  expect((await reconciled(stack)).differences).toEqual([])
})

test('`world` may owe up to 18 digits: more is refused, and nothing else is affected', async () => {
  await using stack = await startStack({ seed: false })
  const { wallet, balances } = stack
  const client = (await wallet.post('/clients', { name: 'Ana', email: 'ana@example.com' })).body.id
  const [currency, worldWon] = ['KRW', '00000000-0000-0000-0000-0000004b5257']
  const pay = (kind: string, id: string, amount: number) =>
    wallet.post(`/accounts/${id}/${kind}`, { amount, currency })
  const richest = 999_999_999_999_999
  const enrich = async () => {
    const { body } = await wallet.post('/accounts', { client_id: client, currency })
    const { status, body: answer } = await pay('deposits', String(body.id), richest)
    return { id: String(body.id), status, code: answer.code }
  }
  // A thousand of them make 999,999,999,999,999,000, and there is no room for another.
  const opened: Awaited<ReturnType<typeof enrich>>[] = []
  while (opened.length < 1000) opened.push(...(await Promise.all(Array.from({ length: 50 }, enrich))))
  expect(new Set(opened.map(({ status }) => status))).toEqual(new Set([201]))
  const last = await enrich()
  expect(last).toMatchObject({ status: 422, code: 'BALANCE_LIMIT_REACHED' })

  expect((await pay('deposits', last.id, 999)).status).toBe(201)
  expect(await pay('deposits', last.id, 1)).toMatchObject({
    status: 422,
    body: { code: 'BALANCE_LIMIT_REACHED' },
  })
  const version = 1001
  await shows(balances, worldWon, { balance: '-999999999999999999', version })
  expect((await pay('withdrawals', opened[0]?.id ?? '', richest)).status).toBe(201)
  expect((await pay('deposits', last.id, 1)).status).toBe(201)
  await shows(balances, worldWon, { balance: '-999000000000000001', version: version + 2 })
  expect((await balances.get(`/balances/${worldWon}/statement`)).status).toBe(200)
  expect((await wallet.get('/readyz')).status).toBe(200)
})

test('of two holds that sum to 16 digits the second is refused, alone and in a batch', async () => {
  await using wallets = await startWallets(2)
  const { wallet } = wallets
  const client = (await wallet.post('/clients', { name: 'Ana', email: 'ana@example.com' })).body.id
  const open = async () =>
    String((await wallet.post('/accounts', { client_id: client, overdraft_limit: most })).body.id)
  const hold = (caller: Caller, from: string, more: object = {}) =>
    caller.post('/holds', { account_id_from: from, account_id_to: frank, amount: most, ...more })

  const [one, other] = [await open(), await open()]
  for (const id of [one, other])
    expect((await wallet.post(`/accounts/${id}/deposits`, { amount: most })).status).toBe(201)
  expect((await hold(wallet, one)).status).toBe(201)
  const refused = { status: 422, body: { type: '/problems/balance-limit', code: 'BALANCE_LIMIT_REACHED' } }
  expect(await hold(wallet, one)).toMatchObject(refused)
  expect(await hold(wallet, one, { amount: 0.01, account_id_to: undefined })).toMatchObject(refused)

  const answers = await Promise.all(
    wallets.callers.flatMap((caller) => [1, 2, 3, 4].map(() => hold(caller, other))),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 422)])
  for (const id of [one, other])
    expect((await wallet.get(`/accounts/${id}`)).body).toMatchObject({
      balance: most,
      held: most,
      available: 0,
    })

  // Both limits at once: all that was promised is paid, down to the last cent of the overdraft.
  const paid = await wallet.post('/transactions', { account_id_from: one, account_id_to: eva, amount: 1 })
  expect(paid.status).toBe(201)
  expect((await wallet.get(`/accounts/${one}`)).body).toMatchObject({ available: -1 })
  const batch = await wallet.post('/transactions/batch', {
    mode: 'best_effort',
    transactions: [
      { account_id_from: one, account_id_to: eva, amount: most },
      { account_id_from: other, account_id_to: eva, amount: 2 },
    ],
  })
  expect(batch).toMatchObject({
    body: { results: [{ status: 422, problem: { type: expect.any(String) } }, { status: 201 }] },
  })
  await expectSoundLedger(wallets)
  expect(wallets.errors).toEqual([])
})
