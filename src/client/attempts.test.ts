/** Retries, deadlines and aborted calls, against servers that answer as a test says. */
import { expect, test } from 'bun:test'
import { eventually } from '../testing/eventually'
import {
  SaldoClient,
  SaldoError,
  type SaldoOptions,
  SaldoProblem,
  SaldoTimeout,
  SaldoUnreachable,
} from './index'

type Sent = { at: number; method: string; url: string; headers: Record<string, string>; body: string }
type Reply = Response | 'hang' | 'no JSON'

const problem = (status: number, name: string, headers: Record<string, string> = {}) =>
  Response.json(
    { type: `/problems/${name}`, status, code: 'X', title: name, detail: name },
    { status, headers },
  )
const done = () => Response.json({ id: 't' }, { status: 201 })

/** Answers one request after the other; the last reply also all that follow. */
function serve(...replies: (() => Reply)[]) {
  const sent: Sent[] = []
  const closed: number[] = []
  const server = Bun.serve({
    port: 0,
    async fetch(request) {
      const { method, url, headers } = request
      const number = sent.length
      const body = await request.text()
      sent.push({ at: performance.now(), method, url, headers: headers.toJSON(), body })
      const reply = (replies[number] ?? replies.at(-1) ?? done)()
      if (reply === 'no JSON') return new Response('<html>', { status: 200 })
      if (reply !== 'hang') return reply
      request.signal.addEventListener('abort', () => closed.push(number))
      return new Promise<Response>(() => {})
    },
  })
  const url = `http://127.0.0.1:${server.port}`
  const clientOf = (options: SaldoOptions = {}) => new SaldoClient({ wallet: url, balances: url, ...options })
  return { sent, closed, clientOf, [Symbol.asyncDispose]: () => server.stop(true) }
}

function thrown(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

const transfer = { account_id_from: 'a', account_id_to: 'b', amount: '10.25' }
const fast = { retries: 10, timeoutMs: 2000 }

/** What a call throws. */
const thrownBy = (call: Promise<unknown>): Promise<SaldoError> =>
  call.then(
    () => new SaldoError('nothing was thrown'),
    (error) => error,
  )

test('a retry is the same request under the same key, byte for byte', async () => {
  await using server = serve(
    () => problem(503, 'unavailable'),
    () => problem(429, 'quota-exceeded'),
    () => problem(409, 'idempotency-in-progress'),
    () => new Response('Bad Gateway', { status: 502 }),
    () => 'no JSON',
    () => new Response('', { status: 201 }),
    () => problem(504, 'unknown'),
    done,
  )
  await server.clientOf(fast).transfer({ ...transfer, metadata: { order: 1 } })
  const [first, ...others] = server.sent.map(({ at: _, ...request }) => request)
  expect(others).toHaveLength(7)
  expect(first).toMatchObject({
    method: 'POST',
    body: JSON.stringify({ ...transfer, metadata: { order: 1 } }),
  })
  expect(first?.headers['idempotency-key']).toMatch(/^"[0-9a-f-]{36}"$/)
  for (const other of others) expect(other).toEqual(first as never)
})

test('each call has a key of its own, unless one is given', async () => {
  await using server = serve(done)
  const saldo = server.clientOf()
  await saldo.transfer(transfer)
  await saldo.transfer(transfer)
  await saldo.transfer(transfer, { idempotencyKey: 'order "7"' })
  const keys = server.sent.map(({ headers }) => headers['idempotency-key'])
  expect(keys[0]).not.toBe(keys[1])
  expect(keys[2]).toBe('"order \\"7\\""')
})

test('a header replaces another in any letter case, and a key is none of them', async () => {
  await using server = serve(done)
  const saldo = server.clientOf({
    apiKey: 'secret',
    headers: { AUTHORIZATION: 'Basic eva', Traceparent: '1' },
  })
  await saldo.transfer(transfer, { headers: { traceparent: '2', 'Content-Type': 'text/plain' } })
  expect(server.sent[0]?.headers).toMatchObject({
    authorization: 'Basic eva',
    traceparent: '2',
    'content-type': 'application/json',
  })
  // Sent beside a random one, or not at all, it would protect no caller.
  const keyed = saldo.transfer(transfer, { headers: { 'idempotency-key': 'order 7' } })
  expect(await thrownBy(keyed)).toBeInstanceOf(TypeError)
  expect(server.sent).toHaveLength(1)
})

test.each([
  [422, 'insufficient-funds'],
  [404, 'account-not-found'],
  [409, 'already-captured'],
  [422, 'idempotency-key-reused'],
  [400, 'malformed'],
  [403, 'host-not-allowed'],
  [500, 'internal'],
  // Followed, it would be another request, or a GET.
  [307, 'moved'],
])('a refusal is not retried: %d %s', async (status, name) => {
  await using server = serve(() => problem(status, name, { location: '/elsewhere' }))
  const error = await thrownBy(server.clientOf(fast).transfer(transfer, { idempotencyKey: 'k' }))
  expect(error).toBeInstanceOf(SaldoProblem)
  const known = name === 'moved' ? 'unknown' : name
  expect(error).toMatchObject({
    name: known,
    type: `/problems/${name}`,
    status,
    errors: [],
    idempotencyKey: 'k',
  })
  expect(server.sent).toHaveLength(1)
})

test('a problem of a later version, and an answer that is no problem, are unknown', async () => {
  await using server = serve(
    () => problem(422, 'frozen-solid'),
    () => new Response('nginx', { status: 404 }),
  )
  const saldo = server.clientOf(fast)
  expect(await thrownBy(saldo.transfer(transfer))).toMatchObject({
    name: 'unknown',
    type: '/problems/frozen-solid',
  })
  expect(await thrownBy(saldo.transfer(transfer))).toMatchObject({ name: 'unknown', status: 404 })
})

test('requests of operators are repeated under a key, too', async () => {
  await using server = serve(
    () => problem(503, 'unavailable'),
    done,
    () => problem(503, 'unavailable'),
    done,
  )
  const saldo = server.clientOf(fast)
  await saldo.redriveDeadLetters({ all: true })
  await saldo.requestRebuild({ action: 'rollback' })
  const [redrive, again, rebuild, last] = server.sent.map(({ headers }) => headers['idempotency-key'])
  expect(new Set([redrive, rebuild]).size).toBe(2)
  expect([again, last]).toEqual([redrive, rebuild])
  for (const key of [redrive, rebuild]) expect(key).toMatch(/^"[0-9a-f-]{36}"$/)
})

test('Retry-After is waited for, and not beyond the deadline', async () => {
  await using server = serve(() => problem(429, 'quota-exceeded', { 'retry-after': '1' }), done)
  const saldo = server.clientOf(fast)
  await saldo.transfer(transfer)
  const [first, second] = server.sent.map(({ at }) => at)
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(990)

  await using other = serve(() => problem(503, 'overloaded', { 'retry-after': '60' }))
  const beganAt = performance.now()
  expect(await thrownBy(other.clientOf({ deadlineMs: 2000 }).transfer(transfer))).toMatchObject({
    status: 503,
  })
  expect(performance.now() - beganAt).toBeLessThan(1500)
  expect(other.sent).toHaveLength(1)
})

test('after the last retry, the last failure is thrown with the key of the request', async () => {
  await using server = serve(() => problem(503, 'overloaded'))
  const error = await thrownBy(server.clientOf({ retries: 2 }).transfer(transfer))
  expect(error).toMatchObject({ name: 'overloaded', idempotencyKey: expect.any(String) })
  expect(server.sent).toHaveLength(3)

  const nowhere = new SaldoClient({ wallet: 'http://127.0.0.1:1', retries: 1 })
  expect(await thrownBy(nowhere.transfer(transfer))).toBeInstanceOf(SaldoUnreachable)
})

test('an attempt without an answer ends with its connection, and is repeated', async () => {
  await using server = serve(() => 'hang', done)
  await server.clientOf({ timeoutMs: 200 }).transfer(transfer)
  expect(server.sent).toHaveLength(2)
  await eventually(() => expect(server.closed).toEqual([0]))
})

test('the deadline ends a call whose attempts hang', async () => {
  await using server = serve(() => 'hang')
  const beganAt = performance.now()
  const error = await thrownBy(server.clientOf({ timeoutMs: 10_000, deadlineMs: 300 }).transfer(transfer))
  expect(error).toBeInstanceOf(SaldoTimeout)
  expect(performance.now() - beganAt).toBeLessThan(2000)
  await eventually(() => expect(server.closed).toEqual([0]))
})

test.each([
  ['in flight', () => 'hang' as const],
  ['between attempts', () => problem(503, 'unavailable', { 'retry-after': '30' })],
])('an aborted call ends %s, with the reason', async (_, reply) => {
  await using server = serve(reply)
  const aborting = new AbortController()
  const call = thrownBy(server.clientOf().transfer(transfer, { signal: aborting.signal }))
  await eventually(() => expect(server.sent).toHaveLength(1))
  aborting.abort(new Error('changed my mind'))
  expect((await call).message).toBe('changed my mind')
  expect(server.sent).toHaveLength(1)
  expect(await thrownBy(server.clientOf().balance('a', {}, { signal: aborting.signal }))).toMatchObject({
    message: 'changed my mind',
  })
  expect(server.sent).toHaveLength(1)
})

test('reads are repeated; what they ask for is in path and query', async () => {
  await using server = serve(() => problem(503, 'not-yet-consistent'), done)
  await server.clientOf(fast).balance('a/b?c', { at: '2024-01-31T00:00:00Z' })
  const paths = server.sent.map(
    ({ method, url }) => `${method} ${new URL(url).pathname}${new URL(url).search}`,
  )
  expect(paths).toEqual(Array(2).fill('GET /balances/a%2Fb%3Fc?at=2024-01-31T00%3A00%3A00Z'))
})

test('what was written is asked for by reads of balances, and a preview wrote nothing', async () => {
  const written = () => Response.json({}, { status: 201, headers: { 'consistency-token': 'a:3,b:4' } })
  await using server = serve(written)
  const saldo = server.clientOf()
  const preview = { ...transfer, dry_run: true }
  await saldo.transfer(preview)
  await saldo.balance('a')
  await saldo.transfer(transfer)
  await saldo.balance('a')
  await saldo.balance('c')
  await saldo.account('a')
  await saldo.balances().first()
  const asked = server.sent.map(({ headers }) => [headers['consistency-token'], headers.prefer])
  const [none, waiting] = [undefined, 'wait=5']
  expect(asked).toEqual([
    ...[
      [none, none],
      [none, none],
    ],
    ...[
      [none, none],
      ['a:3', waiting],
      [none, none],
      [none, none],
      ['a:3,b:4', waiting],
    ],
  ])
})

test.each([
  ['an empty id', (saldo: SaldoClient) => saldo.deposit('', { amount: 1 })],
  ['dots for an id', (saldo: SaldoClient) => saldo.deposit('..', { amount: 1 })],
  ['an amount that is no number', (saldo: SaldoClient) => saldo.captureHold('h', { amount: Number.NaN })],
  ['an infinite amount', (saldo: SaldoClient) => saldo.deposit('a', { amount: 1 / 0 })],
])('%s is refused before anything is sent', async (_, call) => {
  await using server = serve(done)
  const error = await thrownBy(call(server.clientOf()))
  expect(error).toBeInstanceOf(TypeError)
  expect(server.sent).toEqual([])
})

test('key and headers go with every request', async () => {
  await using server = serve(done)
  const saldo = server.clientOf({ apiKey: 'saldo_live_x', headers: { traceparent: '00-1' } })
  await saldo.account('a', { headers: { 'x-shop': 'one' } })
  expect(server.sent[0]?.headers).toMatchObject({
    authorization: 'Bearer saldo_live_x',
    traceparent: '00-1',
    'x-shop': 'one',
  })
})

test('a function returns the key of the service, for each call', async () => {
  await using server = serve(done)
  let calls = 0
  const saldo = server.clientOf({ apiKey: async (service) => `${service}-${++calls}` })
  await saldo.account('a')
  await saldo.balance('a')
  expect(server.sent.map(({ headers }) => headers.authorization)).toEqual([
    'Bearer wallet-1',
    'Bearer balances-2',
  ])
})

test('an address without its scheme is refused at once', () => {
  expect(() => new SaldoClient({ wallet: 'localhost:8080' })).toThrow('"localhost:8080" is not an address')
})

const wholeFrom = (least: number) => `it has to be a whole number of at least ${least}`
test.each<[string, unknown, string]>([
  ['timeoutMs', 0, `${wholeFrom(1)} and at most 2147483647`],
  ['timeoutMs', Number.POSITIVE_INFINITY, `${wholeFrom(1)} and at most 2147483647`],
  ['deadlineMs', Number.NaN, `${wholeFrom(1)}, or Infinity`],
  ['deadlineMs', -1, `${wholeFrom(1)}, or Infinity`],
  ['retries', 1.5, `${wholeFrom(0)}, or Infinity`],
  ['retries', '3', `${wholeFrom(0)}, or Infinity`],
  ['decimals', 'strings', 'it has to be "number" or "string"'],
])('a client whose %s is %p is refused', (name, value, remedy) => {
  const shown = typeof value === 'string' ? JSON.stringify(value) : value
  const refusal = { name: typeof value === 'string' ? 'TypeError' : 'RangeError' }
  expect(thrown(() => new SaldoClient({ [name]: value }))).toMatchObject({
    ...refusal,
    message: `${name} is ${shown}; ${remedy}`,
  })
})

test('so is a call with such an option, before anything is sent', async () => {
  await using server = serve(done)
  const saldo = server.clientOf()
  const refused = [
    saldo.transfer(transfer, { waitSeconds: -1 }),
    saldo.balances({}, { retries: 0.5 }).first(),
    saldo.watchBalances({ deadlineMs: Number.NaN }).next(),
  ]
  for (const call of refused) expect(await thrownBy(call)).toBeInstanceOf(RangeError)
  expect(server.sent).toEqual([])
})

test('null and undefined are the default, and the greatest values are fine', async () => {
  await using server = serve(done)
  const most = { deadlineMs: Number.POSITIVE_INFINITY, retries: Number.POSITIVE_INFINITY }
  const saldo = server.clientOf({ ...most, timeoutMs: null as unknown as undefined, decimals: undefined })
  await saldo.transfer(transfer, { timeoutMs: 2 ** 31 - 1, retries: 0 })
})

test('a service without an address is named', async () => {
  const saldo = new SaldoClient({ wallet: 'http://127.0.0.1:1' })
  expect((await thrownBy(saldo.balance('a'))).message).toBe('this client has no address of balances')
})
