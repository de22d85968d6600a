/** Every route of both services with every kind of key. */
import { expect, test } from 'bun:test'
import { revokeKey } from '../access/manage'
import { createToken } from '../access/token'
import { type ServiceName, serviceNames } from '../config/config'
import type { Example, Route } from '../platform/http/route'
import { type Scope, scopes } from '../platform/http/scope'
import { openKeys, type TestKeys } from './api-keys'
import { expectDocumented, routesOf } from './documented'
import { eventually } from './eventually'
import { head, rawRequest } from './raw-http'
import { startStack } from './stack'

/** What a request has to be answered. Undefined: neither 401 nor 403. */
type Expected = `${401 | 403} ${string}` | undefined
type Case = { name: string; header: Record<string, string>; expected(route: Route): Expected }

const unlessOpen =
  (expected: (scope: Scope) => Expected) =>
  ({ scope }: Route): Expected =>
    scope === 'open' ? undefined : expected(scope)

async function casesOf(keys: TestKeys): Promise<Case[]> {
  const { token } = createToken('live')
  const broken = token.slice(0, -1) + (token.endsWith('0') ? '1' : '0')
  const revoked = await keys.create()
  await revokeKey(keys.sql, 'key-1')
  const expired = await keys.create({ expiresAt: '2026-01-01T00:00:00.000Z' })
  const ofNone = { accountIds: ['00000000-0000-4000-8000-000000000000'], clientId: null }
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` })
  const narrow = await Promise.all(
    scopes.map(async (scope): Promise<Case[]> => {
      const others = scopes.filter((one) => one !== scope)
      const is = (expected: Expected, otherwise: Expected) =>
        unlessOpen((needed) => (needed === scope ? expected : otherwise))
      return [
        {
          name: `only ${scope}`,
          header: await keys.create({ scopes: [scope] }),
          expected: is(undefined, '403 INSUFFICIENT_SCOPE'),
        },
        {
          name: `all but ${scope}`,
          header: await keys.create({ scopes: others }),
          expected: is('403 INSUFFICIENT_SCOPE', undefined),
        },
      ]
    }),
  )
  return [
    { name: 'none', header: {}, expected: unlessOpen(() => '401 KEY_MISSING') },
    { name: 'empty', header: bearer(''), expected: () => '401 KEY_MALFORMED' },
    { name: 'another scheme', header: { authorization: 'Basic dTpw' }, expected: () => '401 KEY_MALFORMED' },
    { name: 'a broken checksum', header: bearer(broken), expected: () => '401 KEY_MALFORMED' },
    { name: 'unknown', header: bearer(token), expected: () => '401 KEY_UNKNOWN' },
    { name: 'revoked', header: revoked, expected: () => '401 KEY_REVOKED' },
    { name: 'expired', header: expired, expected: () => '401 KEY_EXPIRED' },
    ...narrow.flat(),
    {
      name: 'restricted to an account that does not exist',
      header: await keys.create(ofNone),
      expected: unlessOpen(() => '403 KEY_RESTRICTED'),
    },
    { name: 'with all scopes', header: await keys.create(), expected: () => undefined },
  ]
}

/** The first example of a route, which is valid as far as its schema goes. */
function requestTo(route: Route, headers: Record<string, string>, method: string): [string, RequestInit] {
  const [example] = Object.values(route.examples) as (Example | undefined)[]
  const params = (example?.params ?? {}) as Record<string, string>
  const path = route.path.replace(/:(\w+)/g, (_, name) => params[name] ?? 'any')
  const query = example?.query ? `?${new URLSearchParams(example.query)}` : ''
  if (!route.body || method === 'HEAD') return [path + query, { method, headers }]
  const body = JSON.stringify(example?.body ?? {})
  return [path + query, { method, headers: { 'content-type': 'application/json', ...headers }, body }]
}

/** Status and code of a refusal for want of a key; undefined for any other answer. */
async function refusalOf(service: ServiceName, port: number, path: string, init: RequestInit) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
  const { status, headers } = response
  if (status !== 401 && status !== 403) return void (await response.body?.cancel())
  expect(headers.get('www-authenticate')).toStartWith('Bearer realm="saldo"')
  if (init.method === 'HEAD') return String(status)
  const text = await response.text()
  expectDocumented(service, { method: init.method ?? 'GET', path, status, headers, text })
  return `${status} ${(JSON.parse(text) as { code: string }).code}`
}

test.each(serviceNames)('%s: every route, without a key and with every kind of key', async (service) => {
  await using stack = await startStack({ start: [service] })
  await using keys = openKeys(stack.databases[service])
  const { port } = stack[service]
  const cases = await casesOf(keys)
  const routes = routesOf[service]
  const guarded = routes.find(({ scope }) => scope !== 'open') as Route
  // The first key locks the door.
  await eventually(async () =>
    expect(await refusalOf(service, port, ...requestTo(guarded, {}, guarded.method))).toBe('401 KEY_MISSING'),
  )
  // Without waiting for a body.
  const post = routes.find(({ body }) => body) as Route
  const [path] = requestTo(post, {}, post.method)
  const early = await rawRequest(port, [
    head(`${post.method} ${path}`, {
      'Content-Type': 'application/json',
      'Content-Length': '100000000',
    }),
  ])
  expect([early.status, JSON.parse(early.text).code]).toEqual([401, 'KEY_MISSING'])

  const counts = { requests: 0, refused: 0 }
  const requests = routes.flatMap((route) =>
    (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]).map((method) => ({ route, method })),
  )
  for (const { name, header, expected } of cases) {
    // At once: keys are read again for one that is unknown, a few times a second.
    const asking = requests.map(async ({ route, method }) => {
      const refusal = await refusalOf(service, port, ...requestTo(route, header, method))
      const wanted = method === 'HEAD' ? expected(route)?.slice(0, 3) : expected(route)
      expect([route.id, method, name, refusal]).toEqual([route.id, method, name, wanted])
      counts.requests++
      if (refusal) counts.refused++
    })
    await Promise.all(asking)
  }
  const guardedCount = routes.filter(({ scope }) => scope !== 'open').length
  console.log(
    `${service}: ${routes.length} routes, ${guardedCount} with a scope; ${cases.length} kinds of key; ` +
      `${counts.requests} requests, of which ${counts.refused} were refused, all as expected`,
  )
  expect(guardedCount).toBeGreaterThan(10)
})
