/** Every route of both services, and a query that it does not take. */
import { expect, test } from 'bun:test'
import { type Caller, startStack } from '../../testing/stack'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const client = 'd6a3b836-bbd0-11ee-8a24-0242ac120003'
const transaction = '018d4be9-e038-7c95-a45a-035264d50b14'

const gets = {
  wallet: [
    '/clients',
    `/clients/${client}`,
    '/accounts',
    '/world-accounts',
    `/accounts/${eva}`,
    `/transactions?account_id=${eva}`,
    `/transactions/${transaction}`,
    `/transactions/${transaction}/delivery`,
    '/holds',
    `/holds/${transaction}`,
    '/asyncapi',
    '/asyncapi.json',
    '/problems/validation',
  ],
  balances: [
    '/balances',
    `/balances/${eva}`,
    `/accounts/${eva}`,
    `/balances/${eva}/statement`,
    `/balances/${eva}/explain`,
    `/balances/${eva}/stream`,
    '/balances/stream',
    '/large-movements',
    '/dead-letters',
    '/dead-letters/causes',
    '/rebuild',
    '/asyncapi',
    '/asyncapi.json',
    '/problems/validation',
  ],
} as const

const posts = {
  wallet: [
    ['/clients', { name: 'Ana', email: 'ana@example.com' }],
    ['/accounts', { client_id: client }],
    ['/transactions', { account_id_from: eva, account_id_to: frank, amount: 1 }],
    ['/transactions/batch', { transactions: [{ account_id_from: eva, account_id_to: frank, amount: 1 }] }],
    [`/transactions/${transaction}/reverse`, {}],
    [`/accounts/${eva}/deposits`, { amount: 1 }],
    [`/accounts/${eva}/withdrawals`, { amount: 1 }],
    ['/holds', { account_id_from: eva, amount: 1 }],
    [`/holds/${transaction}/capture`, {}],
    [`/holds/${transaction}/release`, {}],
  ],
  balances: [
    ['/dead-letters/redrive', { all: true }],
    ['/rebuild', {}],
  ],
} as const

const pointersOf = async (answer: ReturnType<Caller['get']>) => {
  const { status, body } = await answer
  return [status, (body.errors as { pointer: string }[] | undefined)?.map(({ pointer }) => pointer)]
}

test('unknown and repeated parameters are refused at every route, without effect', async () => {
  await using stack = await startStack()
  const holdings = async () => (await stack.wallet.get(`/accounts/${eva}`)).body
  const before = await holdings()
  for (const name of ['wallet', 'balances'] as const) {
    const caller = stack[name]
    for (const path of gets[name]) {
      const with_ = (query: string) => caller.get(`${path}${path.includes('?') ? '&' : '?'}${query}`)
      expect([path, ...(await pointersOf(with_('color=blue')))]).toEqual([path, 422, ['#/color']])
      expect([path, ...(await pointersOf(with_('color=%ff')))]).toEqual([path, 400, undefined])
      const twice = await with_('limit=1&limit=2')
      expect([path, twice.status]).toEqual([path, 422])
    }
    for (const [path, body] of posts[name])
      expect([path, ...(await pointersOf(caller.post(`${path}?dry_run=true`, body)))]).toEqual([
        path,
        422,
        ['#/dry_run'],
      ])
    for (const path of ['/livez', '/readyz', '/healthz'])
      expect([path, (await caller.get(`${path}?t=1&t=2`)).status]).toEqual([path, 200])
  }
  expect(await pointersOf(stack.wallet.get(`/accounts/${eva}?at=2024-01-31T00:00:00Z`))).toEqual([
    422,
    ['#/at'],
  ])
  const twice = `/transactions?account_id=${eva}&kind=deposit&kind=transfer`
  expect(await pointersOf(stack.wallet.get(twice))).toEqual([422, ['#/kind']])
  expect(await holdings()).toEqual(before)
  expect((await stack.balances.get('/rebuild')).body).toEqual({ state: 'none' })
  const head = await fetch(`http://127.0.0.1:${stack.balances.port}/balances?limit=1`, { method: 'HEAD' })
  expect(head.status).toBe(200)
})
