/** Changes of accounts, holds and clients: what they stop, at once and everywhere, and their answers. */
import { expect, test } from 'bun:test'
import { reuseWallet } from '../../testing/reuse'
import type { Answer, Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets, type Wallets, world } from '../../testing/wallets'

const ownerOfEva = 'd6a3bc81-bbd0-11ee-8a24-0242ac120003'
const nowhere = '00000000-0000-4000-8000-000000000000'

const seen = ({ status, body }: Answer) => [status, body.code ?? body.status]
const transfer = (wallet: Caller, from: string, to: string, amount: number | string = 1) =>
  wallet.post('/transactions', { account_id_from: from, account_id_to: to, amount })

async function openAccount({ wallet }: Pick<Wallets, 'wallet'>, limit = 0): Promise<string> {
  const { body } = await wallet.post('/accounts', { client_id: ownerOfEva, overdraft_limit: limit })
  return String(body.id)
}

test('a frozen account pays and is paid nothing, until it is not; holds can only end', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const hold = async (amount: number) =>
    (await wallet.post('/holds', { account_id_from: eva, account_id_to: frank, amount })).body.id
  const [captured, released] = [await hold(3), await hold(4)]
  const paid = (await transfer(wallet, frank, eva, 5)).body.id
  const outgoing = async () =>
    [
      await transfer(wallet, eva, frank),
      await wallet.post(`/accounts/${eva}/withdrawals`, { amount: 1 }),
      await wallet.post('/holds', { account_id_from: eva, amount: 1 }),
      await wallet.post(`/holds/${captured}/capture`, {}),
      await wallet.post(`/transactions/${paid}/reverse`, {}),
    ].map(seen)
  const incoming = async () =>
    [await transfer(wallet, frank, eva), await wallet.post(`/accounts/${eva}/deposits`, { amount: 1 })].map(
      seen,
    )
  const refused = (side: string, count: number) => Array(count).fill([422, `ACCOUNT_${side}_FROZEN`])

  const frozen = await wallet.post(`/accounts/${eva}/freeze`, { scope: 'debits', reference: 'case 7' })
  expect(frozen).toMatchObject({ status: 200, body: { id: eva, status: 'debits_frozen', version: 8 } })
  expect(frozen.headers.get('consistency-token')).toBe(`${eva}:8`)
  expect((await wallet.get(`/accounts/${eva}`)).body).toEqual(frozen.body)
  expect(await outgoing()).toEqual(refused('FROM', 5))
  expect(await incoming()).toEqual([
    [201, undefined],
    [201, undefined],
  ])

  expect(seen(await wallet.post(`/accounts/${eva}/freeze`, {}))).toEqual([200, 'frozen'])
  expect(await outgoing()).toEqual(refused('FROM', 5))
  expect(await incoming()).toEqual(refused('TO', 2))
  const later = new Date(Date.now() + 30 * 86_400_000).toISOString()
  expect(seen(await wallet.patch(`/holds/${captured}`, { expires_at: later }))).toEqual([200, 'placed'])
  expect(seen(await wallet.post(`/holds/${released}/release`, {}))).toEqual([200, 'released'])
  expect(seen(await wallet.patch(`/accounts/${eva}`, { overdraft_limit: 10 }))).toEqual([200, 'frozen'])

  expect(seen(await wallet.post(`/accounts/${eva}/unfreeze`, {}))).toEqual([200, 'open'])
  expect(await outgoing()).toEqual([
    ...Array(2).fill([201, undefined]),
    [201, 'placed'],
    ...Array(2).fill([201, undefined]),
  ])
  await expectSoundLedger(wallets)
})

test('the order of the checks: existence, currency, closed, frozen, limits, funds', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const [closed, frozen, poor] = [
    await openAccount(wallets),
    await openAccount(wallets),
    await openAccount(wallets),
  ]
  await wallet.post(`/accounts/${closed}/close`, {})
  await wallet.post(`/accounts/${frozen}/freeze`, {})
  const yen = (await wallet.post('/accounts', { client_id: ownerOfEva, currency: 'JPY' })).body.id as string
  const early = { effective_at: '2000-01-01T00:00:00Z' }
  const pay = (from: string, to: string) =>
    wallet.post('/transactions', { account_id_from: from, account_id_to: to, amount: 1_000_000, ...early })
  for (const [from, to, code] of [
    [closed, nowhere, 'ACCOUNT_TO_NOT_FOUND'],
    [closed, yen, 'CURRENCY_NOT_EQUAL'],
    [closed, frozen, 'ACCOUNT_FROM_CLOSED'],
    [frozen, closed, 'ACCOUNT_TO_CLOSED'],
    [frozen, poor, 'ACCOUNT_FROM_FROZEN'],
    [poor, frozen, 'ACCOUNT_TO_FROZEN'],
    [poor, eva, 'EFFECTIVE_BEFORE_OPENING'],
  ] as const)
    expect([code, (await pay(from, to)).body.code]).toEqual([code, code])
  expect((await transfer(wallet, poor, frank)).body.code).toBe('INSUFFICIENT_FUNDS')
})

test('a closed account is empty and stays closed; world and missing accounts are not changed', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const account = await openAccount(wallets, 20)
  const close = () => wallet.post(`/accounts/${account}/close`, { reference: 'moved away' })
  await transfer(wallet, eva, account, 5)
  expect(seen(await close())).toEqual([422, 'ACCOUNT_NOT_EMPTY'])
  await transfer(wallet, account, eva, 6)
  expect(seen(await close())).toEqual([422, 'ACCOUNT_NOT_EMPTY'])
  await transfer(wallet, eva, account, 1)
  const { id } = (await wallet.post('/holds', { account_id_from: account, amount: 1 })).body
  expect(seen(await close())).toEqual([422, 'ACCOUNT_NOT_EMPTY'])
  await wallet.post(`/holds/${id}/release`, {})

  const closed = await close()
  expect(seen(closed)).toEqual([200, 'closed'])
  expect((await close()).body).toEqual(closed.body)
  for (const answer of [
    await wallet.post(`/accounts/${account}/unfreeze`, {}),
    await wallet.post(`/accounts/${account}/freeze`, {}),
    await wallet.patch(`/accounts/${account}`, { overdraft_limit: 20 }),
  ])
    expect(seen(answer)).toEqual([422, 'ACCOUNT_CLOSED'])
  expect(seen(await transfer(wallet, eva, account))).toEqual([422, 'ACCOUNT_TO_CLOSED'])
  for (const one of [world, nowhere, 'x'])
    for (const answer of [
      await wallet.post(`/accounts/${one}/close`, {}),
      await wallet.patch(`/accounts/${one}`, { overdraft_limit: 1 }),
    ])
      expect(seen(answer)).toEqual([404, 'ACCOUNT_NOT_FOUND'])
  await expectSoundLedger(wallets)
})

test('an overdraft limit takes effect at once, and is not lowered below what is used', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const account = await openAccount(wallets)
  const set = (limit: unknown) => wallet.patch(`/accounts/${account}`, { overdraft_limit: limit })
  expect(seen(await transfer(wallet, account, eva, '10.50'))).toEqual([422, 'INSUFFICIENT_FUNDS'])
  expect(await set('10.50')).toMatchObject({ status: 200, body: { overdraft_limit: 10.5, version: 1 } })
  expect(seen(await transfer(wallet, account, eva, '10.50'))).toEqual([201, undefined])
  expect(await set('10.49')).toMatchObject({
    status: 422,
    body: { code: 'OVERDRAFT_IN_USE', errors: [{ pointer: '#/overdraft_limit' }] },
  })
  await transfer(wallet, eva, account, '0.50')
  expect(await set(10)).toMatchObject({
    status: 200,
    body: { overdraft_limit: 10, available: -10, version: 4 },
  })
  for (const limit of [-1, '1.001', '1000000000000000', undefined, null])
    expect((await set(limit)).body.code).toBe('VALIDATION')
  await expectSoundLedger(wallets)
})

test('a hold is extended while it is open, and its first expiry forgotten', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
  const [first, second] = [inDays(1), inDays(2)]
  const placed = await wallet.post(
    '/holds',
    { account_id_from: eva, amount: 1, expires_at: first },
    { 'idempotency-key': 'placed' },
  )
  const extend = (expires_at: string, key?: string) =>
    wallet.patch(`/holds/${placed.body.id}`, { expires_at }, key ? { 'idempotency-key': key } : {})
  const extended = await extend(second, 'extended')
  const version = Number(placed.body.version_account_id_from) + 1
  expect(extended).toMatchObject({
    status: 200,
    body: { ...placed.body, expires_at: second, version_account_id_from: version },
  })
  expect(extended.headers.get('consistency-token')).toBe(`${eva}:${version}`)
  expect((await extend(second)).body).toEqual(extended.body)
  expect(seen(await extend(first))).toEqual([422, 'EXPIRES_AT_NOT_LATER'])
  for (const [time, detail] of [
    ['2000-01-01T00:00:00Z', 'expires_at is not in the future'],
    [inDays(367), 'expires_at is more than a year ahead'],
    ['tomorrow', /^expires_at must be/],
  ] as const)
    expect((await extend(time)).body.errors).toMatchObject([
      { pointer: '#/expires_at', detail: expect.stringMatching(detail) },
    ])
  await extend(inDays(3))
  await wallet.post(`/holds/${placed.body.id}/capture`, {})
  expect(seen(await extend(inDays(4)))).toEqual([409, 'HOLD_ALREADY_CAPTURED'])
  expect(seen(await wallet.patch(`/holds/${nowhere}`, { expires_at: second }))).toEqual([
    404,
    'HOLD_NOT_FOUND',
  ])

  // Each repetition gets what was answered then.
  expect((await extend(second, 'extended')).body).toEqual(extended.body)
  const again = { account_id_from: eva, amount: 1, expires_at: first }
  const replay = await wallet.post('/holds', again, { 'idempotency-key': 'placed' })
  expect(replay.body).toEqual(placed.body)
  await expectSoundLedger(wallets)
})

test('a client has versions; what is absent stays', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const body = { name: 'Irene', email: 'irene@example.com' }
  const registered = await wallet.post('/clients', body, { 'idempotency-key': 'registered' })
  expect(registered.body).toMatchObject({ ...body, version: 1 })
  const update = (change: object, key?: string) =>
    wallet.patch(`/clients/${registered.body.id}`, change, key ? { 'idempotency-key': key } : {})
  const renamed = await update({ name: 'Irene Costa' }, 'renamed')
  expect(renamed).toMatchObject({ status: 200, body: { ...body, name: 'Irene Costa', version: 2 } })
  expect((await update({ name: 'Irene Costa' })).body).toEqual(renamed.body)
  const nothing = [{ pointer: '#', detail: 'must have at least one of name, email' }]
  for (const change of [{}, { name: null }, { dry_run: true }])
    expect(await update(change)).toMatchObject({ status: 422, body: { code: 'VALIDATION', errors: nothing } })
  expect((await update({ email: 'i@example.com', name: null })).body).toMatchObject({
    name: 'Irene Costa',
    email: 'i@example.com',
    version: 3,
  })
  expect((await update({ name: ' ' })).body.code).toBe('VALIDATION')
  for (const id of [nowhere, 'x'])
    expect(seen(await wallet.patch(`/clients/${id}`, { name: 'Eva' }))).toEqual([404, 'CLIENT_NOT_FOUND'])

  expect((await update({ name: 'Irene Costa' }, 'renamed')).body).toEqual(renamed.body)
  const replay = await wallet.post('/clients', body, { 'idempotency-key': 'registered' })
  expect([replay.status, replay.body]).toEqual([201, registered.body])
  await expectSoundLedger(wallets)
})

test('under a key each change is answered as it was, however the account went on', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const opening = { client_id: ownerOfEva, overdraft_limit: 5 }
  const opened = await wallet.post('/accounts', opening, { 'idempotency-key': 'opened' })
  const path = `/accounts/${opened.body.id}`
  const calls: [key: string, send: (headers: Record<string, string>) => Promise<Answer>][] = [
    ['overdraft', (headers) => wallet.patch(path, { overdraft_limit: 7, reference: 'more' }, headers)],
    ['freeze', (headers) => wallet.post(`${path}/freeze`, { scope: 'debits' }, headers)],
    ['freeze again', (headers) => wallet.post(`${path}/freeze`, { scope: 'debits' }, headers)],
    ['refused', (headers) => wallet.post(`${path}/withdrawals`, { amount: 1 }, headers)],
    ['unfreeze', (headers) => wallet.post(`${path}/unfreeze`, {}, headers)],
    ['close', (headers) => wallet.post(`${path}/close`, {}, headers)],
  ]
  const answers: Answer[] = []
  for (const [key, send] of calls) answers.push(await send({ 'idempotency-key': key }))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 422, 200, 200])
  expect(answers[2]?.body).toEqual(answers[1]?.body as Answer['body'])
  for (const [index, [key, send]] of calls.entries()) {
    const again = await send({ 'idempotency-key': key })
    const { trace_id: _, ...body } = again.body
    expect(answers[index]?.body).toMatchObject(body)
    expect(again.status).toBe(answers[index]?.status as number)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.headers.get('consistency-token')).toBe(
      answers[index]?.headers.get('consistency-token') ?? null,
    )
  }
  const other = await wallet.patch(path, { overdraft_limit: 8 }, { 'idempotency-key': 'overdraft' })
  expect(seen(other)).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
  const replay = await wallet.post('/accounts', opening, { 'idempotency-key': 'opened' })
  expect([replay.status, replay.body]).toEqual([201, opened.body])
  await expectSoundLedger(wallets)
})

test('once a freeze is answered no debit is recorded after it, at any of the wallets', async () => {
  await using wallets = await startWallets(2)
  const account = await openAccount(wallets, 1_000_000)
  let isFrozen = false
  const answers = { accepted: 0, late: 0 }
  /** Two wallets at one account may be too busy for an answer, and say so. */
  const retried = async (send: () => Promise<Answer>): Promise<Answer> => {
    const answer = await send()
    return answer.body.code === 'OVERLOADED' ? retried(send) : answer
  }
  const pay = async (wallet: Caller) => {
    const payOnce = () => retried(() => transfer(wallet, account, eva))
    while (!isFrozen) {
      const { status, body } = await payOnce()
      if (status === 201) answers.accepted++
      else expect(body.code).toBe('ACCOUNT_FROM_FROZEN')
    }
    expect((await payOnce()).body.code).toBe('ACCOUNT_FROM_FROZEN')
    answers.late++
  }
  const paying = Promise.all(
    Array.from({ length: 64 }, (_, index) => pay(wallets.callers[index % 2] as Caller)),
  )
  while (answers.accepted < 200) await retried(() => transfer(wallets.wallet, eva, account))
  const [, other] = wallets.callers as [Caller, Caller]
  const frozen = await retried(() => other.post(`/accounts/${account}/freeze`, { scope: 'debits' }))
  isFrozen = true
  await paying
  expect(seen(frozen)).toEqual([200, 'debits_frozen'])
  expect(answers.late).toBe(64)
  const rows = await wallets.sql`
    select version::int from entries where account_id = ${account} and amount_minor < 0 order by version desc`
  expect(rows[0]?.version).toBeLessThan(Number(frozen.body.version))
  expect(rows.length).toBe(answers.accepted)
  await expectSoundLedger(wallets)
})

test('many changes at once share appends: each has its version, none is lost', async () => {
  await using wallets = await startWallets(2)
  const account = await openAccount(wallets, 1)
  const client = (await wallets.wallet.post('/clients', { name: 'C', email: 'c@example.com' })).body.id
  const of = (index: number) => wallets.callers[index % 2] as Caller
  const sent = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0
        ? of(index).patch(`/accounts/${account}`, { overdraft_limit: 100 + index })
        : index % 3 === 1
          ? of(index).post(`/accounts/${account}/${index % 2 ? 'freeze' : 'unfreeze'}`, {})
          : of(index).patch(`/clients/${client}`, { name: `C${index}` }),
    ),
  )
  expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 200))
  const versions = sent.flatMap(({ body }) => ('balance' in body ? [] : [body.version as number]))
  expect(versions.toSorted((a, b) => a - b)).toEqual(versions.map((_, index) => index + 2))
  const limits = sent.flatMap(({ body }, index) => (index % 3 === 0 ? [body.version as number] : []))
  expect(new Set(limits).size).toBe(20)
  await expectSoundLedger(wallets)
})

test('changes whose answer is lost with the connection take effect once', async () => {
  await using wallets = await startWallets()
  const { wallet } = wallets
  const account = await openAccount(wallets, 1)
  const client = (await wallet.post('/clients', { name: 'C', email: 'c@example.com' })).body.id
  const hold = (await wallet.post('/holds', { account_id_from: eva, amount: 1 })).body.id
  const wanted: [kind: string, value: string, status: number][] = []
  for (let round = 0; round < 15; round++) {
    const expires_at = new Date(Date.now() + (8 + round) * 86_400_000).toISOString()
    const values = { overdraft: String(100 + round), name: `C${round}`, expiry: expires_at }
    const [, ...answers] = await Promise.all([
      wallets.cutConnections(),
      wallet.patch(`/accounts/${account}`, { overdraft_limit: values.overdraft }),
      wallet.patch(`/clients/${client}`, { name: values.name }),
      wallet.patch(`/holds/${hold}`, { expires_at }),
    ])
    for (const [index, [kind, value]] of Object.entries(values).entries())
      wanted.push([kind, value, answers[index]?.status ?? 0])
  }
  const rows = await wallets.sql`
    select kind, case kind when 'overdraft' then (overdraft_limit_minor / 100)::text
      else to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end as value
    from changes
    union all
    select 'name', name from personal_data where version > 1`
  const made = Map.groupBy(rows, ({ kind, value }) => `${kind} ${value}`)
  for (const [kind, value, status] of wanted) {
    const times = made.get(`${kind} ${value}`)?.length ?? 0
    expect([kind, value, status, times]).toEqual([
      kind,
      value,
      status,
      status === 200 ? 1 : Math.min(times, 1),
    ])
    expect([200, 503]).toContain(status)
  }
  await expectSoundLedger(wallets)
})
