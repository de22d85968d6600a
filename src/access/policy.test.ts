import { expect, test } from 'bun:test'
import { type AuthMode, decideStart } from './policy'

const decide = (auth: AuthMode, host: string, hasKeys: boolean) => {
  const decision = decideStart({ service: 'wallet', auth, host, hasKeys })
  return decision.needed ?? 'refused'
}

const [loopback, open] = ['127.0.0.1', '0.0.0.0']

// Which requests need a key, by bind address and whether there is one.
test.each<[AuthMode, string, boolean, string]>([
  [undefined, loopback, false, 'none'],
  [undefined, loopback, true, 'all'],
  [undefined, open, false, 'refused'],
  [undefined, open, true, 'all'],
  ['keys', loopback, false, 'all'],
  ['keys', loopback, true, 'all'],
  ['keys', open, false, 'all'],
  ['keys', open, true, 'all'],
  ['anonymous-read', loopback, false, 'beyond_reads'],
  ['anonymous-read', loopback, true, 'beyond_reads'],
  ['anonymous-read', open, false, 'beyond_reads'],
  ['anonymous-read', open, true, 'beyond_reads'],
  ['off', loopback, false, 'none'],
  ['off', loopback, true, 'refused'],
  ['off', open, false, 'none'],
  ['off', open, true, 'refused'],
])('AUTH=%p on %s, with a key: %p: %s', (auth, host, hasKeys, expected) => {
  expect(decide(auth, host, hasKeys)).toBe(expected)
})

test.each(['127.0.0.1', '127.9.8.7', 'localhost', 'LOCALHOST', '::1', '[::1]'])('%s is loopback', (host) => {
  expect(decide(undefined, host, false)).toBe('none')
})

test.each([
  '0.0.0.0',
  '::',
  '192.168.0.7',
  '127.0.0.1.example.com',
  'localhost.example.com',
  '1127.0.0.1',
  '',
])('%p is not loopback', (host) => {
  expect(decide(undefined, host, false)).toBe('refused')
})

test('a refusal names every remedy', () => {
  const nothing = decideStart({ service: 'balances', auth: undefined, host: open, hasKeys: false })
  expect(nothing.refusal).toMatch(/keys create --service balances .*HOST=127\.0\.0\.1.*AUTH=off/s)
  const contradiction = decideStart({ service: 'wallet', auth: 'off', host: loopback, hasKeys: true })
  expect(contradiction.refusal).toMatch(/would not be checked.*Unset AUTH.*API_KEYS.*api_keys/s)
})
