import { expect, test } from 'bun:test'
import { lagOf, type Offsets } from '../projection/offsets'
import { clampToLogStart, coverageOf, WatermarkTracker } from './freshness'

const offsets = (one: number, other: number): Offsets =>
  new Map([
    ['balances/0', BigInt(one)],
    ['balances/1', BigInt(other)],
  ])
const at = (second: number) => new Date(Date.UTC(2024, 0, 27, 17, 0, second)).toISOString()

test('asOf is the newest sample that the applied offsets have reached on every partition', () => {
  const tracker = new WatermarkTracker()
  const sample = (second: number, ends: Offsets, positions: Offsets) =>
    tracker.sample(at(second), ends, positions)
  expect(sample(0, offsets(5, 5), new Map())).toEqual({ asOf: undefined, lag: 10n })
  expect(sample(1, offsets(8, 5), offsets(5, 4))).toEqual({ asOf: undefined, lag: 4n })
  expect(sample(2, offsets(9, 9), offsets(7, 5))).toEqual({ asOf: at(0), lag: 6n })
  expect(sample(3, offsets(9, 9), offsets(8, 9))).toEqual({ asOf: at(1), lag: 1n })
  expect(sample(4, offsets(9, 9), offsets(9, 9))).toEqual({ asOf: at(4), lag: 0n })
  expect(sample(5, offsets(20, 9), offsets(9, 9))).toEqual({ asOf: at(4), lag: 11n })
})

test('a consumer that lags for hours drops samples and never reports too new an asOf', () => {
  const tracker = new WatermarkTracker()
  for (let second = 0; second < 5000; second++) tracker.sample(at(second), offsets(second, 0), offsets(0, 0))
  for (const offset of [1, 700, 2500, 4900]) {
    const { asOf } = tracker.sample(at(5000), offsets(5000, 0), offsets(offset, 0))
    expect((asOf ?? '') <= at(offset)).toBe(true)
    expect((asOf ?? '') >= at(Math.max(0, offset - 64))).toBe(true)
  }
})

test('a recreated topic ends before the applied offsets, which is no lag', () => {
  expect(new WatermarkTracker().sample(at(0), offsets(0, 3), offsets(9, 3))).toEqual({ asOf: at(0), lag: 0n })
})

test('coverage ends a publish delay before the last sample, and is empty before the first', () => {
  const requested = Date.parse(at(30))
  const [unknown, early] = [Number.NEGATIVE_INFINITY, Date.parse(at(28))]
  const asOf = (second: number, lag: bigint | undefined) => coverageOf({ asOf: at(second), lag }, requested)
  expect(coverageOf({ asOf: undefined, lag: undefined }, requested)).toEqual({
    untilMs: unknown,
    isCurrent: false,
  })
  expect(coverageOf({ asOf: undefined, lag: 3n }, requested)).toEqual({ untilMs: unknown, isCurrent: false })
  expect(asOf(30, 0n)).toEqual({ untilMs: early, isCurrent: true })
  expect(asOf(30, 1n)).toEqual({ untilMs: early, isCurrent: false })
  // No sample for long: the broker is down.
  expect(asOf(20, 0n).isCurrent).toBe(false)
  // Lagging again, but everything written before the request is applied.
  expect(asOf(33, 1n).isCurrent).toBe(true)
})

type Pair = [number, number]
test.each<[string, Pair, Pair, Pair, bigint]>([
  ['nothing was deleted', [3, 5], [0, 0], [4, 5], 1n],
  ['some was deleted before it was applied', [3, 5], [6, 0], [8, 5], 2n],
  ['everything was deleted before it was applied', [3, 0], [8, 9], [8, 9], 0n],
  ['what was deleted was applied', [8, 5], [6, 5], [9, 5], 1n],
])('lag counts only records that the log still has: %s', (_, applied, starts, ends, lag) => {
  expect(lagOf(offsets(...ends), clampToLogStart(offsets(...applied), offsets(...starts)))).toBe(lag)
  expect(clampToLogStart(new Map(), offsets(...starts)).get('balances/0') ?? 0n).toBe(BigInt(starts[0]))
})
