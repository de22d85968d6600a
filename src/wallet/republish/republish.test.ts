import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { entryRanges } from './republish'

test('ranges cover all entries of all accounts, in order, a bounded number at a time', () => {
  const accounts = fc.array(fc.bigInt({ min: 0n, max: 30n }), { maxLength: 10 })
  fc.assert(
    fc.property(accounts, fc.integer({ min: 1, max: 12 }), (versions, size) => {
      const pages = [
        ...entryRanges(
          versions.map((version, id) => ({ id: String(id), version })),
          size,
        ),
      ]
      const entriesIn = (ranges: (typeof pages)[number]) =>
        ranges.flatMap(({ accountId, after, upTo }) =>
          Array.from(
            { length: Number(upTo - after) },
            (_, index) => `${accountId}:${after + BigInt(index + 1)}`,
          ),
        )
      const all = versions.flatMap((version, id) =>
        Array.from({ length: Number(version) }, (_, index) => `${id}:${index + 1}`),
      )
      expect(pages.flatMap(entriesIn)).toEqual(all)
      expect(pages.slice(0, -1).every((ranges) => entriesIn(ranges).length === size)).toBe(true)
      expect(pages.every((ranges) => entriesIn(ranges).length <= size && ranges.length > 0)).toBe(true)
    }),
  )
})
