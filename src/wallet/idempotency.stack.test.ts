import { expect, setDefaultTimeout, test } from 'bun:test'
import type { Caller } from '../testing/stack'
import { eva, frank, startWallets } from '../testing/wallets'

setDefaultTimeout(60_000)

const pay = (caller: Caller, key: string | undefined, amount: number, more = {}) =>
  caller.post(
    '/transactions',
    { account_id_from: eva, account_id_to: frank, amount, ...more },
    key === undefined ? {} : { 'idempotency-key': key },
  )

test('the same request under the same key moves money once, and gets the same answer', async () => {
  await using wallets = await startWallets()
  const first = await pay(wallets.wallet, '"order-7"', 100)
  expect(first.status).toBe(201)
  expect(first.headers.get('idempotency-replayed')).toBeNull()
  // Bare or quoted, and whatever the order of the members, it is the same key and the same request.
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
  await using wallets = await startWallets()
  const first = await pay(wallets.wallet, 'too-much', 900)
  expect(first).toMatchObject({ status: 422, body: { code: 'INSUFFICIENT_FUNDS' } })
  await wallets.wallet.post('/transactions', { account_id_from: frank, account_id_to: eva, amount: 500 })
  const again = await pay(wallets.wallet, 'too-much', 900)
  expect(again).toMatchObject({ status: 422, body: { code: 'INSUFFICIENT_FUNDS' } })
  expect(again.headers.get('idempotency-replayed')).toBe('true')
  expect((await pay(wallets.wallet, 'too-much, second try', 900)).status).toBe(201)
})

test('a key that was used for another request is refused, and stands for the first one still', async () => {
  await using wallets = await startWallets()
  await pay(wallets.wallet, 'k', 100)
  expect(await pay(wallets.wallet, 'k', 101)).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  expect(await pay(wallets.wallet, 'k', 100)).toMatchObject({ status: 201 })
  expect(await wallets.made()).toBe(1)
})

test('the same key on another path, or for another account, is another key', async () => {
  await using wallets = await startWallets()
  const deposit = (id: string) =>
    wallets.wallet.post(`/accounts/${id}/deposits`, { amount: 1 }, { 'idempotency-key': 'k' })
  for (const id of [eva, frank]) expect((await deposit(id)).headers.get('idempotency-replayed')).toBeNull()
  expect((await deposit(eva)).headers.get('idempotency-replayed')).toBe('true')
  expect((await pay(wallets.wallet, 'k', 1)).status).toBe(201)
  expect(await wallets.made()).toBe(3)
})

test('a request that cannot be read uses up no key', async () => {
  await using wallets = await startWallets()
  expect((await pay(wallets.wallet, 'k', 0.001)).status).toBe(422)
  expect((await pay(wallets.wallet, 'k', 100)).status).toBe(201)
})

test.each(['', '""', 'x'.repeat(256)])('%p is no key, and nothing moves', async (key) => {
  await using wallets = await startWallets()
  expect(await pay(wallets.wallet, key, 1)).toMatchObject({ status: 400, body: { code: 'MALFORMED' } })
  expect(await wallets.made()).toBe(0)
})

test('without a key, equal requests are different payments', async () => {
  await using wallets = await startWallets()
  await Promise.all([pay(wallets.wallet, undefined, 1), pay(wallets.wallet, undefined, 1)])
  expect(await wallets.made()).toBe(2)
})

test('fifty at once under one key, at three wallets, move money once; whoever is early is told to come back', async () => {
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

test('whoever repeats until there is an answer pays once, whatever happens to the connections', async () => {
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
  await using wallets = await startWallets()
  const first = await pay(wallets.wallet, 'k', 1)
  await wallets.sql`update idempotency_keys set created_at = now() - interval '23 hours'`
  expect((await pay(wallets.wallet, 'k', 1)).body.id).toBe(first.body.id as string)
  await wallets.sql`update idempotency_keys set created_at = now() - interval '25 hours'`
  const second = await pay(wallets.wallet, 'k', 1)
  expect(second.status).toBe(201)
  expect(second.body.id).not.toBe(first.body.id)
  expect(await wallets.made()).toBe(2)
})
