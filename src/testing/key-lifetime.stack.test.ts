/** What a key leaves behind: whose request it was, and streams that end with it. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { revokeKey, rollKey } from '../access/manage'
import { openKeys } from './api-keys'
import { eventually } from './eventually'
import { startStack } from './stack'
import { eva, frank } from './wallets'

setDefaultTimeout(60_000)

const payment = { account_id_from: eva, account_id_to: frank, amount: 1 }

test('an idempotency key belongs to the actor: not to others, and over a roll', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  await using keys = openKeys(stack.databases.wallet)
  const pay = async (header: object) => {
    const sent = { 'idempotency-key': 'order-7', ...header }
    const { status, body, headers } = await stack.wallet.post('/transactions', payment, sent)
    return { status, id: body.id, isRepeated: headers.has('idempotency-replayed') }
  }
  const shop = await keys.create({ name: 'shop' })
  const bank = await keys.create({ name: 'bank' })
  const first = await pay(shop)
  expect(first).toMatchObject({ status: 201, isRepeated: false })
  const other = await pay(bank)
  expect(other).toMatchObject({ status: 201, isRepeated: false })
  expect(other.id).not.toBe(first.id)
  expect(await pay(shop)).toEqual({ ...first, isRepeated: true })

  const { token } = await rollKey(keys.sql, 'shop', { overlapMs: 0, expiresAt: undefined })
  expect(await pay({ authorization: `Bearer ${token}` })).toEqual({ ...first, isRepeated: true })
  await eventually(async () => expect((await pay(shop)).status).toBe(401))
  const transaction = await stack.wallet.get(`/transactions/${other.id}`, bank)
  expect(transaction.body.actor).toBe('bank')
})

test('streams end when their key is revoked or expires, or one is needed, and others go on', async () => {
  await using stack = await startStack({ start: ['balances'] })
  await using keys = openKeys(stack.databases.balances)
  const ends: string[] = []
  const open = async (name: string, headers: Record<string, string>, path: string) => {
    const response = await fetch(`http://127.0.0.1:${stack.balances.port}${path}`, { headers })
    const reader = response.body?.getReader()
    expect([response.status, (await reader?.read())?.done]).toEqual([200, false])
    const drain = async () => {
      while (!(await reader?.read())?.done);
      ends.push(name)
    }
    drain().catch(() => {})
    return () => reader?.cancel()
  }
  // Before there is a key.
  await open('without a key', {}, '/balances/stream')
  const revoked = await keys.create({ name: 'revoked' })
  const kept = await keys.create()
  await open('revoked', revoked, `/balances/${eva}/stream`)
  const expiresAt = new Date(Date.now() + 10_000).toISOString()
  await open('expired', await keys.create({ expiresAt }), '/balances/stream')
  const close = await open('kept', kept, `/balances/${eva}/stream`)
  await revokeKey(keys.sql, 'revoked')
  await eventually(() => expect(ends.toSorted()).toEqual(['expired', 'revoked', 'without a key']))
  const again = await stack.balances.get(`/balances/${eva}/stream`, revoked)
  expect([again.status, again.body.code]).toEqual([401, 'KEY_REVOKED'])
  await close()
})
