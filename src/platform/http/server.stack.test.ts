/** What reaches a service over a socket, and no HTTP library would send. */
import { expect, test } from 'bun:test'
import { connect } from 'node:net'
import { Type } from '@sinclair/typebox'
import { parseJson } from '../../contract/wire/json'
import { head, type RawAnswer, type RawPart, rawRequest } from '../../testing/raw-http'
import type { Log } from '../telemetry/log'
import { createHttp } from './app'
import { bodyOf } from './body-schema'
import type { OriginRules } from './origins'
import { commonProblems } from './problem'
import { bodyLimits } from './request-body'
import { listen } from './server'

const Thing = Type.Object(
  { name: Type.String(), note: Type.Optional(Type.String()) },
  { additionalProperties: false },
)
const Nothing = Type.Object({ note: Type.Optional(Type.String()) }, { additionalProperties: false })
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
const anybody: OriginRules = { allowedHosts: [], corsOrigins: [] }

function serve(rules: OriginRules = anybody) {
  const done: unknown[] = []
  const app = createHttp({
    log: silent,
    parseJson,
    api: { title: 'Things', version: '1', description: 'Things.', servers: [], url: 'http://localhost' },
    documents: {
      '/events.json': () => {
        done.push('written')
        return { written: done.length }
      },
    },
    health: async () => ({}),
    metrics: async () => ({ text: '', contentType: 'text/plain' }),
    isReady: () => true,
  })
    .get('/things/:id', ({ params }) => Response.json(params))
    .get('/broken', () => {
      throw new Error('with a stack that must not be shown')
    })
    .get('/stream', () => {
      const endless = new ReadableStream({ start: (controller) => controller.enqueue(': begun\n\n') })
      return new Response(endless, { headers: { 'content-type': 'text/event-stream' } })
    })
    .post(
      '/things',
      ({ body }) => {
        done.push(body)
        return Response.json(body, { status: 201 })
      },
      { body: bodyOf(Thing) },
    )
    .post(
      '/things/:id/end',
      ({ body }) => {
        done.push(body)
        return Response.json(body)
      },
      { body: bodyOf(Nothing) },
    )
  const listening = listen(app, { host: '127.0.0.1', port: 0, ...rules }, silent)
  return {
    port: listening.port,
    done,
    send: (...parts: RawPart[]) => rawRequest(listening.port, parts),
    [Symbol.asyncDispose]: () => listening.close(0),
  }
}

test('a browser at / gets links to documents and health, anybody else a 404 that names them', async () => {
  await using server = serve()
  const get = (accept: string, method = 'GET') =>
    fetch(`http://127.0.0.1:${server.port}/`, { method, headers: { accept } })
  const page = await get('text/html,application/xhtml+xml;q=0.9,*/*;q=0.8')
  expect([page.status, page.headers.get('content-type'), page.headers.get('vary')]).toEqual([
    200,
    'text/html; charset=utf-8',
    'Accept',
  ])
  const links = [...(await page.text()).matchAll(/href="([^"]+)"/g)].map(([, href]) => String(href))
  expect(links).toEqual([
    '/openapi',
    '/openapi.json',
    '/events.json',
    '/livez',
    '/readyz',
    '/healthz',
    '/metrics',
  ])
  for (const link of links) expect((await fetch(new URL(link, page.url))).status).toBe(200)

  const refused = await get('*/*')
  expect([refused.status, refused.headers.get('vary')]).toEqual([404, 'Accept'])
  expect((await refused.json()).detail).toBe(
    'no route for /: the routes are at /openapi.json, health is at /readyz',
  )
  expect((await get('text/html', 'POST')).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
})

test('a port in use is not shared, and its holder is named', async () => {
  await using server = serve()
  for (const host of ['127.0.0.1', '0.0.0.0', '::'])
    expect(() =>
      listen({ fetch: () => new Response(), routes: [] }, { host, port: server.port, ...anybody }, silent),
    ).toThrow(
      new RegExp(`^port ${server.port} on ${host} is in use by process ${process.pid} \\(.+\\): .*PORT `),
    )
})

test.each([
  ['no-such-host.invalid', 'neither a name nor an address of this machine'],
  ['203.0.113.1', 'no interface of this machine has this address'],
])('a HOST that is not an address of this machine is reported with the cause: %s', (host, cause) => {
  expect(() =>
    listen({ fetch: () => new Response(), routes: [] }, { host, port: 0, ...anybody }, silent),
  ).toThrow(`cannot listen on port 0 of ${host} (${cause}): check HOST and PORT`)
})

test('a document is written once, however often it is asked for', async () => {
  await using server = serve()
  for (const _ of [1, 2, 3]) {
    const answer = await server.send(head('GET /events.json'))
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, { written: 1 }])
  }
  expect(server.done).toEqual(['written'])
})

const json = { 'Content-Type': 'application/json' }
const bodyText = '{"name":"a"}'
const post = (headers: Record<string, string> = {}, body = bodyText, path = '/things') =>
  head(`POST ${path}`, { ...json, 'Content-Length': String(Buffer.byteLength(body, 'latin1')), ...headers }) +
  body

function expectProblem(answer: RawAnswer, kind: keyof typeof commonProblems) {
  const { status, name } = commonProblems[kind]
  expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json'])
  expect(JSON.parse(answer.text)).toMatchObject({
    status,
    type: `/problems/${name}`,
    detail: expect.any(String),
  })
  expect(answer.text.length).toBeLessThan(3000)
  expect(answer.text).not.toMatch(/node_modules|src\/|\bat \w+ \(|<html/i)
}

const noHosts = [
  'a b',
  '%%%',
  '',
  ' ',
  'a/b',
  'u:p@h',
  'a#b',
  'é',
  '[::1',
  'h:99999',
  'h:x',
  '999.999.999.999',
  'a,b',
  '?',
]
test.each(noHosts)('a Host of %p is a problem, for every method', async (host) => {
  await using server = serve()
  for (const line of ['GET /things/1', 'GET /livez', 'GET /nowhere', 'OPTIONS /things'])
    expectProblem(await server.send(head(line, { Host: host })), 'malformed')
  expectProblem(await server.send(post({ Host: host })), 'malformed')
  expect(server.done).toEqual([])
})

test('no Host header, or two, is a problem', async () => {
  await using server = serve()
  expectProblem(
    await server.send('GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n'),
    'malformed',
  )
  expectProblem(await server.send('GET /livez HTTP/1.0\r\n\r\n'), 'malformed')
})

test.each(['localhost', 'LOCALHOST:1', '127.0.0.1:8080', 'a', 'x_y.example.', '[::1]:80'])(
  'a Host of %p is one',
  async (host) => {
    await using server = serve()
    expect(await server.send(head('GET /things/a%20b', { Host: host }))).toMatchObject({
      status: 200,
      text: '{"id":"a b"}',
    })
  },
)

test.each([
  ['GET /nowhere', 'notFound'],
  ['GET //evil.example/x', 'notFound'],
  ['GET /things/%zz/x', 'notFound'],
  ['GET /problems/%ff', 'notFound'],
  ['GET http://a b/', 'notFound'],
  ['TRACE /things', 'hostNotAllowed'],
  ['PROPFIND /things', 'methodNotAllowed'],
  ['DELETE /things', 'methodNotAllowed'],
  ['PUT /things/1', 'methodNotAllowed'],
  ['CONNECT localhost:80', 'malformed'],
  ['GET /broken', 'internal'],
  [`GET /${'a'.repeat(8000)}`, 'notFound'],
  [`GET /things?${'a=1&'.repeat(2000)}`, 'methodNotAllowed'],
] as const)('%s is a problem: %s', async (line, kind) => {
  await using server = serve()
  const host = kind === 'hostNotAllowed' ? 'evil.example' : 'localhost'
  const answer = await server.send(head(line, { Host: host }))
  if (line.includes(' b/')) expect(answer.status).toBeOneOf([400, 404, 505])
  else expectProblem(answer, kind)
})

test('HEAD is GET without the body, and starts no stream', async () => {
  await using server = serve()
  for (const path of ['/things/1', '/livez', '/problems/validation']) {
    const [got, asked] = await Promise.all(
      ['GET', 'HEAD'].map((method) => server.send(head(`${method} ${path}`, { Connection: 'close' }))),
    )
    expect(asked).toMatchObject({ status: 200, text: '' })
    for (const name of ['content-type', 'content-length'])
      expect(asked?.headers.get(name)).toBe(got?.headers.get(name) as string)
  }
  expect(await server.send(head('HEAD /stream', { Connection: 'close' }))).toMatchObject({
    status: 200,
    text: '',
  })
  expect(await server.send(head('HEAD /nowhere', { Connection: 'close' }))).toMatchObject({
    status: 404,
    text: '',
  })
  expect(await server.send(head('HEAD /things', { Connection: 'close' }))).toMatchObject({
    status: 405,
    text: '',
  })
})

test('OPTIONS and 405 name the methods of a path', async () => {
  await using server = serve()
  const asked = await server.send(head('OPTIONS /things/1'))
  expect([asked.status, asked.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
  const refused = await server.send(head('PATCH /things'))
  expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'OPTIONS, POST'])
})

test.each([
  ['application/json'],
  ['Application/JSON'],
  ['application/json ; charset=utf-8'],
  ['application/json;charset="UTF-8"'],
  ['application/json; charset=utf-8; x=y'],
])('%s is read', async (type) => {
  await using server = serve()
  expect((await server.send(post({ 'Content-Type': type }))).status).toBe(201)
})

test.each([
  [{ 'Content-Type': 'text/plain' }],
  [{ 'Content-Type': '' }],
  [{ 'Content-Type': 'application/json; charset=iso-8859-1' }],
  [{ 'Content-Type': 'application/json, application/json' }],
  [{ 'Content-Type': 'application/x-www-form-urlencoded' }],
  [{ 'Content-Type': 'application/vnd.x+json' }],
  [{ 'Content-Encoding': 'gzip' }],
  [{ 'Content-Encoding': 'identity, br' }],
])('%p is another medium', async (headers: Record<string, string>) => {
  await using server = serve()
  const answer = await server.send(post(headers))
  expectProblem(answer, 'unsupportedMediaType')
  const encoding = 'Content-Encoding' in headers
  expect(answer.headers.get(encoding ? 'accept-encoding' : 'accept')).toBe(
    encoding ? 'identity' : 'application/json',
  )
  expect(server.done).toEqual([])
})

test('a missing body counts as empty if nothing is required, and is a problem otherwise', async () => {
  await using server = serve()
  const none = ['', 'Content-Length: 0\r\n', 'Content-Type: application/json\r\nContent-Length: 0\r\n']
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n0'
  for (const headers of [...none, 'Content-Type: text/plain\r\n', chunked]) {
    const sent = (path: string) =>
      server.send(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n`.replace(
          /(\n\r\n)\r\n$/,
          headers === chunked ? '$&' : '$1',
        ),
      )
    expect(await sent('/things/1/end')).toMatchObject({ status: 200, text: '{}' })
    expectProblem(await sent('/things'), 'malformed')
  }
})

test.each([
  ['bytes that are no UTF-8', '{"name":"\xff"}', 'malformed'],
  ['a surrogate in UTF-8', '{"name":"\xed\xa0\x80"}', 'malformed'],
  ['an overlong form', '{"name":"\xc0\xaf"}', 'malformed'],
  ['a member twice', '{"name":"a","name":"b"}', 'malformed'],
  ['no JSON', `{"name":${'x'.repeat(10_000)}`, 'malformed'],
  ['nesting', `{"name":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, 'malformed'],
  ['half a pair', '{"name":"\\ud800"}', 'validation'],
  ['a number beyond a double', '{"name":1e400}', 'validation'],
  ['null where something is required', '{"name":null}', 'validation'],
  ['an unknown member', `{"name":"a","${'b'.repeat(100_000)}":1}`, 'validation'],
  ['a long text in the wrong place', `"${'b'.repeat(500_000)}"`, 'validation'],
  ['100,000 members', `{${Array.from({ length: 50_000 }, (_, index) => `"k${index}":null`)}}`, 'malformed'],
  ['zeros', `[${'0,'.repeat(500_000)}0]`, 'malformed'],
] as const)('%s is refused, shortly', async (_, body, kind) => {
  await using server = serve()
  const startedAt = performance.now()
  expectProblem(await server.send(post({}, body)), kind)
  expect(performance.now() - startedAt).toBeLessThan(5000)
  expect(server.done).toEqual([])
})

test('null for an optional member counts as absent, and a byte order mark is skipped', async () => {
  await using server = serve()
  expect(await server.send(post({}, '\xef\xbb\xbf{"name":"a","note":null}'))).toMatchObject({
    status: 201,
    text: bodyText,
  })
})

test('the response to a body that is too large can be read', async () => {
  await using server = serve()
  const size = 3_000_000
  for (const Connection of ['close', 'keep-alive']) {
    const declared = head('POST /things', { ...json, Connection, 'Content-Length': String(size) })
    expectProblem(await server.send(declared, Buffer.alloc(size, 'a')), 'bodyTooLarge')
    const chunks = Array.from({ length: 48 }, () => `10000\r\n${'a'.repeat(0x10000)}\r\n`)
    const chunked = head('POST /things', { ...json, Connection, 'Transfer-Encoding': 'chunked' })
    expectProblem(await server.send(chunked, ...chunks, '0\r\n\r\n'), 'bodyTooLarge')
    // Also where nothing would be done with it.
    expectProblem(
      await server.send(head('POST /nowhere', { 'Content-Length': String(size) }), Buffer.alloc(size)),
      'bodyTooLarge',
    )
  }
  expect(await server.send(post({}, bodyText.padEnd(bodyLimits.bytesMax)))).toMatchObject({ status: 201 })
  expectProblem(await server.send(post({}, bodyText.padEnd(bodyLimits.bytesMax + 1))), 'bodyTooLarge')
})

test('a body that never ends is given up with a response, and takes at most a megabyte', async () => {
  const { readMs } = bodyLimits
  bodyLimits.readMs = 2000
  await using server = serve()
  const begun = head('POST /things', { ...json, 'Transfer-Encoding': 'chunked' })
  const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`
  const before = process.memoryUsage().rss
  const unfinished = Array.from({ length: 20 }, () => server.send(begun, ...Array(64).fill(chunk)))
  const declared = server.send(head('POST /things', { ...json, 'Content-Length': '100' }), '{')
  let most = 0
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss - before)
  }, 50)
  for (const answer of await Promise.all(unfinished)) expectProblem(answer, 'bodyTooLarge')
  const late = await declared
  clearInterval(sampling)
  bodyLimits.readMs = readMs
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(400_000_000)
  expectProblem(late, 'bodyTimeout')
  expect(late.isClosed || late.headers.get('connection') === 'close').toBe(true)
  expect(server.done).toEqual([])
})

test.each([
  ['Content-Length and Transfer-Encoding', 'Content-Length: 12\r\nTransfer-Encoding: chunked'],
  ['two Content-Lengths', 'Content-Length: 12\r\nContent-Length: 13'],
  ['a negative one', 'Content-Length: -12'],
  ['one with more behind it', 'Content-Length: 12x'],
  ['one with a sign', 'Content-Length: +12'],
  ['a list', 'Content-Length: 12, 12'],
  ['an unknown coding', 'Transfer-Encoding: gzip, chunked'],
  ['a space before the colon', 'Transfer-Encoding : chunked'],
  ['a folded header', 'X-A: 1\r\n 2\r\nContent-Length: 12'],
])('a request whose end is in doubt is refused by the runtime: %s', async (_, headers) => {
  await using server = serve()
  const answer = await server.send(
    `POST /things HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${bodyText}`,
  )
  expect([answer.status, answer.isClosed]).toEqual([400, true])
  expect(server.done).toEqual([])
})

const foreign = [
  [{ Host: 'evil.example' }, 'hostNotAllowed'],
  [{ Host: 'localhost.evil.example' }, 'hostNotAllowed'],
  [{ Host: '192.168.0.7' }, 'hostNotAllowed'],
  [{ Origin: 'https://evil.example' }, 'originNotAllowed'],
  [{ Origin: 'null' }, 'originNotAllowed'],
  [{ 'Sec-Fetch-Site': 'cross-site' }, 'originNotAllowed'],
] as const
test.each(foreign)('a write with %p does nothing', async (headers, kind) => {
  await using server = serve()
  expectProblem(await server.send(post(headers)), kind)
  expectProblem(await server.send(post({ ...headers, 'Content-Type': 'text/plain' }, '{}')), kind)
  expect(server.done).toEqual([])
  expect((await server.send(head('GET /things/1', headers))).status).toBe(200)
})

test('a page of an origin in CORS_ORIGINS may write and read; another gets no CORS headers', async () => {
  await using server = serve({ allowedHosts: [], corsOrigins: ['https://app.example'] })
  const Origin = 'https://app.example'
  const ask = {
    Origin,
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'content-type',
  }
  const asked = await server.send(head('OPTIONS /things', ask))
  expect(asked.status).toBe(204)
  expect(asked.headers.get('access-control-allow-origin')).toBe(Origin)
  expect(asked.headers.get('access-control-allow-methods')).toContain('POST')
  expect(asked.headers.get('access-control-allow-headers')).toContain('Idempotency-Key')

  for (const answer of [
    await server.send(post({ Origin })),
    await server.send(head('GET /things/1', { Origin })),
  ]) {
    expect(answer.status).toBeLessThan(300)
    expect(answer.headers.get('access-control-allow-origin')).toBe(Origin)
    expect(answer.headers.get('vary')).toBe('Origin')
  }
  const stream = await fetch(`http://127.0.0.1:${server.port}/stream`, { headers: { Origin } })
  expect([stream.status, stream.headers.get('access-control-allow-origin')]).toEqual([200, Origin])
  await stream.body?.cancel()
  const refused = await server.send(post({ Origin }, '{}'))
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([422, Origin])

  const broken = listen(
    {
      routes: [],
      fetch() {
        throw new Error('nothing catches it')
      },
    },
    { host: '127.0.0.1', port: 0, allowedHosts: [], corsOrigins: [Origin] },
    silent,
  )
  const failed = await rawRequest(broken.port, [head('GET /things/1', { Origin })])
  await broken.close(0)
  expect([failed.status, failed.headers.get('access-control-allow-origin')]).toEqual([500, Origin])

  const elsewhere = await server.send(head('OPTIONS /things', { ...ask, Origin: 'https://evil.example' }))
  expect(elsewhere.headers.get('access-control-allow-origin')).toBeNull()
  expect(elsewhere.headers.get('access-control-allow-methods')).toBeNull()
})

test('the runtime bounds a head: its size, its fields, and the time that it takes', async () => {
  await using server = serve()
  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`X-${index}`, '1']))
  const statusOf = async (...of: Parameters<typeof head>) => (await server.send(head(...of))).status
  expect(await statusOf(`GET /things/${'a'.repeat(15_000)}`)).toBe(200)
  expect(await statusOf(`GET /things/${'a'.repeat(17_000)}`)).toBe(431)
  expect(await statusOf('GET /things/1', { 'X-A': 'a'.repeat(17_000) })).toBe(431)
  expect(await statusOf('GET /things/1', fields(190))).toBe(200)
  expect(await statusOf('GET /things/1', fields(250))).toBe(431)

  // However steadily its bytes come.
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET /things/1 HTTP/1.1\r\nHost: localhost\r\n')
  const dripping = setInterval(() => socket.write('X: 1\r\n'), 500)
  const startedAt = performance.now()
  await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
  clearInterval(dripping)
  expect(performance.now() - startedAt).toBeLessThan(30_000)
}, 60_000)
