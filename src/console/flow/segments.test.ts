import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Hops, hopNames } from '../lanes.ts'
import { segmentsOf, stepsOf, totalMs } from './segments.ts'

const hopsOf = (...times: (number | null)[]): Hops =>
  Object.fromEntries(hopNames.map((name, index) => [name, times[index] ?? null])) as Hops

const drawn = (...times: (number | null)[]) =>
  segmentsOf(hopsOf(...times)).map(
    ({ from, to, ms, share, isCut, isGap }) =>
      `${from}-${to} ${ms} ms ${Math.round(100 * share)} %${isCut ? ' cut' : ''}${isGap ? ' gap' : ''}`,
  )

test.each([
  ['nothing', [], []],
  ['one hop', [null, 5], []],
  ['two hops', [null, 5, null, null, null, 15.04], ['decided-applied 10 ms 100 % gap']],
  [
    'all hops',
    [0, 1, 5, 6, 12, 18, 18],
    [
      'requested-decided 1 ms 7 %',
      'decided-appended 4 ms 22 %',
      'appended-published 1 ms 7 %',
      'published-received 6 ms 32 %',
      'received-applied 6 ms 32 %',
      'applied-visible 0 ms 2 %',
    ],
  ],
  [
    'a long wait in the outbox',
    [0, 1, 5, 60_005, 60_010, 60_014, 60_014.1],
    [
      'requested-decided 1 ms 3 %',
      'decided-appended 4 ms 8 %',
      'appended-published 60000 ms 69 % cut',
      'published-received 5 ms 10 %',
      'received-applied 4 ms 8 %',
      'applied-visible 0.1 ms 2 %',
    ],
  ],
  [
    'a clock that is behind',
    [0, 1, 5, 6, 4, 6, 6],
    [
      'requested-decided 1 ms 13 %',
      'decided-appended 4 ms 47 %',
      'appended-published 1 ms 13 %',
      'published-received -2 ms 2 %',
      'received-applied 2 ms 24 %',
      'applied-visible 0 ms 2 %',
    ],
  ],
  ['no time at all', [7, 7, 7], ['requested-decided 0 ms 50 %', 'decided-appended 0 ms 50 %']],
])('segments of %s', (_, times, expected) => {
  expect(drawn(...times)).toEqual(expected)
})

test('for any times the segments fill the bar, and the longest is drawn longest', () => {
  const times = fc.array(fc.option(fc.double({ min: 0, max: 1e12, noNaN: true })), { maxLength: 7 })
  fc.assert(
    fc.property(times, (given) => {
      const segments = segmentsOf(hopsOf(...given))
      if (segments.length === 0) return
      expect(segments.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 6)
      const longest = segments.reduce((one, other) => (other.ms > one.ms ? other : one))
      for (const { share } of segments) {
        expect(share).toBeGreaterThan(0)
        expect(share).toBeLessThanOrEqual(longest.share + 1e-9)
      }
    }),
  )
})

test('steps have the time since the known hop before, and all of them a total', () => {
  const hops = hopsOf(null, 10, null, 12.5, 11)
  expect(stepsOf(hops).map(({ at, sinceMs }) => [at, sinceMs])).toEqual([
    [null, null],
    [10, null],
    [null, null],
    [12.5, 2.5],
    [11, -1.5],
    [null, null],
    [null, null],
  ])
  expect([totalMs(hops), totalMs(hopsOf(1)), totalMs(hopsOf())]).toEqual([1, null, null])
})
