import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createToken, hashOf, isWellFormed } from './token'

// Checksums and hashes of zlib and OpenSSL.
test.each([
  [
    'saldo_live_00000000000000000000000000000000000000000003h9HFU',
    'a86aaee0b60acb211bdbf8292c4e16602d6e6154cf4660bf725a34c0ffd3beea',
  ],
  [
    'saldo_test_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789aBcDeFg05onEW',
    'f80ea32ab934cc80a9d82d466f32a3f13d3275c33ce6588b6db14d7519e6de70',
  ],
  [
    'saldo_a1_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz3oVyAk',
    '8b9eaaeb9136bbd18a1e1ac74c9ae93feef1e121f26e61c088d8bbb206944964',
  ],
])('%s is well-formed', (token, hash) => {
  expect([isWellFormed(token), hashOf(token)]).toEqual([true, hash])
})

test('new tokens are well-formed, differ, and show what they are for', () => {
  const created = Array.from({ length: 200 }, () => createToken('test'))
  for (const { token, hash, hint } of created) {
    expect(token).toMatch(/^saldo_test_[0-9A-Za-z]{49}$/)
    expect([isWellFormed(token), hashOf(token), token.slice(11, 15)]).toEqual([true, hash, hint])
  }
  expect(new Set(created.map(({ hash }) => hash)).size).toBe(created.length)
})

test.each([
  '',
  'saldo_live_',
  'saldo_live_0000000000000000000000000000000000000000000',
  'saldo_live_00000000000000000000000000000000000000000003h9HFU ',
  'saldo_live_00000000000000000000000000000000000000000003h9HFU\n',
  'Saldo_live_00000000000000000000000000000000000000000003h9HFU',
  'saldo_LIVE_00000000000000000000000000000000000000000003h9HFU',
  'saldo__00000000000000000000000000000000000000000003h9HFU',
])('%j is not well-formed', (text) => {
  expect(isWellFormed(text)).toBe(false)
})

/** A character replaced, removed or inserted, two of them swapped, or one in another case. */
const mutation = (text: string) =>
  fc
    .tuple(fc.nat({ max: text.length - 1 }), fc.string({ minLength: 1, maxLength: 2 }), fc.nat({ max: 4 }))
    .map(([at, other, kind]) => {
      const [before, one, after] = [text.slice(0, at), text.slice(at, at + 1), text.slice(at + 1)]
      if (kind === 0) return before + other + after
      if (kind === 1) return before + after
      if (kind === 2) return before + other + one + after
      if (kind === 3) return before + after.slice(0, 1) + one + after.slice(1)
      return before + (one === one.toUpperCase() ? one.toLowerCase() : one.toUpperCase()) + after
    })
    .filter((mutated) => mutated !== text)

test('a token with one change has another checksum', () => {
  const { token } = createToken('live')
  fc.assert(
    fc.property(mutation(token), (mutated) => {
      expect([mutated, isWellFormed(mutated)]).toEqual([mutated, false])
    }),
    { numRuns: 2000 },
  )
})
