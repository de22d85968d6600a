/** Transactions of several legs, as a caller of the wallet meets them. */
import { expect, test } from 'bun:test'
import { reuseWallet } from '../../testing/reuse'
import type { Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, type Wallets, world } from '../../testing/wallets'

const john = 'd6a4053e-bbd0-11ee-8a24-0242ac120003'

type Leg = { account_id_from?: string; account_id_to?: string; amount: number | string }
const leg = (account_id_from: string, account_id_to: string, amount: number | string): Leg => ({
  account_id_from,
  account_id_to,
  amount,
})
const post = (wallet: Caller, postings: Leg[], more = {}, headers = {}) =>
  wallet.post('/transactions', { postings, ...more }, headers)
const versionOf = async (wallet: Caller, id: string) =>
  Number((await wallet.get(`/accounts/${id}`)).body.version)
const balanceOf = async (wallet: Caller, id: string) => (await wallet.get(`/accounts/${id}`)).body.balance
const stateOf = ({ sql }: Wallets) => sql`select id, balance_minor, version from accounts order by id`

test('a payment with a fee is one transaction: one id, a version for each entry, one token', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const [e = 0, f = 0, j = 0] = await Promise.all([eva, frank, john].map((id) => versionOf(wallet, id)))
  const said = { reference: 'order 1', metadata: { order: 1 } }
  const paid = await post(wallet, [leg(eva, frank, '80.00'), leg(eva, john, 1.2)], said)
  const { id } = paid.body
  const whole = {
    id,
    postings: [
      { ...leg(eva, frank, 80), version_account_id_from: e + 1, version_account_id_to: f + 1 },
      { ...leg(eva, john, 1.2), version_account_id_from: e + 2, version_account_id_to: j + 1 },
    ],
    currency: 'BRL',
    kind: 'postings',
    ...said,
    reverses: null,
    actor: null,
    reversed: 0,
    effective_at: paid.body.created_at,
    created_at: paid.body.created_at,
  }
  expect([paid.status, paid.body]).toEqual([201, whole] as never)
  expect(paid.headers.get('location')).toBe(`/transactions/${id}`)
  expect(paid.headers.get('consistency-token')).toBe(`${eva}:${e + 2},${frank}:${f + 1},${john}:${j + 1}`)
  expect((await wallet.get(`/transactions/${id}`)).body).toEqual(whole as never)
  expect(await balanceOf(wallet, eva)).toBe(718.8)
  await expectSoundLedger(wallets)
})

test('a split takes from one and gives to several, from and to the outside as well', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const before = await Promise.all([eva, frank, john].map((id) => balanceOf(wallet, id)))
  const split = await post(wallet, [
    { account_id_to: eva, amount: 90 },
    leg(eva, frank, 30),
    leg(eva, john, 30),
    { account_id_from: eva, amount: 30 },
  ])
  expect(split.body.postings).toMatchObject([{ account_id_from: world }, {}, {}, { account_id_to: world }])
  const after = await Promise.all([eva, frank, john].map((id) => balanceOf(wallet, id)))
  expect(after.map((balance, index) => Number(balance) - Number(before[index]))).toEqual([0, 30, 30])
  await expectSoundLedger(wallets)
})

test('each leg has to be covered when it is its turn; a refusal names it, and nothing moved', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const before = await stateOf(wallets)
  const missing = crypto.randomUUID()
  const ok = leg(eva, frank, 1)
  const cases: [string, string | undefined, Leg[]][] = [
    ['INSUFFICIENT_FUNDS', '#/postings/1/amount', [leg(eva, frank, 799), leg(eva, john, 2), ok]],
    ['ACCOUNT_TO_NOT_FOUND', '#/postings/1/account_id_to', [ok, leg(eva, missing, 1)]],
    ['ACCOUNT_FROM_NOT_FOUND', '#/postings/1/account_id_from', [ok, leg(world, eva, 1)]],
    ['ACCOUNTS_NOT_DIFFERENT', '#/postings/1', [ok, leg(eva, eva, 1)]],
    ['AMOUNT_NOT_POSITIVE', '#/postings/2/amount', [ok, ok, leg(eva, frank, 0)]],
  ]
  for (const [code, pointer, postings] of cases) {
    const { status, body } = await post(wallet, postings)
    expect([code, status >= 400 && status < 500]).toEqual([code, true])
    expect(body).toMatchObject({ code, errors: [{ pointer }] })
    expect(body.detail).toContain(`posting ${pointer?.split('/')[2]}: `)
  }
  const dated = await post(wallet, [ok, ok], { effective_at: '2001-01-01T00:00:00Z' })
  expect(dated.body).toMatchObject({
    code: 'EFFECTIVE_BEFORE_OPENING',
    errors: [{ pointer: '#/effective_at' }],
  })
  const foreign = await post(wallet, [ok, ok], { currency: 'JPY' })
  expect(foreign.body).toMatchObject({ code: 'CURRENCY_NOT_EQUAL', errors: [{ pointer: '#/postings/0' }] })
  expect(await stateOf(wallets)).toEqual(before)
  expect((await post(wallet, [leg(eva, frank, 799), leg(eva, john, 1)])).status).toBe(201)
})

test('what cannot be read is named leg by leg', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const ok = leg(eva, frank, 1)
  const cases: [string[], object][] = [
    [['#/postings'], { postings: [ok] }],
    [['#/postings'], { postings: Array.from({ length: 101 }, () => ok) }],
    [['#/postings/1'], { postings: [ok, { amount: 1 }] }],
    [
      ['#/postings/0/amount', '#/postings/1/amount'],
      {
        postings: [
          { ...ok, amount: '1.001' },
          { ...ok, amount: 'x' },
        ],
      },
    ],
    [['#/postings/1/account_id_to'], { postings: [ok, { ...ok, account_id_to: 'frank' }] }],
    [['#/postings/1/currency'], { postings: [ok, { ...ok, currency: 'BRL' }] }],
    [['#/amount'], { postings: [ok, ok], amount: 2 }],
    [['#/account_id_from'], { postings: [ok, ok], account_id_from: eva }],
    [['#/effective_at'], { postings: [ok, ok], effective_at: '2999-01-01T00:00:00Z' }],
    [['#/account_id_to', '#/amount'], { account_id_from: eva }],
  ]
  for (const [pointers, body] of cases) {
    const answer = await wallet.post('/transactions', body)
    expect([
      answer.status,
      (answer.body.errors as { pointer: string }[]).map((one) => one.pointer).sort(),
    ]).toEqual([422, pointers])
  }
})

test('a hundred legs over 101 accounts: more than a token names, so there is none', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const client = (await wallet.get(`/accounts/${eva}`)).body.client_id
  const accounts = await Promise.all(
    Array.from({ length: 101 }, async () =>
      String((await wallet.post('/accounts', { client_id: client })).body.id),
    ),
  )
  const chain = accounts.slice(1).map((to, index) => leg(String(accounts[index]), to, 7))
  await wallet.post(`/accounts/${accounts[0]}/deposits`, { amount: 7 })
  const paid = await post(wallet, chain)
  expect([paid.status, paid.headers.get('consistency-token')]).toEqual([201, null])
  expect(paid.body.postings).toBeArrayOfSize(100)
  expect(await balanceOf(wallet, String(accounts.at(-1)))).toBe(7)
  await expectSoundLedger(wallets)
})

test('a key stands for all legs and their order', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const [one, other] = [leg(eva, frank, 1), leg(eva, john, 2)]
  const key = { 'idempotency-key': 'order 7' }
  const first = await post(wallet, [one, other], {}, key)
  const again = await post(wallet, [{ ...one, amount: '1.00' }, other], {}, key)
  expect([again.body, again.headers.get('idempotency-replayed')]).toEqual([first.body, 'true'])
  for (const postings of [
    [other, one],
    [one, other, other],
    [one, { ...other, amount: 3 }],
  ])
    expect((await post(wallet, postings, {}, key)).body.code).toBe('IDEMPOTENCY_KEY_REUSED')

  const refused = [one, leg(eva, john, 10_000)]
  const refusal = await post(wallet, refused, {}, { 'idempotency-key': 'order 8' })
  const same = await post(wallet, refused, {}, { 'idempotency-key': 'order 8' })
  const lasting = ({ trace_id: _, ...rest }: typeof same.body) => rest
  expect(lasting(same.body)).toEqual(lasting(refusal.body))
  expect(same.headers.get('idempotency-replayed')).toBe('true')
  await expectSoundLedger(wallets)
})

test('reversed as a whole, once, the last leg first', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const before = await Promise.all([eva, frank, john].map((id) => balanceOf(wallet, id)))
  const paid = (
    await post(wallet, [leg(eva, frank, 80), leg(frank, john, 3), { account_id_from: eva, amount: 5 }])
  ).body
  const reverse = (body: object, id = paid.id) => wallet.post(`/transactions/${id}/reverse`, body)
  expect(await reverse({ amount: 88 })).toMatchObject({
    status: 422,
    body: {
      type: '/problems/reversal-not-whole',
      code: 'REVERSAL_NOT_WHOLE',
      errors: [{ pointer: '#/amount' }],
    },
  })
  const back = await reverse({ reference: 'refund' })
  expect([back.status, back.body.kind, back.body.reverses, back.body.reference]).toEqual([
    201,
    'reversal',
    paid.id,
    'refund',
  ])
  expect(back.body.postings).toMatchObject([
    { account_id_from: world, account_id_to: eva, amount: 5 },
    leg(john, frank, 3),
    leg(frank, eva, 80),
  ])
  expect((await wallet.get(`/transactions/${back.body.id}`)).body).toEqual(back.body)
  expect(await Promise.all([eva, frank, john].map((id) => balanceOf(wallet, id)))).toEqual(before)
  expect((await wallet.get(`/transactions/${paid.id}`)).body.reversed).toBe(88)
  expect((await reverse({})).body.code).toBe('TRANSACTION_ALREADY_REVERSED')
  expect((await reverse({}, back.body.id)).body.code).toBe('TRANSACTION_NOT_REVERSIBLE')
  await expectSoundLedger(wallets)
})

test('a reversal that cannot be paid names the posting, and moves nothing', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const paid = (await post(wallet, [leg(eva, frank, 80), leg(eva, john, 3)])).body
  await wallet.post(`/accounts/${frank}/withdrawals`, { amount: Number(await balanceOf(wallet, frank)) - 79 })
  const before = await stateOf(wallets)
  expect(await wallet.post(`/transactions/${paid.id}/reverse`, {})).toMatchObject({
    status: 422,
    body: {
      code: 'INSUFFICIENT_FUNDS',
      detail: 'posting 0: insufficient funds',
      errors: [{ detail: 'posting 0: insufficient funds', pointer: '#/postings/0/amount' }],
    },
  })
  expect(await stateOf(wallets)).toEqual(before)
})

test('a frozen account stops the transaction, and its reversal, by name', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const postings = [leg(eva, frank, 2), leg(eva, john, 3)]
  const paid = (await post(wallet, postings)).body
  await wallet.post(`/accounts/${frank}/freeze`, {})
  const before = await stateOf(wallets)
  expect((await post(wallet, postings.toReversed())).body).toMatchObject({
    code: 'ACCOUNT_TO_FROZEN',
    detail: `posting 1: nothing can reach account ${frank}: it is frozen`,
    errors: [{ pointer: '#/postings/1/account_id_to' }],
  })
  expect((await wallet.post(`/transactions/${paid.id}/reverse`, {})).body).toMatchObject({
    code: 'ACCOUNT_FROM_FROZEN',
    detail: `posting 0: nothing can leave account ${frank}: it is frozen`,
    // As it is named in the transaction that is reversed.
    errors: [{ pointer: '#/postings/0/account_id_to' }],
  })
  expect(await stateOf(wallets)).toEqual(before)
})

test('twenty reversals at two wallets: one is executed', async () => {
  await using wallets = await startWallets(2)
  const paid = (await post(wallets.wallet, [leg(eva, frank, 80), leg(eva, john, 3)])).body
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      (wallets.callers[index % 2] as Caller).post(`/transactions/${paid.id}/reverse`, {}),
    ),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(409)])
  await expectSoundLedger(wallets)
})

test('a batch may have members with postings; a refusal names member and posting', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const batch = (transactions: object[], more = {}) =>
    wallet.post('/transactions/batch', { transactions, ...more })
  const split = { postings: [leg(eva, frank, 1), leg(eva, john, 2)], reference: 'split' }
  const both = await batch([leg(eva, frank, 5), split])
  expect(both).toMatchObject({
    status: 201,
    body: { refused: 0, results: [{ transaction: { amount: 5 } }, { transaction: { kind: 'postings' } }] },
  })
  const broken = { kind: 'postings', postings: [leg(eva, frank, 1), leg(eva, john, 100_000)] }
  const before = await stateOf(wallets)
  expect(await batch([split, broken])).toMatchObject({
    status: 422,
    body: { errors: [{ code: 'INSUFFICIENT_FUNDS', pointer: '#/transactions/1/postings/1/amount' }] },
  })
  expect(await stateOf(wallets)).toEqual(before)
  expect(await batch([broken, split], { mode: 'best_effort' })).toMatchObject({
    status: 200,
    body: { refused: 1, results: [{ status: 422 }, { status: 201 }] },
  })
  const kinds = [
    { ...split, kind: 'transfer' },
    { ...leg(eva, frank, 1), kind: 'postings' },
  ]
  expect((await batch(kinds)).body.errors).toEqual([
    { detail: 'must be postings, or absent', pointer: '#/transactions/0/kind' },
    {
      detail: 'must be one of transfer, deposit, withdrawal; postings goes with a list of them',
      pointer: '#/transactions/1/kind',
    },
  ])
  const nested = await batch([split, { postings: [leg(eva, frank, 'x'), { amount: 1 }] }, { amount: 1 }])
  expect((nested.body.errors as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual([
    '#/transactions/1/postings/0/amount',
    '#/transactions/1/postings/1',
    '#/transactions/2/account_id_from',
  ])
  const many = Array.from({ length: 11 }, () => ({ postings: Array(100).fill(leg(eva, frank, 0.01)) }))
  expect((await batch(many)).body.errors).toMatchObject([{ pointer: '#/transactions' }])
  await expectSoundLedger(wallets)
})

test('a list has each once, for any legs of its accounts, on any page', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const client = (await wallet.post('/clients', { name: 'Ivy', email: 'ivy@example.com' })).body.id
  const open = async () => String((await wallet.post('/accounts', { client_id: client })).body.id)
  const [one, other] = [await open(), await open()]
  const made: unknown[] = []
  for (const postings of [
    [leg(eva, one, 5), leg(eva, other, 5), leg(one, other, 1), leg(other, one, 1)],
    [leg(eva, frank, 1), leg(frank, eva, 1)],
    [leg(eva, frank, 1), leg(frank, other, 1), leg(one, eva, 1)],
  ])
    made.unshift((await post(wallet, postings)).body)
  made.unshift((await wallet.post('/transactions', leg(one, other, 1))).body)
  const list = async (query: string) => {
    const seen: unknown[] = []
    for (let cursor = ''; ; ) {
      const { body } = await wallet.get(`/transactions?${query}${cursor}`)
      seen.push(...(body.data as unknown[]))
      if (body.next_cursor === null) return seen
      cursor = `&cursor=${body.next_cursor}`
    }
  }
  const about = made.filter((body) => JSON.stringify(body).includes(one))
  expect(about).toHaveLength(3)
  for (const limit of [1, 2, 200]) {
    expect(await list(`client_id=${client}&limit=${limit}`)).toEqual(about)
    for (const id of [one, other]) expect(await list(`account_id=${id}&limit=${limit}`)).toEqual(about)
    expect(await list(`account_id=${eva}&kind=postings&limit=${limit}`)).toEqual(made.slice(1))
  }
})

test('a search finds each once, also by the accounts of any leg, on any page', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const said = { reference: 'order 9', metadata: { order: 9 } }
  const made: unknown[] = []
  for (const postings of [
    [leg(eva, frank, 3), leg(frank, john, 1), leg(frank, john, 1)],
    [leg(eva, frank, 3), leg(frank, eva, 1)],
  ])
    made.unshift((await post(wallet, postings, said)).body.id)
  const back = (await wallet.post(`/transactions/${made[0]}/reverse`, {})).body.id
  const search = async (query: string, limit = 50) => {
    const seen: unknown[] = []
    for (let cursor = ''; ; ) {
      const { body } = await wallet.get(`/transactions?${query}&limit=${limit}${cursor}`)
      seen.push(...(body.data as { id: string }[]).map(({ id }) => id))
      if (body.next_cursor === null) return seen
      cursor = `&cursor=${body.next_cursor}`
    }
  }
  for (const by of ['reference=order%209', 'metadata.order=9']) {
    for (const limit of [1, 2, 50]) expect(await search(by, limit)).toEqual(made)
    expect(await search(`${by}&account_id=${john}`)).toEqual([made[1]])
    expect(await search(`${by}&account_id=${frank}`)).toEqual(made)
  }
  expect(await search(`reverses=${made[0]}`)).toEqual([back])
})

test('accounts in both directions, at two wallets at once: no deadlock, no gap, nothing lost', async () => {
  await using wallets = await startWallets(2)
  const there = [leg(eva, frank, 1), leg(frank, john, 1), leg(john, eva, 1)]
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      post(wallets.callers[index % 2] as Caller, index % 3 === 0 ? there : there.toReversed()),
    ),
  )
  expect(answers.filter(({ status }) => status !== 201).map(({ body }) => body)).toEqual([])
  await expectSoundLedger(wallets)
})
