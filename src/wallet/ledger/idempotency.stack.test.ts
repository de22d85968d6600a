import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { fingerprint } from '../../platform/http/idempotency-key'
import { eventually } from '../../testing/eventually'
import { reuseWallet } from '../../testing/reuse'
import type { Caller } from '../../testing/stack'
import { eva, expectSoundLedger, frank, startWallets } from '../../testing/wallets'

const pay = (caller: Caller, key: string | undefined, amount: number, more = {}) =>
  caller.post(
    '/transactions',
    { account_id_from: eva, account_id_to: frank, amount, ...more },
    key === undefined ? {} : { 'idempotency-key': key },
  )

test('the same request under the same key moves money once, and gets the same answer', async () => {
  await using wallets = await reuseWallet()
  const first = await pay(wallets.wallet, '"order-7"', 100)
  expect(first.status).toBe(201)
  expect(first.headers.get('idempotency-replayed')).toBeNull()
  // Bare or quoted, members in any order: the same key and the same request.
  const again = await wallets.wallet.post(
    '/transactions',
    { amount: 100, account_id_to: frank, account_id_from: eva },
    { 'idempotency-key': 'order-7' },
  )
  expect(again.status).toBe(201)
  expect(again.body).toEqual(first.body)
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  for (const header of ['location', 'consistency-token'])
    expect(again.headers.get(header)).toBe(first.headers.get(header))
  expect(await wallets.made()).toBe(1)
})

test('a refusal is repeated, too, even when it would be accepted by now', async () => {
  await using wallets = await reuseWallet()
  const first = await pay(wallets.wallet, 'too-much', 900)
  expect(first).toMatchObject({ status: 422, body: { code: 'INSUFFICIENT_FUNDS' } })
  await wallets.wallet.post('/transactions', { account_id_from: frank, account_id_to: eva, amount: 500 })
  const again = await pay(wallets.wallet, 'too-much', 900)
  expect(again).toMatchObject({ status: 422, body: { code: 'INSUFFICIENT_FUNDS' } })
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  expect((await pay(wallets.wallet, 'too-much-second-try', 900)).status).toBe(201)
})

test('a key that was used for another request is refused, and stands for the first one still', async () => {
  await using wallets = await reuseWallet()
  await pay(wallets.wallet, 'k', 100)
  expect(await pay(wallets.wallet, 'k', 101)).toMatchObject({
    status: 422,
    body: { code: 'IDEMPOTENCY_KEY_REUSED' },
  })
  expect(await pay(wallets.wallet, 'k', 100)).toMatchObject({ status: 201 })
  expect(await wallets.made()).toBe(1)
})

test('the same key on another path, or for another account, is another key', async () => {
  await using wallets = await reuseWallet()
  const deposit = (id: string) =>
    wallets.wallet.post(`/accounts/${id}/deposits`, { amount: 1 }, { 'idempotency-key': 'k' })
  for (const id of [eva, frank]) expect((await deposit(id)).headers.get('idempotency-replayed')).toBeNull()
  expect((await deposit(eva)).headers.get('idempotency-replayed')).toBe('true')
  expect((await pay(wallets.wallet, 'k', 1)).status).toBe(201)
  expect(await wallets.made()).toBe(3)
})

test('a request that cannot be read uses up no key', async () => {
  await using wallets = await reuseWallet()
  expect((await pay(wallets.wallet, 'k', 0.001)).status).toBe(422)
  expect((await pay(wallets.wallet, 'k', 100)).status).toBe(201)
})

test.each(['', '""', 'x'.repeat(256)])('%p is no key, and nothing moves', async (key) => {
  await using wallets = await reuseWallet()
  expect(await pay(wallets.wallet, key, 1)).toMatchObject({ status: 400, body: { code: 'MALFORMED' } })
  expect(await wallets.made()).toBe(0)
})

test('without a key, equal requests are different payments', async () => {
  await using wallets = await reuseWallet()
  await Promise.all([pay(wallets.wallet, undefined, 1), pay(wallets.wallet, undefined, 1)])
  expect(await wallets.made()).toBe(2)
})

test('fifty requests under one key at three wallets move money once; early ones get a 409', async () => {
  await using wallets = await startWallets(3)
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => pay(wallets.callers[index % 3] as Caller, 'once', 10)),
  )
  expect(await wallets.made()).toBe(1)
  const made = answers.filter((answer) => answer.status === 201)
  const early = answers.filter((answer) => answer.status === 409)
  expect(made.length + early.length).toBe(50)
  expect(made.length).toBeGreaterThan(0)
  expect(new Set(made.map((answer) => answer.body.id)).size).toBe(1)
  expect(made.filter((answer) => !answer.headers.get('idempotency-replayed')).length).toBe(1)
  for (const answer of early) expect(answer.headers.get('retry-after')).toBe('1')
  expect((await pay(wallets.wallet, 'once', 10)).headers.get('idempotency-replayed')).toBe('true')
})

test('a caller that retries until it is answered pays once, although connections are cut', async () => {
  await using wallets = await startWallets()
  const paying = Array.from({ length: 10 }, async (_, index) => {
    for (;;) {
      const answer = await pay(wallets.wallet, `payment ${index}`, 1)
      if (answer.status === 201) return answer.body.id
    }
  })
  for (let cut = 0; cut < 20; cut++) {
    await wallets.cutConnections()
    await new Promise(setImmediate)
  }
  expect(new Set(await Promise.all(paying)).size).toBe(10)
  expect(await wallets.made()).toBe(10)
})

test('after a day a key is new', async () => {
  await using wallets = await reuseWallet()
  const first = await pay(wallets.wallet, 'k', 1)
  await wallets.sql`update idempotency_keys set created_at = now() - interval '23 hours'`
  expect((await pay(wallets.wallet, 'k', 1)).body.id).toBe(first.body.id as string)
  await wallets.sql`update idempotency_keys set created_at = now() - interval '25 hours'`
  const second = await pay(wallets.wallet, 'k', 1)
  expect(second.status).toBe(201)
  expect(second.body.id).not.toBe(first.body.id)
  expect(await wallets.made()).toBe(2)
})

const memberOf = (name: string, { body }: { body: Record<string, unknown> }) => String(body[name])

/** Sends bytes as they are, and answers with what comes back. */
async function sendRaw(port: number, text: string): Promise<{ status: number; replayed: boolean }> {
  const answered = Promise.withResolvers<string>()
  let received = ''
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(_, bytes) {
        received += bytes.toString()
      },
      close: () => answered.resolve(received),
      error: (_, error) => answered.reject(error),
    },
  })
  socket.write(text)
  const answer = await answered.promise
  return { status: Number(answer.split(' ')[1]), replayed: /^idempotency-replayed: true/im.test(answer) }
}

const raw = (path: string, keys: string[], body: string) =>
  [
    ...[`POST ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', 'Content-Type: application/json'],
    ...[...keys.map((key) => `Idempotency-Key: ${key}`), `Content-Length: ${body.length}`, '', body],
  ].join('\r\n')

test('two keys are refused, at every POST, and nothing is done', async () => {
  await using wallets = await reuseWallet()
  const { port } = wallets.wallet
  const paying = JSON.stringify({ account_id_from: eva, account_id_to: frank, amount: 1 })
  for (const keys of [
    ['k', 'k'],
    ['k', 'l'],
    ['"k"', '"l"'],
    ['"k"', 'l'],
    ['k, l'],
    ['"k", "l"'],
    ['k', ''],
    ['', ''],
    [','],
  ])
    expect([keys, (await sendRaw(port, raw('/transactions', keys, paying))).status]).toEqual([keys, 400])
  expect((await sendRaw(port, raw('/transactions', ['"k, l"'], paying))).status).toBe(201)

  const paid = String((await pay(wallets.wallet, undefined, 1)).body.id)
  const held = await wallets.wallet.post('/holds', { account_id_from: eva, amount: 1 })
  const posts: [string, object][] = [
    ['/clients', { name: 'Grace', email: 'grace@example.com' }],
    ['/accounts', { client_id: (await wallets.wallet.get(`/accounts/${eva}`)).body.client_id }],
    ['/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }],
    ['/transactions/batch', { transactions: [{ account_id_from: eva, account_id_to: frank, amount: 1 }] }],
    [`/accounts/${eva}/deposits`, { amount: 1 }],
    [`/accounts/${eva}/withdrawals`, { amount: 1 }],
    [`/transactions/${paid}/reverse`, {}],
    ['/holds', { account_id_from: eva, amount: 1 }],
    [`/holds/${held.body.id}/capture`, {}],
    [`/holds/${held.body.id}/release`, {}],
  ]
  const counts = () => wallets.sql`
    select (select count(*) from clients) as clients, (select count(*) from accounts) as accounts`
  const before = await counts()
  for (const [path, body] of posts)
    for (const key of ['', '""', 'a, b', 'x'.repeat(256), 'é'])
      expect([path, key, await wallets.wallet.post(path, body, { 'idempotency-key': key })]).toMatchObject([
        path,
        key,
        { status: 400, body: { code: 'MALFORMED' } },
      ])
  expect(await wallets.made()).toBe(2)
  expect([...(await counts())]).toEqual([...before])
})

test('the same request is the same, however it is written', async () => {
  await using wallets = await reuseWallet()
  const { wallet } = wallets
  const [EVA, FRANK] = [eva.toUpperCase(), frank.toUpperCase()]
  const encoded = eva.replaceAll('-', '%2D')
  const at = '2026-01-31T23:00:00.000Z'
  const paid = String((await pay(wallet, undefined, 10)).body.id)
  const [one, other] = await Promise.all(
    [1, 2].map(async () =>
      String((await wallet.post('/holds', { account_id_from: eva, amount: 1 })).body.id),
    ),
  )
  const upper = (id: string | undefined) => String(id).toUpperCase()
  const same: [first: [string, object], ...others: [string, object][]][] = [
    [
      ['/transactions', { account_id_from: eva, account_id_to: frank, amount: 10 }],
      ['/transactions', { amount: '10.00', account_id_to: FRANK, account_id_from: EVA, currency: 'BRL' }],
      [
        '/transactions/',
        { account_id_from: eva, account_id_to: frank, amount: 10.0, reference: null, metadata: null },
      ],
    ],
    [
      [
        `/accounts/${eva}/deposits`,
        { amount: 1, effective_at: at, metadata: { a: 1, b: { c: 1, d: null } } },
      ],
      [
        `/accounts/${EVA}/deposits`,
        { effective_at: '2026-01-31T20:00:00-03:00', amount: '1', metadata: { b: { d: null, c: 1 }, a: 1 } },
      ],
      [
        `/accounts/${eva}/deposits/`,
        { amount: 1, effective_at: at, metadata: { a: 1, b: { c: 1, d: null } } },
      ],
      [
        `/accounts/${encoded}/deposits`,
        { amount: 1, effective_at: at, metadata: { a: 1, b: { c: 1, d: null } } },
      ],
    ],
    [
      [`/accounts/${EVA}/withdrawals/`, { amount: 1 }],
      [`/accounts/${eva}/withdrawals`, { amount: '1.0' }],
    ],
    [
      ['/holds', { account_id_from: eva, amount: 1 }],
      ['/holds/', { account_id_from: EVA, amount: '1', currency: 'BRL' }],
    ],
    [
      [`/holds/${one}/capture`, {}],
      [`/holds/${upper(one)}/capture/`, { reference: null }],
    ],
    [
      [`/holds/${upper(other)}/release`, {}],
      [`/holds/${other}/release`, {}],
    ],
    [
      [`/transactions/${upper(paid)}/reverse`, { amount: 1 }],
      [`/transactions/${paid}/reverse/`, { amount: '1.00' }],
    ],
    [
      ['/transactions/batch', { transactions: [{ account_id_from: eva, account_id_to: frank, amount: 1 }] }],
      [
        '/transactions/batch/',
        {
          mode: 'atomic',
          transactions: [{ kind: 'transfer', amount: '1', account_id_to: FRANK, account_id_from: EVA }],
        },
      ],
    ],
  ]
  for (const [index, [first, ...others]] of same.entries()) {
    const headers = { 'idempotency-key': `"same ${index}"` }
    const answer = await wallet.post(...first, headers)
    expect([first, answer.headers.get('idempotency-replayed')]).toEqual([first, null])
    expect([first, answer.status < 300]).toEqual([first, true])
    for (const [path, body] of [first, ...others]) {
      const again = await wallet.post(path, body, { 'idempotency-key': `same ${index}` })
      expect([path, again.status, again.body]).toEqual([path, answer.status, answer.body])
      expect(again.headers.get('idempotency-replayed')).toBe('true')
    }
  }
})

test('another amount, account, currency, time, reference or kind is another request', async () => {
  await using wallets = await reuseWallet()
  const asked = { account_id_from: eva, account_id_to: frank, amount: 10 }
  const send = (body: object) => wallets.wallet.post('/transactions', body, { 'idempotency-key': 'k' })
  expect((await send(asked)).status).toBe(201)
  for (const more of [
    { amount: 10.01 },
    { account_id_to: eva, account_id_from: frank },
    { currency: 'USD' },
    { effective_at: '2026-01-31T00:00:00Z' },
    { reference: 'x' },
    { metadata: {} },
  ])
    expect([more, await send({ ...asked, ...more })]).toMatchObject([
      more,
      { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } },
    ])
  expect(await wallets.made()).toBe(1)
})

test('a key is found before the clock is looked at, at every route', async () => {
  await using wallets = await reuseWallet()
  const { wallet, sql } = wallets
  const soon = new Date(Date.now() + 1500).toISOString()
  const placing = { account_id_from: eva, amount: 1, expires_at: soon }
  const key = { 'idempotency-key': 'soon over' }
  const placed = await wallet.post('/holds', placing, key)
  expect(placed.status).toBe(201)
  await eventually(async () => {
    expect((await wallet.get(`/holds/${placed.body.id}`)).body.status).toBe('expired')
  })
  const again = await wallet.post('/holds', placing, key)
  expect([again.status, again.body, again.headers.get('idempotency-replayed')]).toEqual([
    201,
    placed.body,
    'true',
  ])
  expect(await wallet.post('/holds', { ...placing, amount: 2 }, key)).toMatchObject({
    body: { code: 'IDEMPOTENCY_KEY_REUSED' },
  })
  // Without it, or with another one, it is a request of its own.
  for (const headers of [{}, { 'idempotency-key': 'another' }])
    expect(await wallet.post('/holds', placing, headers as Record<string, string>)).toMatchObject({
      status: 422,
      body: { code: 'VALIDATION', errors: [{ pointer: '#/expires_at' }] },
    })
  expect(Number((await sql`select count(*) from holds`)[0]?.count)).toBe(1)
})

test('a hold without a time to expire is the same request at any time', async () => {
  await using wallets = await reuseWallet()
  const place = () =>
    wallets.wallet.post('/holds', { account_id_from: eva, amount: 1 }, { 'idempotency-key': 'k' })
  const first = await place()
  expect(Date.parse(String(first.body.expires_at)) - Date.parse(String(first.body.created_at))).toBe(
    7 * 86_400_000,
  )
  expect((await place()).body).toEqual(first.body)
})

test('clients and accounts are made once under a key, and answered as they were', async () => {
  await using wallets = await reuseWallet()
  const { wallet, sql } = wallets
  const grace = { name: 'Olivia', email: 'olivia@example.com' }
  const client = await wallet.post('/clients', grace, { 'idempotency-key': 'k' })
  const clientAgain = await wallet.post(
    '/clients/',
    { email: grace.email, name: grace.name },
    { 'idempotency-key': '"k"' },
  )
  expect([clientAgain.status, clientAgain.body]).toEqual([201, client.body])
  expect(clientAgain.headers.get('location')).toBe(client.headers.get('location'))
  expect(clientAgain.headers.get('idempotency-replayed')).toBe('true')
  expect(client.headers.get('idempotency-replayed')).toBeNull()
  expect(
    await wallet.post('/clients', { ...grace, name: 'Heidi' }, { 'idempotency-key': 'k' }),
  ).toMatchObject({
    status: 422,
    body: { code: 'IDEMPOTENCY_KEY_REUSED' },
  })

  const opening = { client_id: client.body.id }
  const account = await wallet.post('/accounts', opening, { 'idempotency-key': 'k' })
  expect(account).toMatchObject({ status: 201, body: { balance: 0, version: 0 } })
  expect((await wallet.post(`/accounts/${account.body.id}/deposits`, { amount: 5 })).status).toBe(201)
  const written = {
    client_id: String(client.body.id).toUpperCase(),
    currency: 'BRL',
    overdraft_limit: '0.00',
  }
  for (const body of [opening, written]) {
    const again = await wallet.post('/accounts', body, { 'idempotency-key': 'k' })
    expect([again.status, again.body]).toEqual([201, account.body])
    expect(again.headers.get('location')).toBe(account.headers.get('location'))
    expect(again.headers.get('idempotency-replayed')).toBe('true')
  }
  for (const more of [{ currency: 'USD' }, { overdraft_limit: 1 }])
    expect((await wallet.post('/accounts', { ...opening, ...more }, { 'idempotency-key': 'k' })).status).toBe(
      422,
    )

  const unregistered = { client_id: crypto.randomUUID() }
  for (const replayed of [null, 'true']) {
    const refused = await wallet.post('/accounts', unregistered, { 'idempotency-key': 'unregistered' })
    expect(refused).toMatchObject({ status: 404, body: { code: 'CLIENT_NOT_FOUND' } })
    expect(refused.headers.get('idempotency-replayed')).toBe(replayed)
  }
  expect(Number((await sql`select count(*) from personal_data where name = 'Olivia'`)[0]?.count)).toBe(1)
  expect(
    Number((await sql`select count(*) from accounts where client_id = ${memberOf('id', client)}`)[0]?.count),
  ).toBe(1)
  await expectSoundLedger(wallets)
})

test('fifty at once under one key, at three wallets, make one client and one account', async () => {
  await using wallets = await startWallets(3)
  const clientId = memberOf('client_id', await wallets.wallet.get(`/accounts/${eva}`))
  for (const [path, body] of [
    ['/clients', { name: 'Grace', email: 'grace@example.com' }],
    ['/accounts', { client_id: clientId, currency: 'USD' }],
  ] as const) {
    const post = (index: number) =>
      (wallets.callers[index % 3] as Caller).post(path, body, { 'idempotency-key': 'once' })
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => post(index)))
    const made = answers.filter(({ status }) => status === 201)
    const early = answers.filter(
      ({ status, body }) => status === 409 && body.code === 'IDEMPOTENCY_IN_PROGRESS',
    )
    expect(made.length + early.length).toBe(50)
    expect(new Set(made.map((answer) => answer.body.id)).size).toBe(1)
    expect(made.filter((answer) => !answer.headers.get('idempotency-replayed')).length).toBe(1)
  }
  expect(Number((await wallets.sql`select count(*) from clients`)[0]?.count)).toBe(11)
  expect(
    Number(
      (await wallets.sql`select count(*) from accounts where currency = 'USD' and client_id is not null`)[0]
        ?.count,
    ),
  ).toBe(1)
})

test('a caller that retries through cut connections registers one client', async () => {
  await using wallets = await startWallets()
  const registering = Array.from({ length: 10 }, async (_, index) => {
    for (;;) {
      const client = { name: `Grace ${index}`, email: 'grace@example.com' }
      const answer = await wallets.wallet.post('/clients', client, { 'idempotency-key': `client ${index}` })
      if (answer.status === 201) return answer.body.id
    }
  })
  for (let cut = 0; cut < 20; cut++) {
    await wallets.cutConnections()
    await new Promise(setImmediate)
  }
  expect(new Set(await Promise.all(registering)).size).toBe(10)
  expect(Number((await wallets.sql`select count(*) from clients`)[0]?.count)).toBe(20)
})

test('keys of the version before are still known', async () => {
  await using wallets = await reuseWallet()
  const body = { account_id_from: eva, account_id_to: frank, amount: 10, currency: 'BRL' }
  const first = await wallets.wallet.post('/transactions', body, { 'idempotency-key': 'k' })
  const former = fingerprint('POST /transactions', { ...body, kind: 'transfer' })
  await wallets.sql`update idempotency_keys set fingerprint = ${former}`
  const again = await wallets.wallet.post('/transactions', body, { 'idempotency-key': 'k' })
  expect([again.status, again.body.id]).toEqual([201, first.body.id])
  expect(
    (await wallets.wallet.post('/transactions', { ...body, amount: 11 }, { 'idempotency-key': 'k' })).status,
  ).toBe(422)
})

test('keys whose scope was written in another way are found after the migration', async () => {
  await using wallets = await reuseWallet()
  const path = `/accounts/${eva.toUpperCase()}/deposits/`
  const deposit = () => wallets.wallet.post(path, { amount: 1 }, { 'idempotency-key': 'k' })
  const first = await deposit()
  const scope = `POST ${path}`
  const body = { amount: 1, kind: 'deposit', account_id_from: null, account_id_to: eva.toUpperCase() }
  await wallets.sql`update idempotency_keys set scope = ${scope}, fingerprint = ${fingerprint(scope, body)}`
  await wallets.sql`
    insert into idempotency_keys (scope, key, fingerprint, outcomes, created_at)
    select ${`POST /accounts/${eva}/deposits`}, key, fingerprint, outcomes, now() from idempotency_keys`
  await wallets.sql.unsafe(
    await Bun.file(join(import.meta.dir, '../../../migrations/wallet/0010_canonical_scopes.sql')).text(),
  )
  expect([...(await wallets.sql`select scope from idempotency_keys`)]).toEqual([
    { scope: `POST /accounts/${eva}/deposits` },
  ])
  const again = await deposit()
  expect([again.status, again.body.id]).toEqual([201, first.body.id])
  expect(await wallets.made()).toBe(1)
})
