import { expect, test } from 'bun:test'
import { withoutKeys } from '../../access/guard'
import { readServiceConfig } from '../../config/config'
import { Fault } from '../../platform/fault'
import { encodeCursor } from '../../platform/http/cursor'
import type { Log } from '../../platform/telemetry/log'
import { expectDocumented } from '../../testing/documented'
import type { Documents } from '../console/documents'
import type { DeadLetter } from '../dead-letters/dead-letters-store'
import type { RedriveReport } from '../dead-letters/redrive'
import type { Freshness } from '../freshness/freshness'
import type { RequiredVersions, StaleAccount } from '../freshness/read-your-writes'
import { createOnce } from '../idempotency/once'
import type { Balance } from '../queries/balances-store'
import { createBalancesApp } from './app'

const eva: Balance = {
  accountId: 'eva',
  clientId: 'client-of-eva',
  ownerName: 'Eva',
  currency: 'BRL',
  balanceMinor: 80_050n,
  heldMinor: 50n,
  status: 'open',
  overdraftLimitMinor: null,
  openingLimitMinor: null,
  version: 4n,
  createdAt: '2020-01-07T00:00:00.000Z',
  updatedAt: '2024-01-27T17:13:55.000Z',
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

const letter: DeadLetter = {
  id: 7n,
  topic: 'balances',
  partition: 2,
  recordOffset: 40n,
  cause: 'not_json',
  detail: 'not JSON',
  key: null,
  value: Buffer.from('hello'),
  lastOffset: null,
  headers: [],
  recordAt: null,
  recordedAt: '2024-01-27T17:13:55.000Z',
  attempts: 1,
  sentAt: null,
}

const documentation: Documents = {
  isInstalled: false,
  list: () => [],
  find: () => undefined,
}

const never = () => {
  throw new Error('not asked here')
}

type WaitForVersions = (required: RequiredVersions, waitMs: number) => StaleAccount[]

function serving(
  overrides: {
    stored?: Balance
    letters?: DeadLetter[]
    fault?: Error
    isReady?: boolean
    waitForVersions?: WaitForVersions
    freshness?: Freshness
    redriven?: RedriveReport
    asked?: unknown[]
  } = {},
): (path: string, headers?: Record<string, string>, init?: RequestInit) => Promise<Response> {
  const {
    stored = eva,
    letters = [],
    fault,
    isReady = true,
    waitForVersions = () => [],
    freshness = { asOf: undefined, lag: undefined },
    redriven = { letters: [], next: undefined },
    asked = [],
  } = overrides
  const app = createBalancesApp({
    guard: withoutKeys,
    rebuilding: { status: async () => undefined, request: never },
    reads: {
      balance: async (id) => {
        if (fault) throw fault
        return id === stored.accountId ? stored : undefined
      },
      balances: async () => [],
      balanceAt: never,
      explanation: never,
      statement: never,
    },
    deadLetters: {
      list: async (filter, page) => {
        asked.push(filter, page)
        return letters.slice(0, page.limit)
      },
      find: async (id) => letters.find((one) => one.id === id),
      groups: never,
    },
    largeMovements: async () => [],
    reconciliations: { list: async () => [], find: async () => undefined },
    // Without a key it needs no database.
    once: createOnce({ sql: undefined as never }, { url: '', prepare: true }),
    redrive: async (selection, dryRun) => {
      asked.push(selection, dryRun)
      return redriven
    },
    consistency: { waitForVersions: async (required, { waitMs }) => waitForVersions(required, waitMs) },
    monitor: { freshness: () => freshness, waitUntil: never },
    streams: { account: never, all: never },
    flow: { open: never },
    records: { find: never },
    console: { files: never, settings: never },
    documentation,
    actions: { isAllowed: true, run: never },
    log: silent,
    health: async () => ({}),
    metrics: async () => ({ text: '', contentType: 'text/plain' }),
    isReady: () => isReady,
    kafka: readServiceConfig({
      SERVICE: 'balances',
      DATABASE_URL: 'postgres://db/balances',
      KAFKA_BROKERS: 'kafka:9092',
      KAFKA_TOPIC_PREFIX: 'shop.',
    }).kafka,
    uses: [{ topic: 'balances', groupId: 'shop.balances' }],
  })
  return async (path, headers = {}, init = {}) => {
    const response = await app.handle(new Request(`http://balances${path}`, { headers, ...init }))
    const text = await response.clone().text()
    const { status } = response
    expectDocumented('balances', {
      method: init.method ?? 'GET',
      path,
      status,
      headers: response.headers,
      text,
    })
    return response
  }
}

test('a balance answers with the fields of the course and ours beside them, at both addresses', async () => {
  const get = serving()
  const answers = await Promise.all(['/balances/eva', '/accounts/eva'].map((path) => get(path)))
  for (const answer of answers) {
    expect(answer.status).toBe(200)
    expect(answer.headers.get('etag')).toMatch(/^"4-[0-9a-z]+"$/)
    expect(answer.headers.get('cache-control')).toBe('private, no-cache')
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toEqual({
      id: 'eva',
      account_id: 'eva',
      balance: 800.5,
      held: 0.5,
      available: 800,
      currency: 'BRL',
      status: 'open',
      overdraft_limit: null,
      version: 4,
      client_id: 'client-of-eva',
      owner_name: 'Eva',
      created_at: '2020-01-07T00:00:00.000Z',
      updated_at: '2024-01-27T17:13:55.000Z',
    })
  }
})

test.each([
  ['TAG', 304],
  ['W/TAG', 304],
  ['*', 304],
  ['"3", W/TAG, "5"', 304],
  ['"3"', 200],
  ['4', 200],
  ['"4"', 200],
])('If-None-Match: %s answers %d', async (written, status) => {
  const get = serving()
  const etag = (await get('/balances/eva')).headers.get('etag') ?? ''
  const answer = await get('/balances/eva', { 'if-none-match': written.replace('TAG', etag) })
  expect(answer.status).toBe(status)
  expect(answer.headers.get('etag')).toBe(etag)
  expect(answer.headers.get('cache-control')).toBe('private, no-cache')
  if (status === 304) expect(await answer.text()).toBe('')
})

test('the entity tag stands for the whole body: an owner whose name arrives late changes it', async () => {
  const etagOf = async (part: Partial<Balance>) =>
    (await serving({ stored: { ...eva, ...part } })('/balances/eva')).headers.get('etag')
  const tags = await Promise.all(
    [{}, {}, { ownerName: null }, { clientId: null }, { heldMinor: 0n }].map(etagOf),
  )
  expect(new Set(tags).size).toBe(4)
  expect(tags[0]).toBe(tags[1] as string)
})

test('an id is opaque, and may hold anything that a path can carry', async () => {
  const get = serving({ stored: { ...eva, accountId: 'a/b ü?' } })
  expect(await (await get('/balances/a%2Fb%20%C3%BC%3F')).json()).toMatchObject({ account_id: 'a/b ü?' })
})

test.each(['missing', '%00', '%ED%A0%80', 'x'.repeat(256)])(
  'an account that is not known is not found: %s',
  async (id) => {
    const answer = await serving()(`/balances/${id}`)
    expect(answer.status).toBe(404)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await answer.json()).toMatchObject({
      type: '/problems/account-not-found',
      code: 'ACCOUNT_NOT_FOUND',
      detail: expect.stringContaining('its event may not have arrived yet'),
    })
  },
)

test('a wildcard matches nothing where there is no account', async () => {
  expect((await serving()('/balances/missing', { 'if-none-match': '*' })).status).toBe(404)
})

test('without its database, and before it is ready, the service asks for patience', async () => {
  const fault = new Fault('database_unavailable', 'gone')
  for (const get of [serving({ fault }), serving({ isReady: false })]) {
    const answer = await get('/balances/eva')
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(await answer.json()).toMatchObject({ type: '/problems/unavailable' })
    expect((await get('/livez')).status).toBe(200)
  }
})

test('dead letters are shown: text as text, bytes as base64', async () => {
  const bytes = { ...letter, id: 8n, key: Buffer.from([0xff]), value: null }
  const answer = await serving({ letters: [bytes, letter] })('/dead-letters')
  const { data } = (await answer.json()) as { data: object[] }
  expect(data).toMatchObject([
    { id: '8', key_base64: '/w==', value: null },
    { id: '7', topic: 'balances', partition: 2, offset: 40, cause: 'not_json', key: null, value: 'hello' },
  ])
})

test('dead letters come in pages, by cause and topic, which a cursor is sealed to', async () => {
  const asked: unknown[] = []
  const get = serving({ letters: [letter, { ...letter, id: 6n }], asked })
  const first = await get('/dead-letters?limit=1&cause=not_json&topic=balances')
  const { next_cursor: cursor } = (await first.json()) as { next_cursor: string }
  expect(first.headers.get('link')).toContain('cause=not_json')
  expect((await get(`/dead-letters?limit=1&cause=not_json&topic=balances&cursor=${cursor}`)).status).toBe(200)
  const filter = { cause: 'not_json', topic: 'balances' }
  expect(asked).toEqual([filter, { before: undefined, limit: 2 }, filter, { before: 7n, limit: 2 }])
  expect((await get(`/dead-letters?limit=1&cursor=${cursor}`)).status).toBe(400)
})

const post = (body: unknown): RequestInit => ({ method: 'POST', body: JSON.stringify(body) })
const json = { 'content-type': 'application/json' }

test('a redrive says what became of each letter, and where it goes on', async () => {
  const asked: unknown[] = []
  const reason = { cause: 'not_json', detail: 'not JSON' } as const
  const letters: RedriveReport['letters'] = [
    { id: 7n, outcome: 'applied' },
    { id: 8n, outcome: 'still_failing', reason },
  ]
  const call = serving({ redriven: { letters, next: 8n }, asked })
  const answer = await call('/dead-letters/redrive', json, post({ all: true, dry_run: true }))
  expect(answer.headers.get('cache-control')).toBe('no-store')
  const body = (await answer.json()) as { next_cursor: string }
  expect(body).toEqual({
    dry_run: true,
    counts: { applied: 1, skipped: 0, superseded: 0, still_failing: 1, gone: 0 },
    data: [
      { id: '7', outcome: 'applied', cause: null, detail: null },
      { id: '8', outcome: 'still_failing', ...reason },
    ],
    next_cursor: expect.any(String),
  } as never)
  await call('/dead-letters/redrive', json, post({ all: true, cursor: body.next_cursor }))
  await call('/dead-letters/redrive', json, post({ ids: ['7', '8', '7'] }))
  const all = { cause: undefined, topic: undefined }
  expect(asked).toEqual([
    { filter: all, after: undefined },
    true,
    { filter: all, after: 8n },
    false,
    { ids: [7n, 8n] },
    false,
  ])
})

test.each([
  [{}, 422, '#'],
  [{ all: true, ids: ['1'] }, 422, '#'],
  [{ all: true, cause: 'not_json' }, 422, '#'],
  [{ topic: 'balances' }, 422, '#'],
  [{ all: false }, 422, '#/all'],
  [{ ids: [] }, 422, '#/ids'],
  [{ ids: ['x'] }, 422, '#/ids/0'],
  [{ ids: [7] }, 422, '#/ids/0'],
  [{ ids: Array(1001).fill('7') }, 422, '#/ids'],
  [{ ids: ['7'], topic: 'balances' }, 422, '#/ids'],
  [{ cause: 'Not JSON' }, 422, '#/cause'],
  [{ cause: 'not_json', topic: 'a b' }, 422, '#/topic'],
  [{ all: true, dry_run: 'yes' }, 422, '#/dry_run'],
  [{ all: true, dryrun: true }, 422, '#/dryrun'],
  [{ all: true, cursor: 'x' }, 400, undefined],
])('redriving %j answers %d', async (body, status, pointer) => {
  const asked: unknown[] = []
  const answer = await serving({ asked })('/dead-letters/redrive', json, post(body))
  expect(answer.status).toBe(status)
  const { errors } = (await answer.json()) as { errors?: object[] }
  if (pointer) expect(errors).toMatchObject([{ pointer }])
  expect(asked).toEqual([])
})

test.each([
  ['1', 200],
  ['200', 200],
  ['0', 422],
  ['201', 422],
  ['x', 422],
])('?limit=%s answers %d', async (limit, status) => {
  const answer = await serving({ letters: [letter, letter] })(`/dead-letters?limit=${limit}`)
  expect(answer.status).toBe(status)
  const body = (await answer.json()) as { data?: object[]; errors?: object[] }
  if (status === 422) expect(body.errors).toMatchObject([{ pointer: '#/limit' }])
  else expect(body.data).toHaveLength(Math.min(Number(limit), 2))
})

test.each([
  ['/balances?limit=201', 422, '#/limit'],
  ['/balances?min_balance=5', 422, '#/currency'],
  ['/balances?currency=ABC', 422, '#/currency'],
  ['/balances?currency=BRL&max_balance=0.001', 422, '#/max_balance'],
  ['/balances?color=blue', 422, '#/color'],
  ['/balances?owner_name=', 422, '#/owner_name'],
  ['/balances?owner_name=a%00', 422, '#/owner_name'],
  [`/balances?owner_name=${'a'.repeat(101)}`, 422, '#/owner_name'],
  [`/balances?owner_name=a&cursor=${encodeCursor('a', { owner_name: 'b' })}`, 400, undefined],
  ['/balances?cursor=x', 400, undefined],
  ['/balances/eva?at=yesterday', 422, '#/at'],
  ['/balances/eva?at=2024-13-01T00:00:00Z', 422, '#/at'],
  ['/balances/eva?at=2024-01-01T00:00:00Z&time=local', 422, '#/time'],
  ['/balances/eva/statement?since=yesterday', 422, '#/since'],
  ['/balances/eva/statement?since=2024-02-30T00:00:00Z', 422, '#/since'],
  ['/balances/eva/statement?until=2024-01-01T24:00:00Z', 422, '#/until'],
  ['/balances/eva/statement?until=9999-12-31T23:59:59-00:01', 422, '#/until'],
  ['/balances/eva?at=0000-06-01T00:00:00Z', 422, '#/at'],
  ['/accounts/eva?at=0001-01-01T00:00:00%2B00:01', 422, '#/at'],
  ['/balances/eva/explain?at=2026-02-29T00:00:00Z', 422, '#/at'],
  ['/balances/eva/explain?at=9999-12-31T23:59:59-00:01&time=effective', 422, '#/at'],
  ['/balances/eva/statement?cursor=WyJ4IiwieCJd', 400, undefined],
  ['/balances/eva/explain?until=2024-01-01T00:00:00Z', 422, '#/until'],
  ['/balances/eva/explain?cursor=', 400, undefined],
  ['/balances?client_id=%00', 422, '#/client_id'],
  [`/balances?cursor=${encodeCursor('\0', {})}`, 400, undefined],
  ['/large-movements?limit=0', 422, '#/limit'],
  ['/large-movements?account_id=%00', 422, '#/account_id'],
  ['/large-movements?currency=BRL', 422, '#/currency'],
  [`/large-movements?cursor=${encodeCursor('a', {})}`, 400, undefined],
  ['/dead-letters?cause=%00', 422, '#/cause'],
  ['/dead-letters?topic=a/b', 422, '#/topic'],
  ['/dead-letters?cursor=WyJ4IiwieCJd', 400, undefined],
  ['/dead-letters/causes?limit=1', 422, '#/limit'],
  ['/console/records/a%2Fb/0/0', 422, '#/topic'],
  ['/console/records/balances/-1/0', 422, '#/partition'],
  ['/console/records/balances/0/last', 422, '#/offset'],
  ['/console/records/balances/0/1234567890123456', 422, '#/offset'],
  ['/console/records/%ED%A0%80/0/0', 422, '#/topic'],
])('%s answers %d', async (path, status, pointer) => {
  const answer = await serving()(path)
  expect(answer.status).toBe(status)
  const { errors } = (await answer.json()) as { errors?: object[] }
  if (pointer) expect(errors).toMatchObject([{ pointer }])
})

const staleEva = [{ accountId: 'eva', required: 5n, current: 4n }]

const uuid = 'd6a41403-bbd0-11ee-8a24-0242ac120003'

test('a UUID means the same in either letter case, wherever it stands; other ids do not', async () => {
  const required: RequiredVersions[] = []
  const asked: unknown[] = []
  const waitForVersions: WaitForVersions = (versions) => {
    required.push(versions)
    return []
  }
  const get = serving({ stored: { ...eva, accountId: uuid }, waitForVersions, asked })
  for (const path of [`/balances/${uuid.toUpperCase()}`, `/accounts/${uuid.toUpperCase()}`]) {
    const answer = await get(path, { 'consistency-token': `${uuid.toUpperCase()}:2,${uuid}:4,EVA:1` })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ account_id: uuid })
  }
  expect(required[0]).toEqual(
    new Map([
      [uuid, 4n],
      ['EVA', 1n],
    ]),
  )
  const cursor = encodeCursor('a', { client_id: uuid })
  expect((await get(`/balances?client_id=${uuid.toUpperCase()}&cursor=${cursor}`)).status).toBe(200)
  const large = encodeCursor('a', { list: 'large-movements', accountId: uuid })
  expect((await get(`/large-movements?account_id=${uuid.toUpperCase()}&cursor=${large}`)).status).toBe(200)
  expect((await serving()('/balances/EVA')).status).toBe(404)
})

test('a token beyond the applied version is refused with the version that is here', async () => {
  const answer = await serving({ waitForVersions: () => staleEva })('/balances/eva', {
    'consistency-token': 'eva:5,frank:2',
  })
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe('1')
  expect(answer.headers.get('preference-applied')).toBeNull()
  expect(await answer.json()).toMatchObject({
    type: '/problems/not-yet-consistent',
    code: 'NOT_YET_CONSISTENT',
    detail: 'account eva is at version 4 here; the token asks for version 5',
  })
})

test.each([
  ['wait=2', 2000, 'wait=2'],
  ['respond-async, wait=7', 7000, 'wait=7'],
  ['wait=100000', 30_000, 'wait=30'],
  ['wait = 3', 3000, 'wait=3'],
  ['wait= "3"', 3000, 'wait=3'],
  ['wait=0', 0, null],
  ['wait=soon', 0, null],
])('Prefer: %s waits for %d ms', async (prefer, waitMs, applied) => {
  const asked: unknown[] = []
  const waitForVersions: WaitForVersions = (required, waitMs) => {
    asked.push([...required], waitMs)
    return []
  }
  const headers = { 'consistency-token': 'a:b:5, frank:2 ,frank:1', prefer }
  const answer = await serving({ waitForVersions })('/balances/eva', headers)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('preference-applied')).toBe(applied)
  expect(asked).toEqual([
    [
      ['a:b', 5n],
      ['frank', 2n],
    ],
    waitMs,
  ])
})

test.each(['', 'eva', 'eva:', 'eva:x', ':1', 'eva:1,', 'eva:-1'])(
  'a token %p cannot be read',
  async (token) => {
    expect((await serving()('/balances/eva', { 'consistency-token': token })).status).toBe(400)
  },
)

test.each([
  '/balances',
  '/balances/eva',
  '/accounts/eva',
  '/balances/eva/statement',
  '/balances/eva/explain',
])('a token is honoured at %s', async (path) => {
  const answer = await serving({ waitForVersions: () => staleEva })(path, { 'consistency-token': 'eva:5' })
  expect(answer.status).toBe(503)
})

test('every answer says how far it is behind, as far as that is known', async () => {
  const asOf = '2024-01-27T17:13:55.000Z'
  const get = serving({ freshness: { asOf, lag: 7n } })
  const etag = (await get('/balances/eva')).headers.get('etag') ?? ''
  for (const [path, headers] of [
    ['/balances/eva', {}],
    ['/balances/eva', { 'if-none-match': etag }],
    ['/balances', {}],
    ['/balances/missing', {}],
  ] as const) {
    const answer = await get(path, headers)
    expect([answer.headers.get('balances-as-of'), answer.headers.get('balances-lag')]).toEqual([asOf, '7'])
  }
  const answer = await serving()('/balances/eva')
  expect([answer.headers.get('balances-as-of'), answer.headers.get('balances-lag')]).toEqual([null, null])
  expect(answer.headers.get('etag')).toBe(etag)
})

test('without the documents, a request for one says so, also during the start', async () => {
  for (const path of ['/docs', '/docs/concepts', '/docs/%2e%2e%2fpackage.json', '/docs/%ED%A0%80']) {
    const answer = await serving({ isReady: false })(path)
    expect([path, answer.status, await answer.json()]).toMatchObject([
      path,
      404,
      { detail: 'the folder docs is not part of this installation; the documents are in the repository' },
    ])
  }
})

test('the events are documented during the start, too, with the topics of the installation', async () => {
  const get = serving({ isReady: false })
  const page = await get('/asyncapi')
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  expect(await page.text()).toContain('<h2 id="balanceupdated">')
  const document = await get('/asyncapi.json')
  expect(await document.json()).toMatchObject({
    servers: { 'broker-1': { host: 'kafka:9092' } },
    channels: { balances: { address: 'shop.balances' } },
  })
})

test.each([
  ['/rebuild', '{}'],
  ['/dead-letters/redrive', '{"ids":["7"]}'],
  ['/dead-letters/redrive', '{"ids":["7"],"dry_run":true}'],
])('what is no key is refused at %s %s, and nothing is done', async (path, body) => {
  const asked: unknown[] = []
  for (const key of ['""', '', 'a, b']) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': key }
    const answer = await serving({ asked })(path, {}, { method: 'POST', headers, body })
    expect([key, answer.status, await answer.json()]).toMatchObject([key, 400, { code: 'MALFORMED' }])
  }
  expect(asked).toEqual([])
})
