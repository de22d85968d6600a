import { expect, test } from 'bun:test'
import { formatProgress } from './progress-bar'

test.each([
  [{ total: 1000, done: 0, elapsedMs: 0 }, '0 of 1,000 rows (0 %), 0 a second'],
  [{ total: 1000, done: 250, elapsedMs: 500 }, '250 of 1,000 rows (25 %), 500 a second, 2 s left'],
  [
    { total: 1_000_000, done: 10_000, elapsedMs: 1000 },
    '10,000 of 1,000,000 rows (1 %), 10,000 a second, 99 s left',
  ],
  [{ total: 1000, done: 1000, elapsedMs: 4000 }, '1,000 of 1,000 rows (100 %), 250 a second'],
  // The total may grow meanwhile.
  [{ total: 1000, done: 1001, elapsedMs: 1000 }, '1,001 of 1,000 rows (100 %), 1,001 a second'],
  [{ total: 0, done: 0, elapsedMs: 0 }, '0 of 0 rows (100 %), 0 a second'],
])('%p', (state, text) => {
  expect(formatProgress({ unit: 'rows', ...state })).toBe(text)
})
