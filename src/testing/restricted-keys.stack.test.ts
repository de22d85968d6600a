/** Keys that are restricted to accounts or a client: what they may do, and that they do nothing else. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { openKeys, type TestKeys } from './api-keys'
import { eventually } from './eventually'
import { type Caller, type Stack, startStack } from './stack'
import { eva, frank, world } from './wallets'

type Header = { authorization: string }

let stack: Stack
let keys: Record<'wallet' | 'balances', TestKeys>
/** Of each service: for everything, for Eva's account, with `world`, and for Eva's client. */
let all: Record<'wallet' | 'balances', Header>
let ofEva: Record<'wallet' | 'balances', Header>
let ofEvaAndWorld: Header
let ofClient: Record<'wallet' | 'balances', Header>
let client: string
/** Ids of what there is, between Frank and Pat, and of Eva. */
const made = { foreign: '', own: '', foreignHold: '', ownHold: '', pat: '' }

beforeAll(async () => {
  stack = await startStack({})
  const open = (service: 'wallet' | 'balances') => openKeys(stack.databases[service])
  keys = { wallet: open('wallet'), balances: open('balances') }
  const each = async (terms: Parameters<TestKeys['create']>[0]) => ({
    wallet: await keys.wallet.create(terms),
    balances: await keys.balances.create(terms),
  })
  all = await each({})
  await eventually(async () => expect((await stack.wallet.get('/accounts')).status).toBe(401))
  await eventually(async () => expect((await stack.balances.get('/balances')).status).toBe(401))
  const account = (await stack.wallet.get(`/accounts/${eva}`, all.wallet)).body
  client = account.client_id as string
  ofEva = await each({ accountIds: [eva] })
  ofEvaAndWorld = await keys.wallet.create({ accountIds: [eva, world] })
  ofClient = await each({ clientId: client })
  const accounts = (await stack.wallet.get('/accounts', all.wallet)).body.data as { id: string }[]
  made.pat = accounts.find(({ id }) => id !== eva && id !== frank)?.id ?? ''
  const idOf = async (answer: ReturnType<Caller['post']>) => String((await answer).body.id)
  const post = (path: string, body: object) => idOf(stack.wallet.post(path, body, all.wallet))
  made.foreign = await post('/transactions', { account_id_from: frank, account_id_to: made.pat, amount: 1 })
  made.own = await post('/transactions', { account_id_from: frank, account_id_to: eva, amount: 1 })
  made.foreignHold = await post('/holds', { account_id_from: frank, account_id_to: eva, amount: 1 })
  made.ownHold = await post('/holds', { account_id_from: eva, account_id_to: frank, amount: 1 })
})
afterAll(async () => {
  await Promise.all([keys?.wallet, keys?.balances].map((one) => one?.[Symbol.asyncDispose]()))
  await stack?.[Symbol.asyncDispose]()
})

type Row = [
  method: 'get' | 'post' | 'patch',
  path: () => string,
  body: () => object | undefined,
  status: number,
]
const at = (text: string) => () => text
const none = () => undefined

const send = (caller: Caller, header: Header, [method, path, body]: Row) =>
  method === 'get' ? caller.get(path(), header) : caller[method](path(), body() ?? {}, header)

/** The status and, of a refusal, the code. */
async function expectStatus(caller: Caller, header: Header, row: Row) {
  const { status, body } = await send(caller, header, row)
  const wanted = [row[3], row[3] === 403 ? 'KEY_RESTRICTED' : body.code]
  expect([row[0], row[1](), status, body.code]).toEqual([row[0], row[1](), ...wanted] as never)
}

const pay = (from: string, to: string, amount = 1) => ({ account_id_from: from, account_id_to: to, amount })

/** Of both kinds of keys alike. */
const atWallet: Row[] = [
  ['post', at('/transactions'), () => pay(eva, frank), 201],
  ['post', at('/transactions'), () => ({ ...pay(eva, frank), dry_run: true }), 201],
  ['post', at('/transactions'), () => pay(eva.toUpperCase(), frank), 201],
  ['post', at('/transactions'), () => pay(frank, eva), 403],
  ['post', at('/transactions'), () => ({ ...pay(frank, eva), dry_run: true }), 403],
  ['post', at('/transactions'), () => pay('00000000-0000-4000-8000-000000000000', eva), 403],
  ['post', at('/transactions'), () => ({ postings: [pay(eva, frank), pay(eva, made.pat)] }), 201],
  ['post', at('/transactions'), () => ({ postings: [pay(eva, frank), pay(frank, eva)] }), 403],
  [
    'post',
    at('/transactions'),
    () => ({ postings: [pay(eva, frank), { account_id_to: eva, amount: 1 }] }),
    403,
  ],
  ['post', at('/transactions/batch'), () => ({ transactions: [pay(eva, frank), pay(eva, made.pat)] }), 201],
  ['post', at('/transactions/batch'), () => ({ transactions: [pay(eva, frank), pay(frank, eva)] }), 403],
  [
    'post',
    at('/transactions/batch'),
    () => ({ transactions: [{ kind: 'deposit', account_id_to: eva, amount: 1 }] }),
    403,
  ],
  ['post', at(`/accounts/${eva}/withdrawals`), () => ({ amount: 1 }), 201],
  ['post', at(`/accounts/${frank}/withdrawals`), () => ({ amount: 1 }), 403],
  ['post', at(`/accounts/${eva}/deposits`), () => ({ amount: 1 }), 403],
  // Of what Frank paid, the reversal is paid by the payee.
  ['post', () => `/transactions/${made.own}/reverse`, () => ({ amount: 0.5 }), 201],
  ['post', () => `/transactions/${made.foreign}/reverse`, () => ({ amount: 0.5 }), 403],
  ['post', at('/transactions/00000000-0000-4000-8000-000000000000/reverse'), none, 403],
  ['post', at('/holds'), () => pay(eva, frank), 201],
  ['post', at('/holds'), () => pay(frank, eva), 403],
  ['get', () => `/holds/${made.ownHold}`, none, 200],
  ['get', () => `/holds/${made.foreignHold}`, none, 403],
  ['get', at('/holds/any'), none, 403],
  ['get', at(`/holds?account_id=${eva}`), none, 200],
  ['get', at(`/holds?account_id=${frank}`), none, 403],
  ['get', at('/holds'), none, 403],
  ['post', () => `/holds/${made.foreignHold}/capture`, none, 403],
  ['post', () => `/holds/${made.foreignHold}/release`, none, 403],
  ['patch', () => `/holds/${made.foreignHold}`, () => ({ expires_at: '2030-01-01T00:00:00Z' }), 403],
  ['get', () => `/transactions/${made.own}`, none, 200],
  ['get', () => `/transactions/${made.own}/delivery`, none, 200],
  ['get', () => `/transactions/${made.foreign}`, none, 403],
  ['get', () => `/transactions/${made.foreign}/delivery`, none, 403],
  ['get', at(`/transactions?account_id=${eva}`), none, 200],
  ['get', at(`/transactions?account_id=${frank}`), none, 403],
  ['get', at('/transactions?reference=any'), none, 403],
  ['get', at(`/transactions?account_id=${eva}&reference=any`), none, 200],
  ['get', at(`/accounts/${eva}`), none, 200],
  ['get', at(`/accounts/${frank}`), none, 403],
  ['get', at('/accounts'), none, 403],
  ['get', at('/world-accounts'), none, 403],
  ['get', at('/clients'), none, 403],
  // An account is used, not managed.
  ['post', at(`/accounts/${eva}/freeze`), none, 403],
  ['post', at(`/accounts/${eva}/unfreeze`), none, 403],
  ['post', at(`/accounts/${eva}/close`), none, 403],
  ['patch', at(`/accounts/${eva}`), () => ({ overdraft_limit: 1000 }), 403],
  ['post', at('/clients'), () => ({ name: 'Ada', email: 'ada@example.com' }), 403],
  ['post', at('/accounts'), () => ({ client_id: client, overdraft_limit: 1000 }), 403],
  ['patch', () => `/clients/${client}`, () => ({ name: 'Ada' }), 403],
]
const clientRows = (status: number): Row[] => [
  ['get', () => `/clients/${client}`, none, status],
  ['get', () => `/accounts?client_id=${client}`, none, status],
  ['get', () => `/transactions?client_id=${client}`, none, status],
]

test('at the wallet, for an account', async () => {
  for (const row of [...atWallet, ...clientRows(403)]) await expectStatus(stack.wallet, ofEva.wallet, row)
})

test('at the wallet, for a client', async () => {
  for (const row of [...atWallet, ...clientRows(200)]) await expectStatus(stack.wallet, ofClient.wallet, row)
})

test('a key that is allowed to use world, too, takes money in for its own account', async () => {
  const rows: Row[] = [
    ['post', at(`/accounts/${eva}/deposits`), () => ({ amount: 1 }), 201],
    ['post', at(`/accounts/${frank}/deposits`), () => ({ amount: 1 }), 403],
    [
      'post',
      at('/transactions'),
      () => ({ postings: [pay(eva, frank), { account_id_to: eva, amount: 1 }] }),
      201,
    ],
    ['post', at('/transactions'), () => pay(world, eva), 404],
  ]
  for (const row of rows) await expectStatus(stack.wallet, ofEvaAndWorld, row)
})

/** Of both kinds of keys alike. */
const atBalances: Row[] = [
  ...['', '/statement', '/explain', '/stream', '?at=2030-01-01T00:00:00Z'].flatMap((rest): Row[] => [
    ['get', at(`/balances/${eva}${rest}`), none, 200],
    ['get', at(`/balances/${frank}${rest}`), none, 403],
    ['get', at(`/balances/unknown${rest}`), none, 403],
  ]),
  ['get', at(`/accounts/${eva}`), none, 200],
  ['get', at(`/accounts/${frank}`), none, 403],
  ['get', at('/balances/%ff'), none, 403],
  ['get', at('/balances'), none, 403],
  ['get', at('/balances/stream'), none, 403],
  ['get', at(`/large-movements?account_id=${eva}`), none, 200],
  ['get', at(`/large-movements?account_id=${frank}`), none, 403],
  ['get', at('/large-movements'), none, 403],
  ['get', at('/dead-letters'), none, 403],
  ['get', at('/console/flow'), none, 403],
  ['get', at(`/console/flow?account=${eva}`), none, 403],
  ['get', at('/rebuild'), none, 403],
]

test('at balances, for an account and for a client', async () => {
  const list = (status: number): Row => ['get', () => `/balances?client_id=${client}`, none, status]
  for (const row of [...atBalances, list(403)]) await expectStatus(stack.balances, ofEva.balances, row)
  for (const row of [...atBalances, list(200)]) await expectStatus(stack.balances, ofClient.balances, row)
})

test('a key for a client reads an account that was opened a moment ago', async () => {
  const opened = await stack.wallet.post('/accounts', { client_id: client }, all.wallet)
  const token = { 'consistency-token': String(opened.headers.get('consistency-token')), prefer: 'wait=20' }
  const read = await stack.balances.get(`/balances/${opened.body.id}`, { ...ofClient.balances, ...token })
  expect([read.status, read.body.client_id]).toEqual([200, client])
})

test('a token says nothing about accounts that a key may not use', async () => {
  const tokenOf = (id: string) => ({ ...ofEva.balances, 'consistency-token': `${id}:999999` })
  expect((await stack.balances.get(`/balances/${eva}`, tokenOf(eva))).status).toBe(503)
  expect((await stack.balances.get(`/balances/${eva}`, tokenOf(frank))).status).toBe(200)
})
