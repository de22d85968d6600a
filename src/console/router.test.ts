import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { hashOf, parseHash } from './router'

test.each([
  ['', [], {}],
  ['#', [], {}],
  ['#/', [], {}],
  ['#/flow', ['flow'], {}],
  [
    '#/accounts/a%2Fb?at=2026-01-01T00:00:00Z&time=',
    ['accounts', 'a/b'],
    { at: '2026-01-01T00:00:00Z', time: '' },
  ],
  ['#/accounts/100%?x=?', ['accounts', '100%'], { x: '?' }],
])('%p is read', (hash, path, query) => {
  expect(parseHash(hash)).toEqual({ path, query } as never)
})

test('what is written is read again', () => {
  const text = fc.string({ minLength: 1, unit: 'grapheme' }).filter((one) => one.isWellFormed())
  fc.assert(
    fc.property(fc.array(text), fc.dictionary(text, text), (path, query) => {
      expect(parseHash(hashOf(path, query))).toEqual({ path, query: { ...query } })
    }),
  )
})
