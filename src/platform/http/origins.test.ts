import { expect, test } from 'bun:test'
import { type OriginRules, refuseOtherPages, refuseRead, refuseWrite } from './origins'

const local: OriginRules = { allowedHosts: [], corsOrigins: [] }
const named: OriginRules = {
  allowedHosts: ['wallet', 'api.example.com'],
  corsOrigins: ['https://app.example.com'],
}
const any: OriginRules = { allowedHosts: ['*'], corsOrigins: ['https://app.example.com'] }

const reasonOf = (rules: OriginRules, headers: Record<string, string>, method = 'POST') =>
  refuseWrite(new Request('http://x/', { method, headers }), rules)?.reason

const cases: [OriginRules, Record<string, string>, 'host' | 'origin' | undefined][] = [
  ...[
    'localhost',
    'LOCALHOST:8080',
    'localhost.',
    'app.localhost',
    '127.0.0.1',
    '127.9.9.9:1',
    '[::1]:80',
  ].map((host): (typeof cases)[number] => [local, { host }, undefined]),
  ...[
    'evil.example',
    'wallet',
    '128.0.0.1',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'xlocalhost',
    '[::2]',
    '',
  ].map((host): (typeof cases)[number] => [local, { host }, 'host']),
  [named, { host: 'wallet:8080' }, undefined],
  [named, { host: 'API.example.com.' }, undefined],
  [named, { host: 'localhost' }, undefined],
  [named, { host: 'app.example.com' }, 'host'],
  [local, { host: 'localhost', origin: 'http://localhost:3000' }, undefined],
  [local, { host: 'localhost', origin: 'http://127.0.0.1' }, undefined],
  [local, { host: 'localhost', origin: 'https://evil.example' }, 'origin'],
  [local, { host: 'localhost', origin: 'https://localhost.evil.example' }, 'origin'],
  [local, { host: 'localhost', origin: 'null' }, 'origin'],
  [local, { host: 'localhost', origin: '' }, 'origin'],
  [local, { host: 'localhost', origin: 'file://' }, 'origin'],
  ...[
    'http://evil.example@localhost',
    'http://localhost/path',
    'http://localhost\\.evil.example',
    'http://localhost?',
    'http://localhost#',
    'app://localhost',
    'moz-extension://localhost',
    'ws://localhost',
    'http://localhost:99999',
    'http://2130706433',
    'http://localhost, http://localhost',
  ].map((origin): (typeof cases)[number] => [local, { host: 'localhost', origin }, 'origin']),
  ...['HTTP://LOCALHOST:3000', 'https://[::1]', 'http://a.localhost'].map(
    (origin): (typeof cases)[number] => [local, { host: 'localhost', origin }, undefined],
  ),
  [local, { host: 'localhost', 'sec-fetch-site': 'cross-site' }, 'origin'],
  [local, { host: 'localhost', 'sec-fetch-site': 'same-origin' }, undefined],
  [named, { host: 'wallet', origin: 'https://app.example.com', 'sec-fetch-site': 'cross-site' }, undefined],
  [named, { host: 'wallet', origin: 'https://api.example.com:8443' }, undefined],
  [named, { host: 'wallet', origin: 'http://app.example.com' }, 'origin'],
  [any, { host: 'any.example' }, undefined],
  [any, { host: 'any.example', origin: 'https://any.example' }, undefined],
  [any, { host: 'any.example', origin: 'https://evil.example' }, 'origin'],
  [any, { host: 'localhost:8080', origin: 'https://evil.example' }, 'origin'],
  [any, { host: 'any.example', origin: 'https://app.example.com' }, undefined],
]

test.each(cases)('%j with %j: %p', (rules, headers, reason) => {
  expect(reasonOf(rules, headers)).toBe(reason)
  for (const method of ['PUT', 'DELETE', 'PATCH', 'PROPFIND'])
    expect(reasonOf(rules, headers, method)).toBe(reason)
  for (const method of ['GET', 'HEAD', 'OPTIONS']) expect(reasonOf(rules, headers, method)).toBeUndefined()
})

test.each([
  [local, 'evil.example', true],
  [local, '127.0.0.1.evil.example:3003', true],
  [local, 'xlocalhost.example', true],
  [named, 'app.example.com', true],
  [named, 'api.example.com', false],
  [any, 'evil.example', false],
  ...['localhost:3003', 'a.localhost', '127.0.0.1', '192.168.1.7:3003', '[::2]', 'balances:3003'].map(
    (host): [OriginRules, string, boolean] => [local, host, false],
  ),
])('a read with %j at host %s is refused: %p', (rules, host, isRefused) => {
  const request = new Request('http://x/', { headers: { host } })
  expect(refuseRead(request, rules, () => false)?.reason).toBe(isRefused ? 'host' : undefined)
  expect(refuseRead(request, rules, () => true)).toBeUndefined()
})

const host = 'localhost:3003'

test.each([
  [{ host }, true],
  [{ host, 'sec-fetch-site': 'same-origin' }, true],
  [{ host, 'sec-fetch-site': 'Same-Origin', origin: 'http://localhost:3003' }, true],
  // A proxy may change the name, but not what the browser says.
  [{ host: 'balances:3003', 'sec-fetch-site': 'same-origin', origin: 'https://saldo.example' }, true],
  [{ host, origin: 'http://localhost:3003' }, true],
  [{ host, origin: 'HTTP://LOCALHOST:3003' }, true],
  [{ host, 'sec-fetch-site': 'same-site', origin: 'http://localhost:3003' }, false],
  [{ host, 'sec-fetch-site': 'cross-site' }, false],
  [{ host, 'sec-fetch-site': 'none' }, false],
  [{ host, 'sec-fetch-site': '' }, false],
  [{ host, 'sec-fetch-site': 'same-origin, cross-site' }, false],
  [{ host, origin: 'http://localhost:8080' }, false],
  [{ host, origin: 'http://127.0.0.1:3003' }, false],
  [{ host, origin: 'null' }, false],
  [{ host, origin: '' }, false],
  [{ host, origin: 'https://evil.example' }, false],
] as [Record<string, string>, boolean][])(
  '%j comes from a page of the service, or none: %p',
  (headers, isOwn) => {
    const request = new Request('http://x/', { method: 'POST', headers })
    expect(refuseOtherPages(request) === undefined).toBe(isOwn)
  },
)
