import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseWanted, sliceEntries } from './republish'

test('slices cover all entries of all accounts, in order, a bounded number at a time', () => {
  const accounts = fc.array(fc.bigInt({ min: 0n, max: 30n }), { maxLength: 10 })
  fc.assert(
    fc.property(accounts, fc.integer({ min: 1, max: 12 }), (versions, size) => {
      const batches = [
        ...sliceEntries(
          versions.map((version, id) => ({ id: String(id), version })),
          size,
        ),
      ]
      const numbersIn = (slices: (typeof batches)[number]) =>
        slices.flatMap(({ accountId, after, upTo }) =>
          Array.from(
            { length: Number(upTo - after) },
            (_, index) => `${accountId}:${after + BigInt(index + 1)}`,
          ),
        )
      const all = versions.flatMap((version, id) =>
        Array.from({ length: Number(version) }, (_, index) => `${id}:${index + 1}`),
      )
      expect(batches.flatMap(numbersIn)).toEqual(all)
      expect(batches.slice(0, -1).every((slices) => numbersIn(slices).length === size)).toBe(true)
      expect(batches.every((slices) => numbersIn(slices).length <= size && slices.length > 0)).toBe(true)
    }),
  )
})

const eva = 'd6a41403-bbd0-11ee-8a24-0242ac120003'

test('an account and a time may be asked for, and nothing else', () => {
  expect(parseWanted([])).toEqual({ accountId: undefined, since: new Date(0) })
  expect(parseWanted(['--account', eva.toUpperCase(), '--since=2026-01-31T00:00:00-03:00'])).toEqual({
    accountId: eva,
    since: new Date('2026-01-31T03:00:00Z'),
  })
})

test.each([
  [['--account', 'eva'], '--account must be a UUID, but is "eva"'],
  [
    ['--since', 'yesterday'],
    '--since must be an RFC 3339 time such as 2026-01-31T00:00:00Z, but is "yesterday"',
  ],
  // Without a zone it would be another time on every machine.
  [['--since', '2026-01-31T00:00:00'], '--since must be'],
  [['--since', '2026-13-31T00:00:00Z'], '--since must be'],
  [['--since', '2026-02-30T00:00:00Z'], '--since must be'],
  [['--since', '9999-12-31T23:59:59-01:00'], '--since must be'],
  [['--until', '2026-01-31T00:00:00Z'], "Unknown option '--until'"],
  [['all'], 'Unexpected argument'],
])('%p is refused', (args, message) => {
  expect(() => parseWanted(args)).toThrow(message)
})
