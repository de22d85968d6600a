/** Reversals, holds, batches and what may be said about a movement, as a caller meets them. */
import { expect, test } from 'bun:test'
import { eventually } from '../../testing/eventually'
import { reuseWallet } from '../../testing/reuse'
import type { Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, world } from '../../testing/wallets'

type AccountSnapshot = { balance: number; held: number; available: number; version: number }

const pay = (wallet: Caller, amount: number, more = {}) =>
  wallet.post('/transactions', { account_id_from: eva, account_id_to: frank, amount, ...more })
const hold = (wallet: Caller, amount: number, more = {}) =>
  wallet.post('/holds', { account_id_from: eva, account_id_to: frank, amount, ...more })
const standing = async (wallet: Caller, id: string) => {
  const { balance, held, available, version } = (await wallet.get(`/accounts/${id}`)).body as AccountSnapshot
  return { balance, held, available, version }
}

test('a transaction is reversed in parts, never beyond itself, and then never again', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const paid = (await pay(wallet, 100)).body
  const reverse = (body: object) => wallet.post(`/transactions/${paid.id}/reverse`, body)

  const part = await reverse({ amount: 30, reference: 'too much' })
  expect(part).toMatchObject({
    status: 201,
    body: { kind: 'reversal', reverses: paid.id, amount: 30, account_id_from: frank, account_id_to: eva },
  })
  expect(part.headers.get('location')).toBe(`/transactions/${part.body.id}`)
  expect(part.headers.get('consistency-token')).toBe(
    `${frank}:${part.body.version_account_id_from},${eva}:${part.body.version_account_id_to}`,
  )
  expect(await reverse({ amount: 70.01 })).toMatchObject({
    status: 422,
    body: { type: '/problems/amount-exceeds-original', errors: [{ pointer: '#/amount' }] },
  })
  expect(await reverse({})).toMatchObject({ status: 201, body: { amount: 70 } })
  for (const body of [{}, { amount: 0.01 }])
    expect(await reverse(body)).toMatchObject({ status: 409, body: { type: '/problems/already-reversed' } })
  expect(await wallet.post(`/transactions/${part.body.id}/reverse`, {})).toMatchObject({
    status: 422,
    body: { code: 'TRANSACTION_NOT_REVERSIBLE' },
  })
  expect((await wallet.post(`/transactions/${crypto.randomUUID()}/reverse`, {})).status).toBe(404)
  expect(await standing(wallet, eva)).toMatchObject({ balance: 800 })
  await expectSoundLedger(wallets)
})

test('a deposit goes back outside; what was spent in the meantime cannot', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const deposit = (await wallet.post(`/accounts/${eva}/deposits`, { amount: 50 })).body
  await pay(wallet, 820)
  expect(await wallet.post(`/transactions/${deposit.id}/reverse`, {})).toMatchObject({
    status: 422,
    body: { code: 'INSUFFICIENT_FUNDS' },
  })
  expect(await wallet.post(`/transactions/${deposit.id}/reverse`, { amount: 30 })).toMatchObject({
    status: 201,
    body: { account_id_from: eva, account_id_to: world },
  })
  await expectSoundLedger(wallets)
})

test('fifty reversals at two wallets take back what was paid, and not a cent more', async () => {
  await using wallets = await startWallets(2)
  const paid = (await pay(wallets.wallet, 100)).body
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      (wallets.callers[index % 2] as Caller).post(`/transactions/${paid.id}/reverse`, { amount: 15 }),
    ),
  )
  const by = (status: number) => answers.filter((answer) => answer.status === status).length
  expect([by(201), by(422), by(409)]).toEqual([6, 44, 0])
  expect(await standing(wallets.wallet, eva)).toMatchObject({ balance: 790 })
  await expectSoundLedger(wallets)
})

test('a hold reduces what is available; a partial capture frees the rest', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const before = await standing(wallet, eva)
  const placed = await hold(wallet, 300, { reference: 'hotel', metadata: { nights: 2 } })
  expect(placed).toMatchObject({
    status: 201,
    body: { status: 'placed', amount: 300, captured: null, reference: 'hotel', metadata: { nights: 2 } },
  })
  const { id } = placed.body
  expect(placed.headers.get('location')).toBe(`/holds/${id}`)
  expect(placed.headers.get('consistency-token')).toBe(`${eva}:${before.version + 1}`)
  expect(await standing(wallet, eva)).toEqual({
    balance: 800,
    held: 300,
    available: 500,
    version: before.version + 1,
  })
  expect((await pay(wallet, 500.01)).status).toBe(422)
  expect((await hold(wallet, 500.01)).status).toBe(422)

  expect(await wallet.post(`/holds/${id}/capture`, { amount: 300.01 })).toMatchObject({
    status: 422,
    body: { type: '/problems/amount-exceeds-hold' },
  })
  const captured = await wallet.post(`/holds/${id}/capture`, { amount: 120 })
  expect(captured).toMatchObject({
    status: 201,
    body: { kind: 'capture', hold_id: id, amount: 120, reference: 'hotel', metadata: { nights: 2 } },
  })
  expect(await standing(wallet, eva)).toMatchObject({ balance: 680, held: 0, available: 680 })
  expect((await wallet.get(`/holds/${id}`)).body).toMatchObject({
    status: 'captured',
    captured: 120,
    transaction_id: captured.body.id,
  })
  for (const verb of ['capture', 'release'])
    expect(await wallet.post(`/holds/${id}/${verb}`, {})).toMatchObject({
      status: 409,
      body: { type: '/problems/already-captured' },
    })
  await expectSoundLedger(wallets)
})

test('a released hold moves nothing, and ends once', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const { id } = (await hold(wallet, 300)).body
  const released = await wallet.post(`/holds/${id}/release`, {})
  expect(released).toMatchObject({
    status: 200,
    body: { id, status: 'released', captured: 0, transaction_id: null },
  })
  expect(await standing(wallet, eva)).toMatchObject({ balance: 800, held: 0, available: 800 })
  for (const verb of ['capture', 'release'])
    expect(await wallet.post(`/holds/${id}/${verb}`, {})).toMatchObject({
      status: 409,
      body: { type: '/problems/already-voided', code: 'HOLD_ALREADY_RELEASED' },
    })
  for (const path of [`/holds/${crypto.randomUUID()}`, '/holds/mine']) {
    expect((await wallet.get(path)).status).toBe(404)
    for (const verb of ['capture', 'release'])
      expect((await wallet.post(`${path}/${verb}`, {})).status).toBe(404)
  }
  await expectSoundLedger(wallets)
})

test('a hold expires by itself, and what was held is available again', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const { id } = (await hold(wallet, 300, { expires_at: new Date(Date.now() + 300).toISOString() })).body
  await eventually(async () => {
    expect((await wallet.get(`/holds/${id}`)).body).toMatchObject({ status: 'expired', captured: 0 })
  })
  expect(await standing(wallet, eva)).toMatchObject({ balance: 800, held: 0, available: 800 })
  expect(await wallet.post(`/holds/${id}/capture`, {})).toMatchObject({
    status: 409,
    body: { code: 'HOLD_EXPIRED' },
  })
  await expectSoundLedger(wallets)
})

test('a hold may be for a payment to the outside', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const { id } = (await wallet.post('/holds', { account_id_from: eva, amount: 10 })).body
  expect(await wallet.post(`/holds/${id}/capture`, {})).toMatchObject({
    status: 201,
    body: { account_id_to: world },
  })
  expect(
    (await wallet.post('/holds', { account_id_from: eva, account_id_to: world, amount: 10 })).status,
  ).toBe(404)
  await expectSoundLedger(wallets)
})

test('of fifty captures at two wallets one wins; six holds of which five fit leave one out', async () => {
  await using wallets = await startWallets(2)
  const { id } = (await hold(wallets.wallet, 300)).body
  const at = (index: number) => wallets.callers[index % 2] as Caller
  const captures = await Promise.all(
    Array.from({ length: 50 }, (_, index) => at(index).post(`/holds/${id}/capture`, {})),
  )
  expect(captures.filter(({ status }) => status === 201).length).toBe(1)
  expect(captures.filter(({ body }) => body.code === 'HOLD_ALREADY_CAPTURED').length).toBe(49)

  const holds = await Promise.all(Array.from({ length: 6 }, (_, index) => hold(at(index), 100)))
  expect(holds.filter(({ status }) => status === 201).length).toBe(5)
  expect(await standing(wallets.wallet, eva)).toMatchObject({ balance: 500, held: 500, available: 0 })
  await expectSoundLedger(wallets)
})

test('an account may go below zero as far as it was opened for', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const client = (await wallet.post('/clients', { name: 'Irene', email: 'irene@example.com' })).body
  const opened = await wallet.post('/accounts', { client_id: client.id, overdraft_limit: '50.50' })
  expect(opened).toMatchObject({ status: 201, body: { balance: 0, available: 0, overdraft_limit: 50.5 } })
  const spend = (amount: number) => wallet.post(`/accounts/${opened.body.id}/withdrawals`, { amount })
  expect((await spend(50.51)).status).toBe(422)
  expect((await spend(50.5)).status).toBe(201)
  expect((await spend(0.01)).status).toBe(422)
  for (const overdraft_limit of [-1, 0.001, 'much'])
    expect(await wallet.post('/accounts', { client_id: client.id, overdraft_limit })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '#/overdraft_limit' }] },
    })
  await expectSoundLedger(wallets)
})

test('metadata and the effective date are kept as they were given', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const metadata = { order: 'A-7', lines: [{ sku: 'x', count: 2 }], note: '“quoted” \\ and\nnew line' }
  const paid = await pay(wallet, 1, { metadata, effective_at: '2026-01-31T23:00:00-03:00' })
  expect(paid).toMatchObject({ status: 201, body: { metadata, effective_at: '2026-02-01T02:00:00.000Z' } })
  expect((await wallet.get(`/transactions/${paid.body.id}`)).body).toEqual(paid.body)
  expect(String(paid.body.created_at) > '2026-02-01T02:00:00.000Z').toBe(true)

  const refused = [
    ['#/metadata', { metadata: { large: 'x'.repeat(4096) } }],
    ['#/metadata', { metadata: 'text' }],
    ['#/effective_at', { effective_at: new Date(Date.now() + 60_000).toISOString() }],
    ['#/effective_at', { effective_at: '2026-02-30' }],
  ] as const
  for (const [pointer, more] of refused)
    expect(await pay(wallet, 1, more)).toMatchObject({ status: 422, body: { errors: [{ pointer }] } })
  expect(await wallets.made()).toBe(1)
})

test('nothing counts from before what it refers to', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const tooEarly = (code: string) => ({
    status: 422,
    body: { type: '/problems/effective-too-early', code, errors: [{ pointer: '#/effective_at' }] },
  })
  const before = (time: unknown) => new Date(Date.parse(String(time)) - 1).toISOString()
  const paid = (await pay(wallet, 10, { effective_at: '2026-01-31T00:00:00Z' })).body
  const held = (await hold(wallet, 10)).body
  const reverse = (effective_at: unknown) =>
    wallet.post(`/transactions/${paid.id}/reverse`, { amount: 1, effective_at })
  const capture = (effective_at: unknown) =>
    wallet.post(`/holds/${held.id}/capture`, { amount: 1, effective_at })
  expect(await reverse(before(paid.effective_at))).toMatchObject(tooEarly('EFFECTIVE_BEFORE_ORIGINAL'))
  expect(await capture(before(held.created_at))).toMatchObject(tooEarly('EFFECTIVE_BEFORE_HOLD'))
  expect((await reverse(paid.effective_at)).status).toBe(201)
  expect((await capture(held.created_at)).status).toBe(201)

  const { client_id } = (await wallet.get(`/accounts/${eva}`)).body
  const { id, created_at } = (await wallet.post('/accounts', { client_id })).body
  const early = { amount: 1, effective_at: before(created_at) }
  const member = { account_id_from: eva, account_id_to: id, ...early }
  expect(await wallet.post('/transactions', member)).toMatchObject(tooEarly('EFFECTIVE_BEFORE_OPENING'))
  expect(await wallet.post(`/accounts/${id}/deposits`, early)).toMatchObject(
    tooEarly('EFFECTIVE_BEFORE_OPENING'),
  )
  expect(await wallet.post('/transactions/batch', { transactions: [member] })).toMatchObject({
    status: 422,
    body: {
      code: 'BATCH_REFUSED',
      errors: [{ code: 'EFFECTIVE_BEFORE_OPENING', pointer: '#/transactions/0' }],
    },
  })
  expect((await wallet.post('/transactions', { ...member, effective_at: created_at })).status).toBe(201)
  // Before the money came, though not before the account: the caller's books may show less than
  // nothing for a while.
  expect((await wallet.post(`/accounts/${id}/deposits`, { amount: 5 })).status).toBe(201)
  expect(
    (await wallet.post(`/accounts/${id}/withdrawals`, { amount: 5, effective_at: created_at })).status,
  ).toBe(201)
  await expectSoundLedger(wallets)
})

const member = (amount: number, more = {}) => ({
  account_id_from: eva,
  account_id_to: frank,
  amount,
  ...more,
})

test('an atomic batch is carried out whole, in order, or not at all', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const batch = (transactions: object[]) => wallet.post('/transactions/batch', { transactions })
  const whole = await batch([
    { kind: 'deposit', account_id_to: eva, amount: 200 },
    member(1000),
    { kind: 'withdrawal', account_id_from: frank, amount: 5 },
  ])
  expect(whole).toMatchObject({
    status: 201,
    body: {
      mode: 'atomic',
      refused: 0,
      results: [{ status: 201, transaction: { kind: 'deposit' } }, {}, {}],
    },
  })
  expect(await standing(wallet, eva)).toMatchObject({ balance: 0 })

  expect(
    await batch([{ kind: 'deposit', account_id_to: eva, amount: 10 }, member(11), member(1)]),
  ).toMatchObject({
    status: 422,
    body: {
      type: '/problems/batch-refused',
      errors: [{ pointer: '#/transactions/1', code: 'INSUFFICIENT_FUNDS', detail: 'insufficient funds' }],
    },
  })
  expect(await standing(wallet, eva)).toMatchObject({ balance: 0 })
  expect(await wallets.made()).toBe(3)
  await expectSoundLedger(wallets)
})

test('of a best-effort batch each command has an answer of its own', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const body = { mode: 'best_effort', transactions: [member(500), member(301), member(300), member(0)] }
  const first = await wallet.post('/transactions/batch', body, { 'idempotency-key': 'batch' })
  expect(first).toMatchObject({
    status: 200,
    body: {
      refused: 2,
      results: [
        { status: 201, transaction: { amount: 500 } },
        { status: 422, problem: { type: '/problems/insufficient-funds', code: 'INSUFFICIENT_FUNDS' } },
        { status: 201, transaction: { amount: 300 } },
        { status: 422, problem: { code: 'AMOUNT_NOT_POSITIVE' } },
      ],
    },
  })
  const again = await wallet.post('/transactions/batch', body, { 'idempotency-key': 'batch' })
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  expect(again.body).toEqual(first.body)
  expect(await wallets.made()).toBe(2)
  await expectSoundLedger(wallets)
})

test('a batch takes 1 to 1000 transactions; a malformed one is rejected naming each error', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const batch = (transactions: object[]) => wallet.post('/transactions/batch', { transactions })
  const many = await batch(Array.from({ length: 1000 }, () => member(0.01)))
  expect(many.status).toBe(201)
  expect(many.body.results).toBeArrayOfSize(1000)
  expect(await standing(wallet, eva)).toMatchObject({ balance: 790 })

  for (const count of [0, 1001])
    expect(await batch(Array.from({ length: count }, () => member(0.01)))).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '#/transactions' }] },
    })
  const faults = [
    member(0.001),
    member(1),
    { kind: 'deposit', account_id_from: eva, account_id_to: frank, amount: 1 },
    { account_id_to: frank, amount: 1 },
    member(1, { effective_at: '2999-01-01T00:00:00Z' }),
  ]
  const pointers = ['0/amount', '2/account_id_from', '3/account_id_from', '4/effective_at']
  expect(await batch(faults)).toMatchObject({
    status: 422,
    body: { errors: pointers.map((pointer) => ({ pointer: `#/transactions/${pointer}` })) },
  })
  expect(await wallets.made()).toBe(1000)
  await expectSoundLedger(wallets)
})

test('under a key, a hold, a capture and a release are replayed, also after the hold has ended', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const key = (name: string) => ({ 'idempotency-key': name })
  const body = { account_id_from: eva, account_id_to: frank, amount: 10 }
  const twice = async (path: string, body: object, name: string) => {
    const first = await wallet.post(path, body, key(name))
    return { first, again: () => wallet.post(path, body, key(name)) }
  }
  const placing = [await twice('/holds', body, 'a'), await twice('/holds', body, 'b')]
  const [one, other] = placing.map(({ first }) => first.body.id)
  const ending = [
    await twice(`/holds/${one}/capture`, { amount: 4 }, 'c'),
    await twice(`/holds/${other}/release`, {}, 'd'),
  ]
  for (const { first, again } of [...placing, ...ending]) {
    const repeated = await again()
    expect(repeated.headers.get('idempotency-replayed')).toBe('true')
    expect([repeated.status, repeated.body]).toEqual([first.status, first.body])
    for (const name of ['location', 'consistency-token'])
      expect(repeated.headers.get(name)).toBe(first.headers.get(name))
  }
  expect(await wallets.made()).toBe(1)
  await expectSoundLedger(wallets)
})

test('the transactions of a client are those of all accounts, newest first, each once', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const client = (await wallet.post('/clients', { name: 'Irene', email: 'irene@example.com' })).body
  const open = async () => String((await wallet.post('/accounts', { client_id: client.id })).body.id)
  const [one, other] = [await open(), await open()]
  await open()
  const made: string[] = []
  const move = async (account_id_from: string, account_id_to: string) => {
    const answer = await wallet.post('/transactions', { account_id_from, account_id_to, amount: 1 })
    expect(answer.status).toBe(201)
    made.unshift(String(answer.body.id))
  }
  for (let round = 0; round < 4; round++) {
    await move(eva, one)
    await move(frank, other)
    await move(one, other)
  }
  for (const limit of [1, 2, 5, 12, 200]) {
    const seen: string[] = []
    const before = [...made]
    for (let path: string | null = ''; path !== null; ) {
      const { body } = await wallet.get(`/transactions?client_id=${client.id}&limit=${limit}${path}`)
      seen.push(...(body.data as { id: string }[]).map((transaction) => transaction.id))
      path = body.next_cursor === null ? null : `&cursor=${body.next_cursor}`
      await move(eva, other)
    }
    expect(seen).toEqual(before)
  }
  expect((await wallet.get(`/transactions?client_id=${crypto.randomUUID()}`)).body).toEqual({
    data: [],
    next_cursor: null,
  })
  expect((await wallet.get(`/transactions?client_id=${client.id}&account_id=${one}`)).status).toBe(422)
})
