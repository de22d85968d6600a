import { expect, test } from 'bun:test'
import { fingerprint, parseIdempotencyKey } from './idempotency-key'

test.each([
  ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', '8e03978e-40d5-43e8-bc93-6894a57f9324'],
  ['8e03978e-40d5-43e8-bc93-6894a57f9324', '8e03978e-40d5-43e8-bc93-6894a57f9324'],
  ['"with \\"quotes\\" and \\\\"', 'with "quotes" and \\'],
  ['  order 7, again  ', 'order 7, again'],
  ['x'.repeat(255), 'x'.repeat(255)],
])('%p is the key %p', (header, key) => {
  expect(parseIdempotencyKey(header)).toEqual({ ok: true, key })
})

test.each(['', '   ', '""', '"open', '"a"b"', '"a\\b"', 'tëst', 'a\u0000b', 'x'.repeat(256), `"${'x'.repeat(256)}"`])(
  '%p is no key',
  (header) => {
    expect(parseIdempotencyKey(header)).toMatchObject({ ok: false })
  },
)

test('the order of members makes no difference to what was asked for, anything else does', () => {
  const one = fingerprint('POST /transactions', { amount: 1, to: { a: 1, b: [1, 2] } })
  expect(fingerprint('POST /transactions', { to: { b: [1, 2], a: 1 }, amount: 1 })).toBe(one)
  expect(fingerprint('POST /transactions', { to: { b: [2, 1], a: 1 }, amount: 1 })).not.toBe(one)
  expect(fingerprint('POST /transactions', { amount: 2, to: { a: 1, b: [1, 2] } })).not.toBe(one)
  expect(fingerprint('POST /other', { amount: 1, to: { a: 1, b: [1, 2] } })).not.toBe(one)
})
