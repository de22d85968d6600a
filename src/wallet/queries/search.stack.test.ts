import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { eventually } from '../../testing/eventually'
import { reuseWallet } from '../../testing/reuse'
import { type Caller, startStack } from '../../testing/stack'
import { eva, frank, world } from '../../testing/wallets'

type Row = Record<string, unknown> & { id: string; created_at: string }
type Page = { data: Row[]; next_cursor: string | null }
type Query = Record<string, string>

const search = async (wallet: Caller, query: Query): Promise<Page> => {
  const { status, body } = await wallet.get(`/transactions?${new URLSearchParams(query)}`)
  expect([query, status]).toEqual([query, 200])
  return body as Page
}

const idsOf = ({ data }: Pick<Page, 'data'>) => data.map(({ id }) => id)
const idsFor = async (wallet: Caller, query: Query) => idsOf(await search(wallet, query))

async function walk(wallet: Caller, query: Query, between: () => Promise<unknown> = async () => {}) {
  const rows: Row[] = []
  for (let next: Query | undefined = query; next; ) {
    const page: Page = await search(wallet, next)
    rows.push(...page.data)
    next = page.next_cursor === null ? undefined : { ...query, cursor: page.next_cursor }
    await between()
  }
  return rows
}

const pay = async (wallet: Caller, more: object = {}): Promise<string> => {
  const body = { account_id_from: eva, account_id_to: frank, amount: 0.01, ...more }
  const { status, body: made } = await wallet.post('/transactions', body)
  expect([more, status]).toEqual([more, 201])
  return made.id as string
}

test('a reference is found exactly, newest first, in pages, while others are written', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const made: string[] = []
  for (let index = 0; index < 1000; index += 500) {
    const transactions = Array.from({ length: 500 }, (_, at) => ({
      account_id_from: eva,
      account_id_to: frank,
      amount: 0.01,
      reference: 'rent',
      metadata: { month: (index + at) % 12 },
    }))
    const { body } = await wallet.post('/transactions/batch', { transactions })
    made.push(...(body.results as { transaction: Row }[]).map(({ transaction }) => transaction.id))
  }
  for (let index = 0; index < 5; index++) made.push(await pay(wallet, { reference: 'rent' }))
  await pay(wallet, { reference: 'Rent' })
  await pay(wallet, { reference: 'rent ' })

  const rows = await walk(wallet, { reference: 'rent', limit: '97' }, () =>
    pay(wallet, { reference: 'rent' }),
  )
  expect(new Set(idsOf({ data: rows }))).toEqual(new Set(made))
  expect(rows).toHaveLength(made.length)
  const order = rows.map(({ created_at, id }) => `${created_at} ${id}`)
  expect(order).toEqual(order.toSorted().toReversed())
  const ofMay = await walk(wallet, { reference: 'rent', 'metadata.month': '5', limit: '10' })
  expect(ofMay.map(({ metadata }) => metadata)).toEqual(Array.from({ length: 83 }, () => ({ month: 5 })))
})

const texts = [
  '',
  'größe ✓ 😀',
  "'; drop table transactions; --",
  '%',
  '_',
  '\\',
  '"',
  '{}',
  'a&b=c+d',
  'null',
]

test('texts that mean something elsewhere are only texts', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  for (const text of texts) {
    const id = await pay(wallet, { reference: text, metadata: { [`k${text}`]: text } })
    expect([text, await idsFor(wallet, { reference: text })]).toEqual([text, [id]])
    expect([text, await idsFor(wallet, { [`metadata.k${text}`]: text })]).toEqual([text, [id]])
  }
  for (const name of ['__proto__', 'constructor', 'a.b', 'metadata.x', '0'])
    expect([name, await idsFor(wallet, { [`metadata.${name}`]: 'x' })]).toEqual([name, []])
  const odd = await pay(wallet, { metadata: JSON.parse('{"__proto__":"x","a.b":true,"0":1}') })
  for (const [name, value] of [
    ['__proto__', 'x'],
    ['a.b', 'true'],
    ['0', '1'],
  ])
    expect([name, await idsFor(wallet, { [`metadata.${name}`]: value ?? '' })]).toEqual([name, [odd]])
})

test('members of metadata are compared as texts, numbers and booleans, at the top only', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const number = await pay(wallet, { metadata: { order: 4711, open: true, rate: 1.5 } })
  const text = await pay(wallet, { metadata: { order: '4711', open: 'true' } })
  await pay(wallet, { metadata: { nested: { order: 4711 }, list: ['x'], nothing: null } })
  await pay(wallet, { metadata: { order: [4711], open: { true: true } } })
  const cases: [Query, string[]][] = [
    [{ 'metadata.order': '4711' }, [text, number]],
    [{ 'metadata.order': '4711', 'metadata.open': 'true' }, [text, number]],
    [{ 'metadata.order': '4711', 'metadata.rate': '1.50' }, [number]],
    [{ 'metadata.order': '4.711e3' }, [number]],
    [{ 'metadata.order': '471' }, []],
    [{ 'metadata.order': '04711' }, []],
    [{ 'metadata.order': '1e999999999' }, []],
    [{ 'metadata.order': 'NaN' }, []],
    [{ 'metadata.Order': '4711' }, []],
    [{ 'metadata.list': 'x' }, []],
    [{ 'metadata.nothing': 'null' }, []],
    [{ 'metadata.nested': '{"order":4711}' }, []],
  ]
  for (const [query, ids] of cases) expect([query, await idsFor(wallet, query)]).toEqual([query, ids])
})

test('metadata with a NUL is kept, and not searched', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const metadata = { a: 'x\0y', 'b\0': 1, c: '\\u0000' }
  const id = await pay(wallet, { metadata, reference: 'odd' })
  expect((await search(wallet, { reference: 'odd' })).data[0]).toMatchObject({ id, metadata })
  expect(await idsFor(wallet, { 'metadata.a': 'x' })).toEqual([])
})

test('filters are combined: all have to match', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const first = await pay(wallet, {
    reference: 'a',
    metadata: { shop: 'x' },
    effective_at: '2024-02-01T00:00:00Z',
  })
  const second = await pay(wallet, { reference: 'a', metadata: { shop: 'y' } })
  const deposit = (await wallet.post(`/accounts/${eva}/deposits`, { amount: 5, reference: 'a' })).body
    .id as string
  const { created_at } = (await wallet.get(`/transactions/${second}`)).body as Row
  const ofEva = 'd6a3bc81-bbd0-11ee-8a24-0242ac120003'
  const cases: [Query, string[]][] = [
    [{ reference: 'a' }, [deposit, second, first]],
    [{ reference: 'a', kind: 'deposit' }, [deposit]],
    [{ reference: 'a', account_id: frank.toUpperCase() }, [second, first]],
    [{ reference: 'a', client_id: ofEva }, [deposit, second, first]],
    [{ reference: 'a', client_id: eva }, []],
    [{ reference: 'a', 'metadata.shop': 'x' }, [first]],
    [{ 'metadata.shop': 'x', kind: 'deposit' }, []],
    [{ reference: 'a', effective_until: '2024-02-01T00:00:00.0001Z' }, [first]],
    [{ reference: 'a', effective_until: '2024-02-01T00:00:00Z' }, []],
    [{ reference: 'a', effective_since: '2024-02-01T00:00:00.0001Z' }, [deposit, second]],
    [{ reference: 'a', until: created_at }, [first]],
    [{ reference: 'a', since: created_at }, [deposit, second]],
    [{ account_id: frank, effective_since: '2024-02-01T00:00:00Z' }, [second, first]],
    [{ account_id: frank, effective_since: '2024-02-01T00:00:00Z', effective_until: created_at }, [first]],
    [{ client_id: ofEva, effective_since: created_at, kind: 'transfer' }, [second]],
  ]
  for (const [query, ids] of cases) expect([query, await idsFor(wallet, query)]).toEqual([query, ids])
})

test('the capture of a hold, and the reversals of a transaction, are found by it', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const hold = (await wallet.post('/holds', { account_id_from: eva, amount: 3 })).body.id as string
  expect(await idsFor(wallet, { hold_id: hold })).toEqual([])
  const capture = (await wallet.post(`/holds/${hold}/capture`, { amount: 2 })).body.id as string
  expect(await idsFor(wallet, { hold_id: hold.toUpperCase() })).toEqual([capture])

  const paid = await pay(wallet, { amount: 10, reference: 'paid' })
  const reverse = async (amount: number) => {
    const { status, body } = await wallet.post(`/transactions/${paid}/reverse`, { amount })
    expect([status, body.reversed]).toEqual([201, 0])
    return body.id as string
  }
  const reversals = [await reverse(2.5), await reverse(4)]
  expect(await idsFor(wallet, { reverses: paid })).toEqual(reversals.toReversed())
  const [listed] = (await search(wallet, { reference: 'paid' })).data
  expect(listed).toMatchObject({ id: paid, amount: 10, reversed: 6.5 })
  expect((await wallet.get(`/transactions/${paid}`)).body as Row).toEqual(listed as Row)
  expect((await search(wallet, { account_id: frank, limit: '3' })).data.at(-1)).toEqual(listed as Row)
})

test('postings are listed once, by each account, reference and metadata', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const grace = 'd6a41604-bbd0-11ee-8a24-0242ac120003'
  const postings = [
    { account_id_from: eva, account_id_to: frank, amount: 10 },
    { account_id_from: eva, account_id_to: frank, amount: 1 },
    { account_id_from: frank, account_id_to: eva, amount: 2 },
    { account_id_to: eva, amount: 3 },
  ]
  const body = { postings, reference: 'split', metadata: { order: 1 } }
  const made = await wallet.post('/transactions', body)
  expect(made.status).toBe(201)
  const id = made.body.id as string
  const other = await pay(wallet)
  const ofEva = 'd6a3bc81-bbd0-11ee-8a24-0242ac120003'
  const found: Query[] = [
    { reference: 'split' },
    { 'metadata.order': '1' },
    { reference: 'split', account_id: frank },
    { reference: 'split', account_id: world },
    { reference: 'split', 'metadata.order': '1', client_id: ofEva, kind: 'postings' },
    { account_id: frank, kind: 'postings' },
  ]
  for (const query of found) expect([query, await idsFor(wallet, query)]).toEqual([query, [id]])
  expect(await idsFor(wallet, { reference: 'split', account_id: grace })).toEqual([])
  for (const limit of ['1', '2', '3'])
    for (const owner of [{ account_id: eva }, { account_id: frank }, { client_id: ofEva }] as Query[]) {
      const ids = idsOf({ data: await walk(wallet, { ...owner, limit }) })
      expect([owner, ids.slice(0, 2), new Set(ids).size]).toEqual([owner, [other, id], ids.length])
    }
  const reversal = (await wallet.post(`/transactions/${id}/reverse`, {})).body.id as string
  expect(await idsFor(wallet, { reverses: id })).toEqual([reversal])
  const [listed] = (await search(wallet, { reference: 'split' })).data
  expect(listed).toMatchObject({ id, kind: 'postings', reversed: 16 })
  expect(listed?.postings).toHaveLength(4)
})

test('a request under its key is answered as at first, also after a reversal', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const body = { account_id_from: eva, account_id_to: frank, amount: 1 }
  const key = { 'idempotency-key': 'once' }
  const first = await wallet.post('/transactions', body, key)
  await wallet.post(`/transactions/${first.body.id}/reverse`, {})
  expect((await wallet.post('/transactions', body, key)).body).toEqual(first.body)
})

test('in a ledger of 60,000 transactions, every search uses its index', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const { wallet } = stack
  const sql = postgres(stack.databases.wallet.url, { max: 1, onnotice: () => {} })
  try {
    await sql`alter table transactions disable trigger user`
    await sql`
      insert into transactions (id, kind, account_id_from, account_id_to, version_from, version_to,
        amount_minor, currency, reference, metadata, effective_at, created_at)
      select gen_random_uuid(), 'transfer', ${eva}, ${frank}, n, n, 1, 'BRL',
        case when n % 2 = 0 then 'order-' || n else 'bulk' end,
        json_build_object('order', n, 'channel', 'app'), now(), now()
      from generate_series(1000, 60999) as n`
    await sql`vacuum analyze transactions`
    // What this test looks up itself is not to be counted.
    await sql`set enable_seqscan = off`
    const scans = async () => {
      const rows = await sql<{ name: string; scans: bigint }[]>`
        select indexrelname as name, idx_scan::int as scans from pg_stat_user_indexes
        where relname = 'transactions'
        union all select 'none', seq_scan::int from pg_stat_user_tables where relname = 'transactions'`
      return new Map(rows.map((row) => [row.name, Number(row.scans)]))
    }
    const before = await scans()
    const queries: [index: string, query: Query, found: number][] = [
      ['transactions_reference', { reference: 'order-2000', kind: 'transfer' }, 1],
      ['transactions_metadata', { 'metadata.order': '3000', account_id: eva }, 1],
      ['transactions_metadata', { 'metadata.channel': 'app', 'metadata.order': '3000' }, 1],
      ['transactions_with_metadata', { 'metadata.channel': 'app' }, 50],
      ['transactions_hold_id', { hold_id: eva }, 0],
      ['transactions_reverses', { reverses: eva }, 0],
    ]
    for (const [, query, found] of queries)
      expect([query, (await idsFor(wallet, query)).length]).toEqual([query, found])
    await eventually(async () => {
      const after = await scans()
      const counts = queries.map(([index]) => [index, (after.get(index) ?? 0) > (before.get(index) ?? 0)])
      expect(counts).toEqual(queries.map(([index]) => [index, true]))
      // Once a search of metadata, and never to find a rare value.
      const walks = 'transactions_with_metadata'
      expect((after.get(walks) ?? 0) - (before.get(walks) ?? 0)).toBe(3)
      expect(after.get('none')).toBe(before.get('none'))
    })
    // However few of a frequent reference match, a page looks at some of them only, and the next one goes on.
    const rare = await pay(wallet, { reference: 'bulk', effective_at: '2024-02-01T00:00:00Z' })
    await sql`update transactions set created_at = '2020-01-01' where id = ${rare}`
    const [last] = await sql<{ id: string }[]>`
      update transactions set effective_at = '2024-02-02' where id = (
        select id from transactions where reference = 'bulk'
        order by created_at desc, id desc offset 9999 limit 1
      ) returning id`
    const inFebruary = { reference: 'bulk', effective_until: '2024-03-01T00:00:00Z' }
    const first = await search(wallet, inFebruary)
    expect([first.data, typeof first.next_cursor]).toEqual([[], 'string'])
    expect(idsOf({ data: await walk(wallet, { ...inFebruary, limit: '200' }) })).toEqual([
      last?.id as string,
      rare,
    ])
    expect(await idsFor(wallet, { ...inFebruary, until: '2021-01-01T00:00:00Z' })).toEqual([rare])
    // So it is with frequent metadata, and with both.
    const others: Query[] = [
      { 'metadata.channel': 'app', effective_until: '2024-03-01T00:00:00Z' },
      { 'metadata.channel': 'app', ...inFebruary },
    ]
    for (const other of others) {
      const begun = await search(wallet, other)
      expect([other, begun.data, typeof begun.next_cursor]).toEqual([other, [], 'string'])
      expect(idsOf({ data: await walk(wallet, { ...other, limit: '200' }) })).toEqual([last?.id as string])
    }
  } finally {
    await sql.end()
  }
})

const refusals: [string, number, string | undefined][] = [
  ['', 422, '#/account_id'],
  ['kind=transfer&since=2024-01-01T00:00:00Z', 422, '#/account_id'],
  ['effective_since=2024-01-01T00:00:00Z', 422, '#/account_id'],
  [`account_id=${eva}&client_id=${eva}`, 422, '#/client_id'],
  [`reference=a&account_id=${eva}&client_id=${eva}`, 422, '#/client_id'],
  ['reference=%00', 422, '#/reference'],
  [`reference=${'x'.repeat(256)}`, 422, '#/reference'],
  ['reference=a&reference=b', 422, '#/reference'],
  ['hold_id=1', 422, '#/hold_id'],
  ['reverses=', 422, '#/reverses'],
  ['reference=a&effective_until=tomorrow', 422, '#/effective_until'],
  ['metadata=x', 422, '#/metadata'],
  ['metadata.=x', 422, '#/metadata.'],
  ['metadata[order]=x', 422, '#/metadata%5Border%5D'],
  ['metadata.a=1&metadata.a=2', 422, '#/metadata.a'],
  ['metadata.a=%00', 422, '#/metadata'],
  ['metadata.%00=a', 422, '#/metadata'],
  [Array.from({ length: 11 }, (_, index) => `metadata.k${index}=1`).join('&'), 422, '#/metadata'],
  ['metadata.a=%ed%a0%80', 400, undefined],
  ['metadata.%ff=a', 400, undefined],
  ['reference=a&cursor=x', 400, undefined],
]

test('what cannot be searched for is refused, and the value named', async () => {
  await using stack = await reuseWallet()
  for (const [query, status, pointer] of refusals) {
    const answer = await stack.wallet.get(`/transactions?${query}`)
    const [first] = (answer.body.errors ?? []) as { pointer: string }[]
    expect([query, answer.status, first?.pointer]).toEqual([query, status, pointer])
  }
})

test('a cursor goes on in its own search only', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  for (let index = 0; index < 3; index++) await pay(wallet, { reference: 'a', metadata: { b: 1 } })
  const { next_cursor } = await search(wallet, { reference: 'a', limit: '1' })
  for (const other of ['reference=b', 'metadata.b=1', 'reference=a&metadata.b=1', `account_id=${eva}`]) {
    const answer = await wallet.get(`/transactions?${other}&cursor=${next_cursor}`)
    expect([other, answer.status]).toEqual([other, 400])
  }
  const rest = await search(wallet, { cursor: next_cursor ?? '', reference: 'a' })
  expect(rest.data).toHaveLength(2)
})
