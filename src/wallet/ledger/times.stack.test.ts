/**
 * Times in requests: what is none is refused before anything is done, and what is one is kept as it
 * was sent.
 */
import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { reuseWallet } from '../../testing/reuse'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'
const move = { account_id_from: frank, account_id_to: eva, amount: 0.01 }

const none = [
  '0000-06-01T00:00:00Z',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '2026-02-29T00:00:00Z',
  '2024-02-30T00:00:00Z',
  '2024-13-01T00:00:00Z',
  '2024-01-01T24:00:00Z',
  '2016-12-31T23:59:60Z',
  '2024-01-01T00:00:00+24:00',
  '2024-01-01 00:00:00Z',
  '2024-01-01T00:00Z',
  'yesterday',
]

test('every route rejects a time that does not exist, names its member, and moves nothing', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const placed = await wallet.post('/holds', { account_id_from: frank, amount: 1 })
  const moved = await wallet.post('/transactions', move)
  const posts = [
    ['/transactions', { ...move }, 'effective_at'],
    [`/accounts/${eva}/deposits`, { amount: 1 }, 'effective_at'],
    [`/accounts/${eva}/withdrawals`, { amount: 1 }, 'effective_at'],
    [`/transactions/${moved.body.id}/reverse`, {}, 'effective_at'],
    [`/holds/${placed.body.id}/capture`, {}, 'effective_at'],
    ['/holds', { account_id_from: frank, amount: 1 }, 'expires_at'],
  ] as const
  const before = await wallet.get(`/transactions?account_id=${eva}`)
  for (const time of none) {
    for (const [path, body, name] of posts) {
      const answer = await wallet.post(path, { ...body, [name]: time })
      expect([path, time, answer.status]).toEqual([path, time, 422])
      expect(answer.body.errors).toMatchObject([{ pointer: `#/${name}` }])
    }
    for (const name of ['since', 'until']) {
      const answer = await wallet.get(`/transactions?account_id=${eva}&${name}=${encodeURIComponent(time)}`)
      expect([name, time, answer.status]).toEqual([name, time, 422])
      expect(answer.body.errors).toMatchObject([{ pointer: `#/${name}` }])
    }
    for (const mode of ['atomic', 'best_effort']) {
      const transactions = [move, { ...move, effective_at: time }, move, { ...move, effective_at: time }]
      const answer = await wallet.post('/transactions/batch', { mode, transactions })
      expect([mode, time, answer.status]).toEqual([mode, time, 422])
      expect(answer.body.errors).toMatchObject(
        [1, 3].map((at) => ({ pointer: `#/transactions/${at}/effective_at` })),
      )
    }
  }
  expect((await wallet.get(`/transactions?account_id=${eva}`)).body).toEqual(before.body)
})

test.each(['0001-01-01T00:00:00Z', '0099-12-31t23:59:59.5z'])(
  '%s is a time, though no account is as old',
  async (time) => {
    await using stack = await reuseWallet()
    const moved = await stack.wallet.post('/transactions', { ...move, effective_at: time })
    expect([moved.status, moved.body.code]).toEqual([422, 'EFFECTIVE_BEFORE_OPENING'])
  },
)

test.each([
  ['2023-12-31t23:59:59.5z', '2023-12-31T23:59:59.500Z'],
  ['2024-02-29T23:59:59.120000+05:30', '2024-02-29T18:29:59.120Z'],
])('%s is kept, and shown whenever it is asked for', async (time, shown) => {
  await using stack = await reuseWallet()
  const owner = postgres(stack.databases.wallet.url, { max: 1 })
  // No payment counts from before its accounts were opened.
  await owner`update accounts set created_at = '0001-01-01T00:00:00Z'`
  await owner.end()
  const moved = await stack.wallet.post('/transactions', { ...move, effective_at: time })
  expect([moved.status, moved.body.effective_at]).toEqual([201, shown])
  const { body } = await stack.wallet.get(`/transactions/${moved.body.id}`)
  expect(body.effective_at).toBe(shown)
})

test('a time that is to be kept is refused rather than cut', async () => {
  await using stack = await reuseWallet()
  const answer = await stack.wallet.post('/transactions', {
    ...move,
    effective_at: '2024-01-01T00:00:00.1234Z',
  })
  expect(answer).toMatchObject({
    status: 422,
    body: {
      errors: [{ pointer: '#/effective_at', detail: 'effective_at must not be finer than a millisecond' }],
    },
  })
})

test('the limits of a list hold to any number of digits, and at the ends of the calendar', async () => {
  await using stack = await reuseWallet()
  const list = async (query: string) => {
    const { status, body } = await stack.wallet.get(`/transactions?account_id=${eva}&${query}`)
    expect([query, status]).toEqual([query, 200])
    return (body.data as object[]).length
  }
  // The seed has one at exactly this time, and one later.
  const time = '2024-01-27T17:13:48'
  expect(await list(`since=${time}Z`)).toBe(2)
  expect(await list(`until=${time}Z`)).toBe(2)
  for (const digits of ['0001', '0000001', '000000000000001', '9999']) {
    expect([digits, await list(`since=${time}.${digits}Z`)]).toEqual([digits, 1])
    expect([digits, await list(`until=${time}.${digits}Z`)]).toEqual([digits, 3])
  }
  expect(await list(`since=${time}.000000000Z`)).toBe(2)
  expect(await list('since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59.9999Z')).toBe(4)
  expect(await list('since=9999-12-31T23:59:59.9999Z')).toBe(0)
  expect(await list('until=0001-01-01t00:00:00z')).toBe(0)
})
