import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { mergeLines } from './list-transactions'

const minute = (number: number): string => new Date(Date.UTC(2026, 0, 1, 0, number)).toISOString()
const lineOf = (accountId: string, version: number, at: number) => ({
  accountId,
  version: BigInt(version),
  transactionId: `${accountId}${version}`,
  isListed: true,
  isLast: false,
  createdAt: minute(at),
})
const idsOf = (lines: { transactionId: string }[]) => lines.map((line) => line.transactionId)

test.each([
  ['nothing', [], 2, [], undefined],
  ['a page that is full and the last', [lineOf('a', 2, 2), lineOf('a', 1, 1)], 2, ['a2', 'a1'], undefined],
  ['a line more than the page', [lineOf('a', 2, 2), lineOf('a', 1, 1)], 1, ['a2'], 'a2'],
  ['two accounts, newest first', [lineOf('a', 1, 1), lineOf('b', 1, 2)], 2, ['b1', 'a1'], undefined],
  [
    'the last that was looked at, which is listed',
    [{ ...lineOf('a', 2, 2), isLast: true }, lineOf('b', 1, 1)],
    2,
    ['a2'],
    'a2',
  ],
  [
    'the last that was looked at, which is not',
    [lineOf('b', 2, 3), { ...lineOf('a', 2, 2), isListed: false, isLast: true }, lineOf('b', 1, 1)],
    2,
    ['b2'],
    'a2',
  ],
  [
    'one time: account by account, the lower id first',
    [lineOf('b', 2, 1), lineOf('b', 1, 1), lineOf('a', 2, 1), lineOf('a', 1, 1)],
    3,
    ['a2', 'a1', 'b2'],
    'b2',
  ],
])('%s', (_, candidates, size, ids, next) => {
  const page = mergeLines(candidates, size)
  expect(idsOf(page.lines)).toEqual(ids)
  expect(page.next).toEqual(candidates.find(({ transactionId }) => transactionId === next))
})

test('a page is the newest lines of a total order', () => {
  const histories = fc.array(fc.array(fc.nat(3), { maxLength: 6 }), { maxLength: 4 })
  fc.assert(
    fc.property(histories, fc.nat(8), (times, size) => {
      const candidates = times.flatMap((ats, account) =>
        ats
          .toSorted((a, b) => a - b)
          .map((at, index) => lineOf(String(account), index + 1, at))
          .reverse(),
      )
      const sorted = candidates.toSorted(
        (a, b) =>
          b.createdAt.localeCompare(a.createdAt) ||
          a.accountId.localeCompare(b.accountId) ||
          Number(b.version - a.version),
      )
      const page = mergeLines(candidates, size)
      expect(page.lines).toEqual(sorted.slice(0, size))
      expect(page.next).toEqual(sorted.length > size && size > 0 ? sorted[size - 1] : undefined)
    }),
  )
})
