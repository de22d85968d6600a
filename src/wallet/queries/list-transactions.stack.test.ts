import { expect, test } from 'bun:test'
import { encodeCursor } from '../../platform/http/cursor'
import { reuseWallet } from '../../testing/reuse'
import type { Caller } from '../../testing/stack'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

type Page = { data: { id: string; created_at: string; kind: string }[]; next_cursor: string | null }

const list = async (wallet: Caller, query: string): Promise<Page> => {
  const { status, body } = await wallet.get(`/transactions?account_id=${eva}${query}`)
  expect(status).toBe(200)
  return body as Page
}

const pay = (wallet: Caller) =>
  wallet.post('/transactions', { account_id_from: frank, account_id_to: eva, amount: 0.01 })

test('pages add up to the whole list, newest first, while transactions are added', async () => {
  await using stack = await reuseWallet()
  for (let made = 0; made < 20; made++) await pay(stack.wallet)
  const whole = await list(stack.wallet, '')
  expect(whole.data.length).toBe(24)
  expect(whole.next_cursor).toBeNull()
  expect(whole.data.map((one) => one.created_at)).toEqual(
    whole.data
      .map((one) => one.created_at)
      .toSorted()
      .reverse(),
  )

  for (const limit of [1, 5, 7, 24, 200]) {
    const seen: string[] = []
    let path: string | null = `&limit=${limit}`
    const before = (await list(stack.wallet, '&limit=200')).data.map((one) => one.id)
    while (path !== null) {
      const page: Page = await list(stack.wallet, path)
      expect(page.data.length).toBeLessThanOrEqual(limit)
      seen.push(...page.data.map((one) => one.id))
      path = page.next_cursor === null ? null : `&limit=${limit}&cursor=${page.next_cursor}`
      await pay(stack.wallet)
    }
    expect(seen).toEqual(before)
  }
})

test('the link of a page is its next one', async () => {
  await using stack = await reuseWallet()
  const first = await stack.wallet.get(`/transactions?account_id=${eva}&limit=3`)
  const [, path = ''] = /^<([^>]+)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? []
  const second = await stack.wallet.get(path)
  expect((second.body as Page).data.map((one) => one.kind)).toEqual(['deposit'])
  expect(second.headers.get('link')).toBeNull()
})

test('kind and time narrow the list', async () => {
  await using stack = await reuseWallet()
  const count = async (query: string) => (await list(stack.wallet, query)).data.length
  expect(await count('&kind=deposit')).toBe(1)
  expect(await count('&kind=withdrawal')).toBe(0)
  expect(await count('&since=2024-01-27T17:13:48Z')).toBe(2)
  expect(await count('&since=2024-01-27T17:13:48.001Z')).toBe(1)
  expect(await count('&until=2024-01-27T17:13:48Z')).toBe(2)
  expect(await count('&kind=transfer&since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00%2B01:00')).toBe(1)
})

const refusals = [
  ['', 422],
  ['?account_id=eva', 422],
  [`?account_id=${eva}&limit=0`, 422],
  [`?account_id=${eva}&limit=201`, 422],
  [`?account_id=${eva}&kind=theft`, 422],
  [`?account_id=${eva}&since=yesterday`, 422],
  [`?account_id=${eva}&since=2024-13-01T00:00:00Z`, 422],
  [`?account_id=${eva}&sort=amount`, 422],
  [`?account_id=${eva}&cursor=nonsense`, 400],
] as const

test('what cannot be asked for is refused', async () => {
  await using stack = await reuseWallet()
  for (const [query, status] of refusals) {
    const answer = await stack.wallet.get(`/transactions${query}`)
    expect([query, answer.status]).toEqual([query, status])
  }
})

test('a cursor that somebody made up is refused, sealed or not', async () => {
  await using stack = await reuseWallet()
  const positions = [
    '',
    'x',
    `${eva}:5`,
    `${eva}:5,${frank}:7`,
    `0:${eva}:`,
    `0:${eva}:1e3`,
    `0:${eva}:-1`,
    '0:eva:1',
  ]
  positions.push(
    `0:${eva}:${'9'.repeat(30)}`,
    `999999999999999:${eva}:1`,
    `-99999999999999:${eva}:1`,
    `:${eva}:1`,
  )
  for (const position of positions) {
    const cursor = encodeCursor(position, { account_id: eva })
    const answer = await stack.wallet.get(`/transactions?account_id=${eva}&cursor=${cursor}`)
    expect([position, answer.status]).toEqual([position, 400])
    expect(answer.body.detail).toContain('restart without one')
  }
})

test('a cursor does not go on in a list with another filter', async () => {
  await using stack = await reuseWallet()
  const { next_cursor } = await list(stack.wallet, '&limit=1')
  const other = await stack.wallet.get(`/transactions?account_id=${frank}&limit=1&cursor=${next_cursor}`)
  expect(other).toMatchObject({
    status: 400,
    body: { code: 'MALFORMED', detail: expect.stringContaining('another filter') },
  })
  expect((await list(stack.wallet, `&limit=2&cursor=${next_cursor}`)).data.length).toBe(2)
})

test('the list of a client with many accounts comes in pages whose cursors stay short', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const client = (await wallet.post('/clients', { name: 'Many', email: 'many@example.com' })).body.id
  const open = async () => (await wallet.post('/accounts', { client_id: client })).body.id as string
  const accounts = await Promise.all(Array.from({ length: 300 }, open))
  // In one batch, so that many have the same time, and several of an account.
  const deposits = [...accounts, ...accounts.slice(0, 50)].map((id) => ({
    kind: 'deposit',
    account_id_to: id,
    amount: 9,
  }))
  expect((await wallet.post('/transactions/batch', { transactions: deposits })).status).toBe(201)
  const between = accounts
    .slice(1)
    .map((id, index) => ({ account_id_from: id, account_id_to: accounts[index], amount: 1 }))
  expect((await wallet.post('/transactions/batch', { transactions: between })).status).toBe(201)

  const list = async (query: string) =>
    (await wallet.get(`/transactions?client_id=${client}${query}`)).body as Page
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: Page = await list(`&limit=97${cursor && `&cursor=${cursor}`}`)
    seen.push(...page.data.map(({ id }) => id))
    cursor = page.next_cursor
    expect(cursor?.length ?? 0).toBeLessThan(200)
    await wallet.post(`/accounts/${accounts[0]}/deposits`, { amount: 1 })
  }
  expect(seen).toHaveLength(300 + 50 + 299)
  expect(new Set(seen).size).toBe(seen.length)
})

test.each([1, 2, 3, 5])(
  'what moves between accounts of one client is listed once, in pages of %d',
  async (limit) => {
    await using stack = await reuseWallet()
    const { wallet } = stack
    const client = (await wallet.post('/clients', { name: 'Ana', email: 'ana@example.com' })).body
      .id as string
    const open = async () =>
      (await wallet.post('/accounts', { client_id: client, overdraft_limit: 1000 })).body.id as string
    const [one, two, three] = [await open(), await open(), await open()]
    const pairs = [
      [one, two],
      [two, one],
      [three, one],
      [one, three],
      [two, three],
      [three, two],
    ] as const
    for (const [account_id_from, account_id_to] of [...pairs, ...pairs])
      await wallet.post('/transactions', { account_id_from, account_id_to, amount: 1 })
    const transactions = pairs.map(([account_id_from, account_id_to]) => ({
      account_id_from,
      account_id_to,
      amount: 1,
    }))
    await wallet.post('/transactions/batch', { transactions })

    // The letter case of an id makes no other list.
    const whose = [client, client.toUpperCase()]
    const whole = (await wallet.get(`/transactions?client_id=${client}`)).body as Page
    expect(whole.data).toHaveLength(18)
    const seen: string[] = []
    let query: string | null = ''
    for (let page = 0; query !== null; page++) {
      const { body } = await wallet.get(`/transactions?client_id=${whose[page % 2]}&limit=${limit}${query}`)
      seen.push(...(body as Page).data.map(({ id }) => id))
      query = (body as Page).next_cursor && `&cursor=${(body as Page).next_cursor}`
    }
    expect(seen).toEqual(whole.data.map(({ id }) => id))
  },
)

const batch = async (wallet: Caller, transactions: object[]) => {
  expect((await wallet.post('/transactions/batch', { transactions })).status).toBe(201)
}

/** Pages of at most `limit`, and whether there were more of them than rows demand. */
async function pagesOf(wallet: Caller, query: string): Promise<Page[]> {
  const pages: Page[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { status, body } = await wallet.get(`/transactions?${query}${cursor && `&cursor=${cursor}`}`)
    expect(status).toBe(200)
    pages.push(body as Page)
    cursor = (body as Page).next_cursor
  }
  return pages
}

test('rare transactions of a long history are found, in pages that read a bounded part of it', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const withdraw = async () =>
    (await wallet.post(`/accounts/${eva}/withdrawals`, { amount: 1 })).body.id as string
  const deposits = Array.from({ length: 1000 }, () => ({ kind: 'deposit', account_id_to: eva, amount: 0.01 }))
  const rare = [await withdraw()]
  await batch(wallet, deposits)
  // The last of the 5,000 entries that a page looks at.
  rare.unshift(await withdraw())
  for (let sent = 0; sent < 4; sent++) await batch(wallet, deposits)
  await batch(wallet, deposits.slice(1))
  const pages = await pagesOf(wallet, `account_id=${eva}&kind=withdrawal`)
  expect(pages.map(({ data }) => data.map(({ id }) => id))).toEqual([
    [rare[0] as string],
    [rare[1] as string],
  ])
  const none = await pagesOf(wallet, `account_id=${eva}&kind=capture`)
  expect(none.map(({ data }) => data)).toEqual([[], []])
  const all = await pagesOf(wallet, `account_id=${eva}&limit=200`)
  expect(all.flatMap(({ data }) => data)).toHaveLength(5999 + 2 + 4)
  expect(all).toHaveLength(31)
})

test('a period has the transactions of the whole list that were written in it', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  for (let made = 0; made < 30; made++) await pay(wallet)
  const owners = [`account_id=${eva}`, 'client_id=d6a3bc81-bbd0-11ee-8a24-0242ac120003']
  const whole = (await list(wallet, '&limit=200')).data
  const times = whole.map(({ created_at }) => created_at)
  const bounds = [...times.map(Date.parse), ...times.map((time) => Date.parse(time) + 0.5), 0]
  // Bounds may be finer than a millisecond.
  const written = (ms: number) => new Date(ms).toISOString().replace('Z', ms % 1 ? '5Z' : 'Z')
  for (let tried = 0; tried < 60; tried++) {
    const since = bounds.at(-1 - (tried % bounds.length)) ?? 0
    const until = bounds[(tried * 7) % bounds.length] ?? 0
    const expected = whole.filter(
      ({ created_at }) => Date.parse(created_at) >= since && Date.parse(created_at) < until,
    )
    const period = `since=${written(since)}&until=${written(until)}`
    const query = `${owners[tried % 2]}&${period}&limit=${1 + (tried % 9)}`
    const pages = await pagesOf(wallet, query)
    expect([query, pages.flatMap(({ data }) => data.map(({ id }) => id))]).toEqual([
      query,
      expected.map(({ id }) => id),
    ])
  }
})
