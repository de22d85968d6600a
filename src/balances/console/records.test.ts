import { expect, test } from 'bun:test'
import { consumedTopic, isApplied } from './records'

test.each([
  ['balances', '', 'balances'],
  ['balances', 'shop.', 'shop.balances'],
  ['shop.balances', 'shop.', 'shop.balances'],
  ['personal-data', 'shop.', 'shop.personal-data'],
  // Not of this installation, and not of the projection.
  ['other.balances', 'shop.', undefined],
  ['shop.balances', '', undefined],
  ['transactions', '', undefined],
  ['shop.transactions', 'shop.', undefined],
  ['', '', undefined],
])('topic %p with the prefix %p is %p', (name, prefix, expected) => {
  expect(consumedTopic(name, prefix)).toBe(expected)
})

const deadLetter = { id: 1n, cause: 'not_json', detail: '', recordedAt: '2024-01-27T17:13:55.000Z' }

test.each([
  [{ nextOffset: undefined, deadLetter: undefined }, 0n, false],
  [{ nextOffset: 0n, deadLetter: undefined }, 0n, false],
  [{ nextOffset: 1n, deadLetter: undefined }, 0n, true],
  [{ nextOffset: 1n, deadLetter: undefined }, 1n, false],
  [{ nextOffset: 1n, deadLetter }, 0n, false],
])('%p: offset %p is applied: %p', (stored, offset, expected) => {
  expect(isApplied(stored, offset)).toBe(expected)
})
