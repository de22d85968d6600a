import { expect, test } from 'bun:test'
import { eventually } from '../../testing/eventually'
import { reuseWallet } from '../../testing/reuse'
import { type Answer, callerOf } from '../../testing/stack'
import { eva, expectSoundLedger, frank, log, startWallets, world } from '../../testing/wallets'
import { startWallet } from '../service'

const john = 'd6a3b836-bbd0-11ee-8a24-0242ac120003'

const transfer = (from: string, to: string, amount: number | string, more = {}) => ({
  account_id_from: from,
  account_id_to: to,
  amount,
  ...more,
})

test('a transfer is answered as the course answers it, ours beside, and read back the same', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const made = await wallet.post('/transactions', transfer(eva, frank, 100, { reference: 'rent' }))
  expect(made.status).toBe(201)
  expect(made.body).toMatchObject({
    account_id_from: eva,
    account_id_to: frank,
    amount: 100,
    currency: 'BRL',
    kind: 'transfer',
    reference: 'rent',
    version_account_id_from: 5,
    version_account_id_to: 5,
  })
  expect(made.headers.get('consistency-token')).toBe(`${eva}:5,${frank}:5`)
  const read = await wallet.get(made.headers.get('location') ?? '')
  expect(read.body).toEqual(made.body)
  expect(await wallet.get(`/accounts/${eva}`)).toMatchObject({
    status: 200,
    body: { balance: 700, version: 5 },
  })
  await expectSoundLedger(wallets)
})

test('names and references of any script are kept as they were sent', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const client = await wallet.post('/clients', { name: 'Zoë 😀 李', email: 'zoë@exämple.com' })
  expect((await wallet.get(client.headers.get('location') ?? '')).body).toMatchObject({
    name: 'Zoë 😀 李',
    email: 'zoë@exämple.com',
  })
  const paid = await wallet.post('/transactions', transfer(eva, frank, 1, { reference: 'två\nrader 😀' }))
  expect((await wallet.get(paid.headers.get('location') ?? '')).body).toMatchObject({
    reference: 'två\nrader 😀',
  })
})

test('a client and an account of it are registered, empty', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const client = await wallet.post('/clients', { name: 'Ivy', email: 'ivy@example.com' })
  expect(client).toMatchObject({ status: 201, body: { name: 'Ivy', email: 'ivy@example.com' } })
  const account = await wallet.post('/accounts', { client_id: client.body.id, currency: 'JPY' })
  expect(account).toMatchObject({
    status: 201,
    body: { client_id: client.body.id, currency: 'JPY', balance: 0, version: 0 },
  })
  expect((await wallet.get(client.headers.get('location') ?? '')).body).toEqual(client.body)
  expect((await wallet.get(account.headers.get('location') ?? '')).body).toEqual(account.body)
})

test('deposits come from the world account, withdrawals go to it, and the sum is zero', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const deposit = await wallet.post(`/accounts/${eva}/deposits`, { amount: 250, reference: 'salary' })
  expect(deposit).toMatchObject({
    status: 201,
    body: { kind: 'deposit', account_id_from: world, account_id_to: eva, amount: 250, reference: 'salary' },
  })
  const withdrawal = await wallet.post(`/accounts/${eva}/withdrawals`, { amount: '49.90' })
  expect(withdrawal).toMatchObject({
    status: 201,
    body: { kind: 'withdrawal', account_id_from: eva, account_id_to: world, amount: 49.9 },
  })
  expect((await wallet.get(`/accounts/${eva}`)).body).toMatchObject({ balance: 1000.1, version: 6 })
  // 10,000 came in with the seed.
  expect((await wallet.get(`/accounts/${world}`)).body).toMatchObject({ balance: -10_200.1, client_id: null })
  await expectSoundLedger(wallets)
})

test('the first account of a currency brings its world with it', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const opened = await wallet.post('/accounts', { client_id: john, currency: 'JPY' })
  const deposits = `/accounts/${opened.body.id}/deposits`
  expect(await wallet.post(deposits, { amount: 500 })).toMatchObject({
    status: 422,
    body: { code: 'CURRENCY_NOT_EQUAL' },
  })
  expect(await wallet.post(deposits, { amount: 0.5, currency: 'JPY' })).toMatchObject({ status: 422 })
  expect(await wallet.post(deposits, { amount: 500, currency: 'JPY' })).toMatchObject({ status: 201 })
  expect((await wallet.get(`/accounts/${opened.body.id}`)).body).toMatchObject({
    balance: 500,
    currency: 'JPY',
  })
  await expectSoundLedger(wallets)
})

const refusals = [
  [
    `/accounts/${eva}/deposits`,
    { amount: 0 },
    422,
    'AMOUNT_NOT_POSITIVE',
    'amount must be greater than zero',
  ],
  [
    `/accounts/${john}/deposits`,
    { amount: 1 },
    404,
    'ACCOUNT_TO_NOT_FOUND',
    `account ${john} does not exist`,
  ],
  [`/accounts/${world}/deposits`, { amount: 1 }, 422, 'ACCOUNTS_NOT_DIFFERENT', /itself/],
  ['/accounts/eva/deposits', { amount: 1 }, 404, 'ACCOUNT_NOT_FOUND', 'account eva does not exist'],
  [`/accounts/${eva}/deposits`, { amount: 1, currency: 'USD' }, 422, 'CURRENCY_NOT_EQUAL', /USD/],
  [`/accounts/${eva}/withdrawals`, { amount: 800.01 }, 422, 'INSUFFICIENT_FUNDS', 'insufficient funds'],
  [
    `/accounts/${eva}/withdrawals`,
    { account_id_to: frank, amount: 1 },
    422,
    'VALIDATION',
    /an invalid value/,
  ],
  ['/transactions', transfer(eva, frank, 0), 422, 'AMOUNT_NOT_POSITIVE', 'amount must be greater than zero'],
  ['/transactions', transfer(eva, frank, -5), 422, 'AMOUNT_NOT_POSITIVE', 'amount must be greater than zero'],
  [
    '/transactions',
    transfer(eva, eva, 1),
    422,
    'ACCOUNTS_NOT_DIFFERENT',
    'an account cannot transfer to itself',
  ],
  [
    '/transactions',
    transfer(world, frank, 1),
    404,
    'ACCOUNT_FROM_NOT_FOUND',
    `account ${world} does not exist`,
  ],
  ['/transactions', transfer(eva, john, 1), 404, 'ACCOUNT_TO_NOT_FOUND', `account ${john} does not exist`],
  ['/transactions', transfer(eva, frank, 1, { currency: 'EUR' }), 422, 'CURRENCY_NOT_EQUAL', /EUR/],
  ['/transactions', transfer(eva, frank, 800.01), 422, 'INSUFFICIENT_FUNDS', 'insufficient funds'],
  [
    '/transactions',
    transfer(eva, frank, 0.001),
    422,
    'VALIDATION',
    'amount must have at most 2 decimals in BRL',
  ],
  [
    '/transactions',
    transfer(eva, frank, 1, { currency: 'XXX' }),
    422,
    'VALIDATION',
    /not an ISO 4217 currency/,
  ],
  ['/transactions', transfer('eva', frank, 1), 422, 'VALIDATION', 'the body has an invalid value'],
  [
    '/transactions',
    transfer(eva, frank, 1, { referense: 'x' }),
    422,
    'VALIDATION',
    'the body has an invalid value',
  ],
  ['/transactions', [], 422, 'VALIDATION', 'the body has an invalid value'],
  ['/transactions', {}, 422, 'VALIDATION', 'the body has 3 invalid values'],
  [
    '/transactions',
    transfer(eva, frank, 1, { reference: 'a\u0000b' }),
    422,
    'VALIDATION',
    'the body has an invalid value',
  ],
  [
    '/transactions',
    transfer(eva, frank, 1, { reference: 'half a pair \ud800' }),
    422,
    'VALIDATION',
    'a text has half of a surrogate pair',
  ],
  [
    '/clients',
    { name: 'a\u0000b', email: 'a@b.example' },
    422,
    'VALIDATION',
    'the body has an invalid value',
  ],
  [
    '/clients',
    { name: 'x'.repeat(256), email: 'a@b.example' },
    422,
    'VALIDATION',
    'the body has an invalid value',
  ],
  ['/clients', { name: 'x'.repeat(2_000_000), email: 'a@b.example' }, 413, 'BODY_TOO_LARGE', /at most/],
  ['/accounts', { client_id: eva }, 404, 'CLIENT_NOT_FOUND', `client ${eva} does not exist`],
  ['/accounts', { client_id: john, currency: 'brl' }, 422, 'VALIDATION', /not an ISO 4217 currency/],
  ['/clients', { name: ' ', email: 'nobody' }, 422, 'VALIDATION', 'the body has 2 invalid values'],
  ['/nowhere', {}, 404, 'NOT_FOUND', 'no route for /nowhere'],
  ['/transactions/', [], 422, 'VALIDATION', 'the body has an invalid value'],
  ['/accounts/x/', {}, 405, 'METHOD_NOT_ALLOWED', 'POST is not allowed at /accounts/x/; allowed: GET'],
  ['/livez', {}, 405, 'METHOD_NOT_ALLOWED', 'POST is not allowed at /livez; allowed: GET'],
] as const

test('every refusal is a problem with its status, its code and a sentence, and changes nothing', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  for (const [path, body, status, code, detail] of refusals) {
    const answer = await wallet.post(path, body)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer).toMatchObject({ status, body: { status, code, instance: path } })
    expect(String(answer.body.detail)).toMatch(detail)
    const documentation = await wallet.get(String(answer.body.type))
    expect(documentation.status).toBe(200)
  }
  expect((await wallet.get(`/accounts/${eva}`)).body).toMatchObject({ balance: 800, version: 4 })
  await expectSoundLedger(wallets)
})

test('malformed JSON and another media type are different problems', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const form = await wallet.post('/transactions', {}, { 'content-type': 'application/x-www-form-urlencoded' })
  expect(form).toMatchObject({ status: 415, body: { code: 'UNSUPPORTED_MEDIA_TYPE' } })

  const base = `http://127.0.0.1:${wallet.port}`
  const send = (body: string) =>
    fetch(`${base}/transactions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect((await send('{"amount":')).status).toBe(400)
  const rounded = await send(
    `{"account_id_from":"${eva}","account_id_to":"${frank}","amount":1.00000000000000001}`,
  )
  expect(rounded.status).toBe(422)
})

test('concurrent transfers never overdraw an account, and a rejected one fails no other', async () => {
  await using wallets = await reuseWallet()
  const wallet = wallets.wallet
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      wallet.post('/transactions', index % 10 === 9 ? transfer(eva, eva, 1) : transfer(eva, frank, 20)),
    ),
  )
  const statuses = Map.groupBy(answers, (answer) => answer.status)
  expect(statuses.get(201)?.length).toBe(40)
  expect(statuses.get(422)?.length).toBe(60)
  expect((await wallet.get(`/accounts/${eva}`)).body).toMatchObject({ balance: 0, version: 44 })
  await expectSoundLedger(wallets)
})

test('several wallets on one database collide, decide again, and end balanced', async () => {
  await using wallets = await startWallets(3)
  const people = await wallets.sql<
    { id: string }[]
  >`select id from accounts where client_id is not null order by id`
  const ids = people.map((row) => row.id)
  const answers = await Promise.all(
    Array.from({ length: 600 }, (_, index) => {
      const [from, to] = [ids[index % 10] ?? '', ids[(index * 7 + 3) % 10] ?? '']
      const caller = wallets.callers[index % 3] as (typeof wallets.callers)[number]
      return caller.post('/transactions', transfer(from, from === to ? frank : to, 1 + (index % 5)))
    }),
  )
  const accepted = answers.filter((answer) => answer.status === 201)
  for (const answer of answers) expect([201, 422]).toContain(answer.status)
  const [written] = await wallets.sql`select count(*)::int as count from transactions`
  expect(written?.count).toBe(17 + accepted.length)
  await expectSoundLedger(wallets)
})

test('connections that the server ends in the middle move no money twice and lose no answer', async () => {
  await using wallets = await startWallets()
  const wallet = wallets.wallet
  const answers: Answer[] = []
  for (let round = 0; round < 40; round++) {
    const posts = Array.from({ length: 5 }, () => wallet.post('/transactions', transfer(frank, eva, 1)))
    // A few turns of the event loop later each time, so that the cut hits loads, appends and answers alike.
    for (let turn = 0; turn < round % 8; turn++) await new Promise(setImmediate)
    await wallets.cutConnections()
    answers.push(...(await Promise.all(posts)))
  }

  // A 503 says that the outcome is not known; every other answer is exactly what is in the ledger.
  const [accepted, unknown] = [201, 503].map(
    (status) => answers.filter((answer) => answer.status === status).length,
  )
  expect((accepted ?? 0) + (unknown ?? 0)).toBe(200)
  expect(accepted).toBeGreaterThan(0)
  const written = await eventually(async () => {
    const [row] = await wallets.sql`select count(*)::int - 17 as count from transactions`
    return row?.count as number
  })
  expect(written).toBeGreaterThanOrEqual(accepted ?? 0)
  expect(written).toBeLessThanOrEqual(200)
  await expectSoundLedger(wallets)
})

test('the database rejects unbalanced entries and any change of history', async () => {
  await using wallets = await reuseWallet()
  const { sql } = wallets
  const entry = (version: number, amount: number, balance: number) => sql`
    insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
    values (${eva}, ${version}, gen_random_uuid(), ${amount}, ${balance}, now())`
  const code = (query: PromiseLike<unknown>) =>
    Promise.resolve(query).then(
      () => 'accepted',
      (error) => error.constraint_name ?? error.code,
    )
  expect(await code(entry(5, 100, 80_100))).toBe('entries_sum_zero')
  expect(await code(entry(4, 100, 80_100))).toBe('entries_pkey')
  expect(await code(sql`update entries set amount_minor = 1`)).toBe('23001')
  expect(await code(sql`delete from transactions`)).toBe('23001')
  expect(await code(sql`update accounts set balance_minor = -1 where id = ${eva}`)).toBe('accounts_overdraft')

  const pair = (balance: number, version: number) => sql`
    with moved as (update accounts set balance_minor = 79900, version = 5 where id = ${eva}),
      paid as (update accounts set balance_minor = 120100, version = 5 where id = ${frank}),
      booked as (
        insert into transactions values (
          '00000000-0000-4000-8000-000000000001', 'transfer', ${eva}, ${frank}, 5, 5,
          100, 'BRL', null, now(), now()
        )
      )
    insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at) values
      (${eva}, ${version}, '00000000-0000-4000-8000-000000000001', -100, ${balance}, now()),
      (${frank}, 5, '00000000-0000-4000-8000-000000000001', 100, 120100, now())`
  expect(await code(pair(79_901, 5))).toBe('entries_follow_on')
  expect(await code(pair(79_900, 6))).toBe('entries_follow_on')
  expect(await code(pair(79_900, 5))).toBe('accepted')
  await expectSoundLedger(wallets)
})

test('four replicas may start at once on an empty database, and seed it once', async () => {
  await using wallets = await startWallets(4)
  const [counts] = await wallets.sql`
    select
      (select count(*)::int from clients) as clients,
      (select count(*)::int from accounts) as accounts,
      (select count(*)::int from transactions) as transactions`
  expect(counts).toEqual({ clients: 10, accounts: 11, transactions: 17 })
  const balances = await wallets.sql`
    select balance_minor::text as minor from accounts where id in (${eva}, ${frank}) order by 1`
  expect(balances.map((row) => row.minor)).toEqual(['120000', '80000'])
  await expectSoundLedger(wallets)
})

test('the seed is not put in again over what has changed since', async () => {
  await using wallets = await startWallets()
  await wallets.wallet.post('/transactions', transfer(eva, frank, 100))
  const again = await startWallet(wallets.config, log)
  expect((await callerOf('wallet', again.port).get(`/accounts/${eva}`)).body).toMatchObject({
    balance: 700,
    version: 5,
  })
  await again.stop()
})

test('a database of another history is refused, and left as it is', async () => {
  await using wallets = await startWallets()
  await wallets.sql`update drizzle.__drizzle_migrations set hash = 'another' where id = 1`
  await expect(startWallet(wallets.config, log)).rejects.toThrow(/migrated by another version/)
  await expect(startWallet({ ...wallets.config, migrateOnStart: false }, log)).rejects.toThrow(
    /MIGRATE_ON_START/,
  )
  expect((await wallets.wallet.get(`/accounts/${eva}`)).status).toBe(200)
})

test('a startup that the database refuses to log in says what to change', async () => {
  await using wallets = await startWallets()
  const url = new URL(wallets.config.database.url)
  url.password = 'wrong'
  const config = { ...wallets.config, database: { ...wallets.config.database, url: url.href } }
  await expect(startWallet(config, log)).rejects.toThrow(/Check DATABASE_URL/)
})

test('while writes are blocked, a request past its deadline is rejected and never executed', async () => {
  await using wallets = await reuseWallet()
  const { wallet, sql } = wallets
  const pay = (headers = {}) =>
    wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }, headers)
  const inFlight = await sql.begin(async (tx) => {
    await tx`lock table entries in exclusive mode`
    const first = pay()
    await eventually(async () => {
      const [row] = await tx`select count(*)::int as waiting from pg_locks where not granted`
      expect(row?.waiting).toBeGreaterThan(0)
    })
    const late = await pay({ prefer: 'respond-async, wait=0' })
    expect(late).toMatchObject({ status: 503, body: { type: '/problems/overloaded', code: 'OVERLOADED' } })
    expect(late.headers.get('retry-after')).toBe('1')
    // Not awaited here: it waits for the end of this transaction.
    return { first }
  })
  expect((await inFlight.first).status).toBe(201)
  expect(await wallets.made()).toBe(1)
})
