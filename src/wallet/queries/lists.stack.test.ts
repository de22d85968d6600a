import { expect, test } from 'bun:test'
import postgres from 'postgres'
import { reuseWallet } from '../../testing/reuse'
import { type Caller, startStack } from '../../testing/stack'
import { eva, frank, world } from '../../testing/wallets'

type Row = Record<string, unknown> & { id: string }
type Page = { data: Row[]; next_cursor: string | null }

const list = async (wallet: Caller, path: string): Promise<Page> => {
  const { status, body } = await wallet.get(path)
  expect([path, status]).toEqual([path, 200])
  return body as Page
}

const idsOf = ({ data }: Pick<Page, 'data'>) => data.map(({ id }) => id)

/** All pages. `between` runs after each. */
async function walk(wallet: Caller, path: string, between: () => Promise<unknown> = async () => {}) {
  const rows: Row[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: Page = await list(wallet, cursor ? `${path}&cursor=${cursor}` : path)
    rows.push(...page.data)
    cursor = page.next_cursor
    await between()
  }
  return rows
}

const register = async (wallet: Caller, name: string, email = 'people@example.com') =>
  (await wallet.post('/clients', { name, email })).body.id as string

test('clients are listed in the order of their ids, each once, while others are registered', async () => {
  await using stack = await startStack({ start: ['wallet'], seed: false })
  const { wallet } = stack
  const registered = await Promise.all(
    Array.from({ length: 1203 }, (_, index) => register(wallet, `C${index}`)),
  )
  const walked = await walk(wallet, '/clients?limit=200', () => register(wallet, 'Later'))
  const ids = walked.map(({ id }) => id)
  expect(ids).toEqual(ids.toSorted())
  expect(new Set(ids).size).toBe(ids.length)
  expect(new Set(ids).isSupersetOf(new Set(registered))).toBe(true)
  expect(walked[0]).toEqual((await wallet.get(`/clients/${walked[0]?.id}`)).body as Row)
})

test('a client is found by e-mail address, in any letter case', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const twins = [
    await register(wallet, 'Zoë', 'Zoë@Example.com'),
    await register(wallet, 'Zoe', 'zoë@example.COM'),
  ]
  expect(idsOf(await list(wallet, '/clients?email=ZO%C3%8B@example.com'))).toEqual(twins.toSorted())
  expect(await list(wallet, '/clients?email=unknown@example.com')).toEqual({ data: [], next_cursor: null })
})

test('accounts are those of clients, by client and currency', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const client = await register(wallet, 'Ana')
  const open = async (currency: string) =>
    (await wallet.post('/accounts', { client_id: client, currency })).body.id as string
  const yen = [await open('JPY'), await open('JPY')]
  const reais = [await open('BRL')]

  expect(idsOf(await list(wallet, `/accounts?client_id=${client.toUpperCase()}`))).toEqual(
    [...yen, ...reais].toSorted(),
  )
  expect(idsOf(await list(wallet, '/accounts?currency=JPY'))).toEqual(yen.toSorted())
  expect(idsOf(await list(wallet, `/accounts?currency=BRL&client_id=${client}`))).toEqual(reais)
  expect((await list(wallet, '/accounts?currency=USD')).data).toEqual([])
  const all = await walk(wallet, '/accounts?limit=3')
  expect(idsOf({ data: all })).toEqual(idsOf({ data: all }).toSorted())
  expect(all).toHaveLength(13)
  expect(all.filter(({ client_id }) => client_id === null)).toEqual([])
  const ofEva = all.find(({ id }) => id === eva)
  expect(ofEva).toEqual((await wallet.get(`/accounts/${eva}`)).body as Row)
})

test('accounts are listed by status', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const client = await register(wallet, 'Ana')
  const open = async () => (await wallet.post('/accounts', { client_id: client })).body.id as string
  const [frozen, partly, closed] = [await open(), await open(), await open()]
  await wallet.post(`/accounts/${frozen}/freeze`, {})
  await wallet.post(`/accounts/${partly}/freeze`, { scope: 'debits' })
  await wallet.post(`/accounts/${closed}/close`, {})
  expect(idsOf(await list(wallet, '/accounts?status=frozen'))).toEqual([frozen])
  expect(idsOf(await list(wallet, '/accounts?status=debits_frozen&currency=BRL'))).toEqual([partly])
  expect(idsOf(await list(wallet, `/accounts?status=closed&client_id=${client}`))).toEqual([closed])
  expect((await list(wallet, '/accounts?status=open')).data).toHaveLength(10)
  await wallet.post(`/accounts/${frozen}/unfreeze`, {})
  expect((await list(wallet, '/accounts?status=frozen')).data).toEqual([])
})

test('world is listed apart, once a currency', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const client = await register(wallet, 'Ana')
  for (const currency of ['JPY', 'USD', 'JPY'])
    await wallet.post('/accounts', { client_id: client, currency })
  const all = await walk(wallet, '/world-accounts?limit=2')
  expect(all.map(({ currency }) => currency)).toEqual(['BRL', 'JPY', 'USD'])
  expect(all[0]).toEqual((await wallet.get(`/accounts/${world}`)).body as Row)
})

const place = async (wallet: Caller, account_id_from = frank) =>
  (await wallet.post('/holds', { account_id_from, amount: 0.01 })).body.id as string

test('holds are listed newest first, by payer and status, while others are placed and end', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const placed: string[] = []
  for (let made = 0; made < 30; made++) placed.push(await place(wallet, made % 3 === 0 ? eva : frank))
  const newestFirst = placed.toSorted().toReversed()
  const before = new Set(placed)
  const walked = await walk(wallet, '/holds?limit=4', async () => {
    const id = await place(wallet)
    await wallet.post(`/holds/${id}/capture`, {})
  })
  expect(idsOf({ data: walked }).filter((id) => before.has(id))).toEqual(newestFirst)
  expect(walked).toHaveLength(30)

  await wallet.post(`/holds/${placed[0]}/release`, {})
  const ofEva = newestFirst.filter((id) => placed.indexOf(id) % 3 === 0)
  expect(idsOf(await list(wallet, `/holds?account_id=${eva.toUpperCase()}`))).toEqual(ofEva)
  expect(idsOf({ data: await walk(wallet, `/holds?account_id=${eva}&status=placed&limit=2`) })).toEqual(
    ofEva.filter((id) => id !== placed[0]),
  )
  expect(idsOf(await list(wallet, '/holds?status=released'))).toEqual([placed[0] as string])
  expect((await list(wallet, `/holds?status=captured&account_id=${eva}`)).data).toEqual([])
  expect((await list(wallet, '/holds?status=released')).data[0]).toEqual(
    (await wallet.get(`/holds/${placed[0]}`)).body as Row,
  )
})

test('a hold among many of another status is found, in pages that read a bounded part of them', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const { wallet, databases } = stack
  const first = await place(wallet)
  await wallet.post(`/holds/${first}/release`, {})
  const sql = postgres(databases.wallet.url, { max: 1, onnotice: () => {} })
  try {
    await sql`alter table holds disable trigger user`
    await sql`
      insert into holds (id, account_id_from, account_id_to, amount_minor, currency, expires_at, created_at,
        status, ended_by, captured_minor, version_placed)
      select ('ffffffff-ffff-7fff-8fff-' || lpad(to_hex(n), 12, '0'))::uuid, ${frank}, ${eva}, 1, 'BRL',
        now(), now(), 'captured', gen_random_uuid(), 1, n
      from generate_series(1, 10000) as n`
  } finally {
    await sql.end()
  }
  for (const path of [`/holds?account_id=${frank}&status=released`, '/holds?status=released']) {
    const page = await list(wallet, path)
    expect([path, page.data, typeof page.next_cursor]).toEqual([path, [], 'string'])
    expect([path, idsOf({ data: await walk(wallet, path) })]).toEqual([path, [first]])
  }
  expect(await list(wallet, `/holds?account_id=${frank}&status=placed`)).toEqual({
    data: [],
    next_cursor: null,
  })
})

const refusals = [
  ['/clients?email=eva', 422, '#/email'],
  ['/clients?email=', 422, '#/email'],
  ['/clients?email=%00@example.com', 422, '#/email'],
  ['/clients?name=Eva', 422, '#/name'],
  ['/clients?limit=201', 422, '#/limit'],
  ['/accounts?client_id=eva', 422, '#/client_id'],
  ['/accounts?currency=reais', 422, '#/currency'],
  ['/accounts?currency=', 422, '#/currency'],
  ['/accounts?currency=ZZZ', 422, '#/currency'],
  ['/world-accounts?currency=BRL', 422, '#/currency'],
  ['/holds?account_id=eva', 422, '#/account_id'],
  ['/holds?status=open', 422, '#/status'],
  ["/holds?status=placed'--", 422, '#/status'],
  ['/holds?cursor=nonsense', 400, undefined],
] as const

test('what cannot be asked for is refused, and the value named', async () => {
  await using stack = await reuseWallet()
  for (const [path, status, pointer] of refusals) {
    const answer = await stack.wallet.get(path)
    const [first] = (answer.body.errors ?? []) as { pointer: string }[]
    expect([path, answer.status, first?.pointer]).toEqual([path, status, pointer])
  }
})

test('a cursor goes on in its own list and filter only', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const cursorOf = async (path: string) => (await list(wallet, path)).next_cursor
  const ofClients = await cursorOf('/clients?limit=1')
  const ofReais = await cursorOf('/accounts?limit=1&currency=BRL')
  for (const path of ['/accounts?', '/world-accounts?', '/holds?', '/clients?email=eva@email.com&'])
    expect([path, (await wallet.get(`${path}cursor=${ofClients}`)).status]).toEqual([path, 400])
  for (const path of ['/accounts?', '/accounts?currency=JPY&'])
    expect([path, (await wallet.get(`${path}cursor=${ofReais}`)).status]).toEqual([path, 400])
  expect((await wallet.get(`/accounts?currency=BRL&limit=7&cursor=${ofReais}`)).status).toBe(200)
})
