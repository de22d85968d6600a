import { expect, test } from 'bun:test'
import { fingerprint, parseIdempotencyKey } from './idempotency-key'

test.each([
  ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', '8e03978e-40d5-43e8-bc93-6894a57f9324'],
  ['8e03978e-40d5-43e8-bc93-6894a57f9324', '8e03978e-40d5-43e8-bc93-6894a57f9324'],
  ['"with \\"quotes\\" and \\\\"', 'with "quotes" and \\'],
  ['  order 7  ', 'order 7'],
  ['"order 7, again"', 'order 7, again'],
  ['x'.repeat(255), 'x'.repeat(255)],
])('%p is the key %p', (header, key) => {
  expect(parseIdempotencyKey(header)).toBe(key)
})

// The last ones are what HTTP makes of two lines of the header.
test.each([
  '',
  '   ',
  '""',
  '"open',
  '"a"b"',
  '"a\\b"',
  'tëst',
  'a\u0000b',
  'x'.repeat(256),
  `"${'x'.repeat(256)}"`,
  'a, b',
  'a, a',
  ',',
  '"a", "b"',
  '"a", b',
])('%p is no key', (header) => {
  expect(() => parseIdempotencyKey(header)).toThrow('Idempotency-Key must be one key')
})

test('the order of members makes no difference to a fingerprint, anything else does', () => {
  const one = fingerprint('POST /transactions', { amount: 1, to: { a: 1, b: [1, 2] } })
  expect(fingerprint('POST /transactions', { to: { b: [1, 2], a: 1 }, amount: 1 })).toBe(one)
  expect(fingerprint('POST /transactions', { to: { b: [2, 1], a: 1 }, amount: 1 })).not.toBe(one)
  expect(fingerprint('POST /transactions', { amount: 2, to: { a: 1, b: [1, 2] } })).not.toBe(one)
  expect(fingerprint('POST /other', { amount: 1, to: { a: 1, b: [1, 2] } })).not.toBe(one)
})

test('money and times have one form, however they were written', () => {
  const request = { amountMinor: 1000n, effectiveAt: new Date('2026-01-31T23:00:00-03:00') }
  expect(fingerprint('POST /holds', request)).toBe(
    fingerprint('POST /holds', { effectiveAt: '2026-02-01T02:00:00.000Z', amountMinor: '1000' }),
  )
})
