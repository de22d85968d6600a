import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Guarded } from '../platform/http/guard'
import { principalOf } from '../platform/http/principal'
import { createGuard, withoutKeys } from './guard'
import { type KeyEntry, KeyRing } from './key-ring'
import type { Needed } from './policy'
import { createRestrict } from './restriction'
import { createToken } from './token'

const { token, hash } = createToken('live')
const entry: KeyEntry = {
  ...{ id: 'k', name: 'terminal', hash, scopes: ['write'] },
  ...{ accountIds: null, clientId: null, expiresAt: null },
}
type Route = Guarded<never>
const reading: Route = { scope: 'read' }
const writing: Route = { scope: 'write' }
const free: Route = { scope: 'open' }

async function guardOf(given: Partial<KeyEntry> = {}, needed: Needed | undefined = 'all') {
  const restrict = createRestrict(async () => null)
  const keys = new KeyRing({ entries: [{ ...entry, ...given }], restrict, read: async () => [] })
  await keys.readAgain()
  return createGuard({ keys, needed: () => needed })
}

const nowhere = () => undefined
const requestWith = (authorization?: string) =>
  new Request('http://host/', authorization === undefined ? {} : { headers: { authorization } })

/** Status and code of a refusal; undefined for none. */
async function codeOf(refusal: Response | undefined | Promise<Response | undefined>) {
  const refused = await refusal
  if (!refused) return undefined
  return [refused.status, ((await refused.json()) as { code: string }).code]
}

test('a valid key with the scope is admitted, and its name is the principal', async () => {
  const guard = await guardOf()
  for (const header of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token} `]) {
    const request = requestWith(header)
    expect(guard.admit(request, writing, nowhere)).toBeUndefined()
    expect(principalOf(request)).toMatchObject({ keyId: 'k', name: 'terminal' })
  }
})

test.each<[Needed | undefined, Route | undefined, [number, string] | undefined]>([
  ['all', reading, [401, 'KEY_MISSING']],
  ['all', writing, [401, 'KEY_MISSING']],
  ['all', free, undefined],
  // No route: a 404 or 405 follows.
  ['all', undefined, undefined],
  ['beyond_reads', reading, undefined],
  ['beyond_reads', writing, [401, 'KEY_MISSING']],
  ['beyond_reads', { scope: 'admin' }, [401, 'KEY_MISSING']],
  ['none', writing, undefined],
  ['none', { scope: 'admin' }, undefined],
  // The keys were not read yet.
  [undefined, free, undefined],
  [undefined, reading, [503, 'UNAVAILABLE']],
])('without a key, where %s needs one, %j: %j', async (needed, route, expected) => {
  const restrict = createRestrict(async () => null)
  const keys = new KeyRing({ entries: [], restrict, read: async () => [] })
  const guard = createGuard({ keys, needed: () => needed })
  expect(await codeOf(guard.admit(requestWith(), route, nowhere))).toEqual(expected)
  if (route) expect(await codeOf(guard.permit(route, { request: requestWith() }))).toEqual(expected)
})

test('a refusal names the scheme, the error and the scope that is needed', async () => {
  const guard = await guardOf()
  const challengeOf = async (header: string | undefined, route: Route) =>
    (await guard.admit(requestWith(header), route, nowhere))?.headers.get('www-authenticate')
  expect(await challengeOf(undefined, reading)).toBe('Bearer realm="saldo", scope="read"')
  expect(await challengeOf('Bearer x', reading)).toBe('Bearer realm="saldo", error="invalid_token"')
  expect(await challengeOf(`Bearer ${token}`, reading)).toBe(
    'Bearer realm="saldo", error="insufficient_scope", scope="read"',
  )
})

test.each<[string, Partial<KeyEntry>, [number, string]]>([
  ['expired', { expiresAt: '2026-01-01T00:00:00Z' }, [401, 'KEY_EXPIRED']],
  // What is wrong with the key itself comes first.
  ['expired, and without the scope', { expiresAt: '2026-01-01T00:00:00Z', scopes: [] }, [401, 'KEY_EXPIRED']],
  ['without the scope', { scopes: ['read', 'admin'] }, [403, 'INSUFFICIENT_SCOPE']],
  ['of another hash', { hash: 'a'.repeat(64) }, [401, 'KEY_UNKNOWN']],
])('a key that is %s is refused', async (_, given, expected) => {
  const guard = await guardOf(given)
  expect(await codeOf(guard.admit(requestWith(`Bearer ${token}`), writing, nowhere))).toEqual(expected)
})

test('a bad key is refused also where none is needed', async () => {
  const bad = createToken('live').token
  for (const needed of ['none', 'beyond_reads', 'all'] as const) {
    const guard = await guardOf({}, needed)
    for (const route of [reading, free, undefined])
      expect(await codeOf(guard.admit(requestWith(`Bearer ${bad}`), route, nowhere))).toEqual([
        401,
        'KEY_UNKNOWN',
      ])
  }
  expect(await codeOf(withoutKeys.admit(requestWith(`Bearer ${bad}`), free, nowhere))).toEqual([
    401,
    'KEY_UNKNOWN',
  ])
  // What stands before a service without keys may have a scheme of its own.
  for (const other of ['Basic dTpw', 'Bearer eyJhbGciOiJub25lIn0.e30.'])
    expect(withoutKeys.admit(requestWith(other), free, nowhere)).toBeUndefined()
})

test('a route is checked for itself, although another one was admitted for the request', async () => {
  const guard = await guardOf()
  const request = requestWith(`Bearer ${token}`)
  expect(guard.admit(request, writing, nowhere)).toBeUndefined()
  expect(guard.permit(writing, { request })).toBeUndefined()
  expect(await codeOf(guard.permit(reading, { request }))).toEqual([403, 'INSUFFICIENT_SCOPE'])
})

test('a key that ends while its request is still being read is refused before the handler', async () => {
  let isThere = true
  const restrict = createRestrict(async () => null)
  const stored = { ...entry, env: 'live', hint: '', createdAt: '', revokedAt: null, lastUsedOn: null }
  const read = async () => (isThere ? [{ ...stored, readAt: new Date().toISOString() }] : [])
  const keys = new KeyRing({ entries: [], restrict, read })
  await keys.readAgain()
  const guard = createGuard({ keys, needed: () => 'all' })
  const request = requestWith(`Bearer ${token}`)
  expect(guard.admit(request, writing, nowhere)).toBeUndefined()
  isThere = false
  await keys.readAgain()
  expect(await codeOf(guard.permit(writing, { request }))).toEqual([401, 'KEY_UNKNOWN'])
})

test.each<[string, Route, [number, string] | undefined]>([
  ['one of its accounts', { scope: 'write', subjects: () => [{ account: 'eva' }] }, undefined],
  [
    'one of its accounts and another',
    { scope: 'write', subjects: async () => [{ account: 'eva' }, { account: 'frank' }] },
    [403, 'KEY_RESTRICTED'],
  ],
  ['nothing', { scope: 'write', subjects: () => [] }, [403, 'KEY_RESTRICTED']],
  ['what the route does not say', { scope: 'write' }, [403, 'KEY_RESTRICTED']],
  ['a document', { scope: 'open' }, undefined],
])('a restricted key and a request about %s', async (_, route, expected) => {
  const guard = await guardOf({ accountIds: ['eva'] })
  const request = requestWith(`Bearer ${token}`)
  expect(guard.admit(request, route, nowhere)).toBeUndefined()
  expect(await codeOf(guard.permit(route, { request }))).toEqual(expected)
})

test('keys that could not be read for a minute are not taken', async () => {
  let ms = 0
  const restrict = createRestrict(async () => null)
  const keys = new KeyRing({ entries: [entry], restrict, read: async () => [], elapsed: () => ms })
  await keys.readAgain()
  const guard = createGuard({ keys, needed: () => 'all' })
  const ask = () => codeOf(guard.admit(requestWith(`Bearer ${token}`), writing, nowhere))
  ms = 60_000
  expect(await ask()).toBeUndefined()
  ms = 60_001
  expect(await ask()).toEqual([503, 'UNAVAILABLE'])
})

test('anything else in the header is refused, and never an error', async () => {
  const guard = await guardOf()
  // Only what a header may have: the runtime refuses the rest.
  const text = fc.stringMatching(/^[!-~]{0,80}$/)
  const nearby = fc
    .tuple(fc.nat({ max: token.length }), text)
    .map(([at, other]) => token.slice(0, at) + other + token.slice(at + other.length))
  const header = fc
    .tuple(fc.constantFrom('Bearer ', 'bearer ', 'Bearer', 'Basic ', '', 'Bearer  '), fc.oneof(text, nearby))
    .map(([scheme, rest]) => scheme + rest)
    .filter((value) => value.trim() !== '' && !value.endsWith(` ${token}`))
  const codes = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(header, async (value) => {
      const [status, code] = (await codeOf(guard.admit(requestWith(value), writing, nowhere))) ?? []
      codes.set(String(code), (codes.get(String(code)) ?? 0) + 1)
      expect([value, status]).toEqual([value, 401])
    }),
    { numRuns: 3000 },
  )
  console.log(`headers: ${[...codes].map(([code, count]) => `${count} ${code}`).join(', ')}`)
})
