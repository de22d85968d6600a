/** Hostile requests at every route of both services: a short problem, soon, and without effect. */
import { expect, test } from 'bun:test'
import type { ServiceName } from '../../config/config'
import { expectDocumented, expectSecured, routesOf } from '../../testing/documented'
import { head, type RawAnswer, rawRequest } from '../../testing/raw-http'
import { reuseWallet } from '../../testing/reuse'
import { startStack } from '../../testing/stack'
import type { Route } from './route'

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'
const frank = 'd6a41504-bbd0-11ee-8a24-0242ac120003'

const services = Object.entries(routesOf) as [ServiceName, readonly Route[]][]
const pathOf = ({ path }: { path: string }) => path.replace(/:\w+/g, eva)

function expectProblem(answer: RawAnswer, status: number) {
  expect([answer.status, answer.text.slice(0, 200)]).toEqual([status, expect.anything()])
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expectSecured(answer.headers)
  expect(JSON.parse(answer.text)).toMatchObject({ status: answer.status, code: expect.any(String) })
  expect(answer.text.length).toBeLessThan(8000)
  expect(answer.text).not.toMatch(/node_modules|\bat \w+ \(|<html/i)
}

const nested = (open: string, close: string) => `${open.repeat(20_000)}${close.repeat(20_000)}`
const hostileBodies: [string, string, number][] = [
  ['cut off', '{"a":', 400],
  ['bytes that are no UTF-8', '{"a":"\xff"}', 400],
  ['a member twice', '{"a":1,"a":1}', 400],
  ['a member twice, deeper', '{"metadata":{"x":[{"b":1,"b":2}]}}', 400],
  ['lists in lists', nested('[', ']'), 400],
  ['objects in objects', nested('{"a":', '}').replace('}', '1}'), 400],
  ['nesting in metadata', `{"metadata":{"a":${nested('[', ']')}}}`, 400],
  ['a number beyond a double', '{"amount":1,"metadata":{"a":1e400}}', 422],
  ['a number that vanishes', '{"amount":1,"metadata":{"a":1e-400}}', 422],
  ['half a pair', '{"reference":"\\ud800"}', 422],
  ['a list', '[]', 422],
  ['null', 'null', 422],
  ['a text', `"${'x'.repeat(500_000)}"`, 422],
  ['zeros', `[${'0,'.repeat(400_000)}0]`, 400],
  ['members', `{${Array.from({ length: 50_000 }, (_, index) => `"k${index}":0`)}}`, 400],
  ['a prototype', '{"__proto__":{"amount":1},"constructor":1}', 422],
  ['a long unknown member', `{"${'x'.repeat(500_000)}":1}`, 422],
]

test.each(services)(
  '%s: invalid bodies are refused by every route that takes one',
  async (service, routes) => {
    await using stack = await startStack({ start: [service] })
    const { port } = stack[service]
    for (const route of routes.filter(({ method, body }) => method === 'POST' && body)) {
      const send = (body: string, headers: Record<string, string> = {}) => {
        const described = {
          'Content-Type': 'application/json',
          'Content-Length': String(body.length),
          ...headers,
        }
        return rawRequest(port, [head(`POST ${pathOf(route)}`, described), body])
      }
      const expectRefusal = (answer: RawAnswer, status: number) => {
        expectProblem(answer, status)
        expectDocumented(service, { method: 'POST', path: pathOf(route), ...answer })
      }
      for (const [, body, status] of hostileBodies) expectRefusal(await send(body), status)
      expectRefusal(await send('{}', { 'Content-Type': 'text/plain' }), 415)
      expectRefusal(await send('{}', { 'Content-Encoding': 'gzip' }), 415)
      expectRefusal(await send('{}', { Host: 'evil.example' }), 403)
      expectRefusal(await send('{}', { Origin: 'https://evil.example' }), 403)
      expectRefusal(await send(' '.repeat(1024 * 1024 + 1)), 413)
    }
    if (service === 'wallet')
      expect((await stack.wallet.get(`/accounts/${eva}`)).body).toMatchObject({
        balance: 800,
        held: 0,
        version: 4,
      })
  },
)

test.each(services)('%s: invalid hosts, methods and paths', async (service, routes) => {
  await using stack = await startStack({ start: [service] })
  const { port } = stack[service]
  for (const route of routes) {
    const path = pathOf(route)
    for (const Host of ['a b', '%%%', ''])
      expectProblem(await rawRequest(port, [head(`${route.method} ${path}`, { Host })]), 400)
    const known = routes.filter(({ path }) => path === route.path).map(({ method }) => method as string)
    for (const method of ['DELETE', 'PUT', 'PATCH', 'PROPFIND'].filter((one) => !known.includes(one))) {
      const answer = await rawRequest(port, [head(`${method} ${path}`)])
      expectProblem(answer, 405)
      expect(answer.headers.get('allow')).toContain(route.method)
    }
    expect((await rawRequest(port, [head(`OPTIONS ${path}`)])).status).toBe(204)
  }
  for (const path of [
    '/%ff',
    '/nowhere',
    '//evil.example',
    `/${'x'.repeat(10_000)}`,
    '/balances/a/b/c',
    '/constructor',
  ])
    for (const method of ['GET', 'POST'])
      expectProblem(await rawRequest(port, [head(`${method} ${path}`)]), 404)
})

test.each(services)('%s: HEAD is answered like GET, without a body', async (service, routes) => {
  await using stack = await startStack({ start: [service] })
  const { port } = stack[service]
  for (const route of routes.filter(({ method }) => method === 'GET')) {
    const path = pathOf(route).replace(`/problems/${eva}`, '/problems/validation')
    const headed = await rawRequest(port, [head(`HEAD ${path}`, { Connection: 'close' })])
    expect([path, headed.text]).toEqual([path, ''])
    if (path.endsWith('/stream')) expect(headed.status).toBe(200)
    else
      expect([path, headed.status]).toEqual([path, (await fetch(`http://127.0.0.1:${port}${path}`)).status])
  }
})

const remarks = { reference: null, metadata: null }
const movement = { amount: 1, currency: null, effective_at: null, ...remarks }
const parties = { account_id_from: eva, account_id_to: frank }
const withNulls = [
  ['/accounts', { client_id: 'client', currency: null, overdraft_limit: null }],
  ['/transactions', { ...parties, ...movement }],
  [`/accounts/${eva}/deposits`, movement],
  [`/accounts/${eva}/withdrawals`, movement],
  ['/transactions/batch', { mode: null, transactions: [{ kind: null, ...parties, ...movement }] }],
  [
    '/transactions/batch',
    { transactions: [{ kind: 'deposit', account_id_from: null, account_id_to: eva, amount: 1 }] },
  ],
  ['/transactions/transaction/reverse', { amount: null, effective_at: null, ...remarks }],
  [
    '/holds',
    { account_id_from: eva, account_id_to: null, amount: 1, currency: null, expires_at: null, ...remarks },
  ],
  ['/holds/hold/capture', { amount: null, effective_at: null, ...remarks }],
] as const

const dropNulls = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner) => (inner === null ? undefined : inner)))

test('null for an optional member counts as absent: same response, same fingerprint', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const client = await wallet.post('/clients', { name: 'Ivy', email: 'ivy@example.com' })
  for (const [index, [path, body]] of withNulls.entries()) {
    const paid = await wallet.post('/transactions', { ...parties, amount: 1 })
    const held = await wallet.post('/holds', { account_id_from: eva, amount: 1 })
    const to = path.replace('transaction/', `${paid.body.id}/`).replace('hold/', `${held.body.id}/`)
    const sent = 'client_id' in body ? { ...body, client_id: client.body.id } : body
    const headers = { 'idempotency-key': `null-${index}` }
    const [first, again] = [
      await wallet.post(to, sent, headers),
      await wallet.post(to, dropNulls(sent), headers),
    ]
    expect([to, first.status, again.status]).toEqual([to, 201, 201])
    if (path !== '/accounts') expect(again.body).toEqual(first.body)
  }
  for (const [path, member] of [
    ['/transactions', { ...parties, amount: null }],
    ['/clients', { name: null, email: 'ivy@example.com' }],
    ['/transactions/batch', { transactions: null }],
    ['/transactions/batch', { transactions: [null] }],
  ] as const)
    expect([path, (await wallet.post(path, member)).status]).toEqual([path, 422])
})

test('null counts as absent at balances, too, and a missing body starts a rebuild', async () => {
  await using stack = await startStack({ start: ['balances'] })
  const { balances } = stack
  const nulls = { ids: null, all: true, cause: null, topic: null, cursor: null, dry_run: null }
  expect((await balances.post('/dead-letters/redrive', nulls)).status).toBe(200)
  expect((await balances.post('/rebuild', { action: null, manual: null, force: null })).status).toBe(202)
})

test('routes without required members need no body', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  const bare = (path: string) => rawRequest(wallet.port, [`POST ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`])
  const paid = await wallet.post('/transactions', { ...parties, amount: 1 })
  const holds = [1, 2].map(() => wallet.post('/holds', { account_id_from: eva, amount: 1 }))
  const [captured, released] = (await Promise.all(holds)).map(({ body }) => body.id)
  for (const path of [
    `/transactions/${paid.body.id}/reverse`,
    `/holds/${captured}/capture`,
    `/holds/${released}/release`,
  ])
    expect([path, (await bare(path)).status]).toEqual([path, path.endsWith('release') ? 200 : 201])
})

test('an invalid batch reports some errors, and does not block other requests', async () => {
  await using stack = await reuseWallet()
  const { wallet } = stack
  for (const member of [
    {},
    { ...parties, amount: 'x' },
    { kind: 'x'.repeat(500) },
    null,
    [],
    { ...parties, amount: 1, currency: 'XXX' },
  ]) {
    const answer = await wallet.post('/transactions/batch', { transactions: Array(1000).fill(member) })
    expect(answer.status).toBe(422)
    expect((answer.body.errors as object[]).length).toBeLessThanOrEqual(21)
    expect(JSON.stringify(answer.body).length).toBeLessThan(8000)
  }
  expect((await wallet.get('/livez')).status).toBe(200)
})
