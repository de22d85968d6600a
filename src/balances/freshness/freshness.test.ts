import { expect, test } from 'bun:test'
import { lagOf, type Offsets } from '../projection/offsets'
import { arrivedOf, createLooks, withoutDeleted } from './freshness'

const offsets = (one: number, other: number): Offsets =>
  new Map([
    ['balances/0', BigInt(one)],
    ['balances/1', BigInt(other)],
  ])
const at = (second: number) => new Date(Date.UTC(2024, 0, 27, 17, 0, second)).toISOString()

test('answers are as of the last look that the positions have reached, on every partition', () => {
  const looks = createLooks()
  const take = (second: number, ends: Offsets, positions: Offsets) => looks.take(at(second), ends, positions)
  expect(take(0, offsets(5, 5), new Map())).toEqual({ asOf: undefined, lag: 10n })
  expect(take(1, offsets(8, 5), offsets(5, 4))).toEqual({ asOf: undefined, lag: 4n })
  expect(take(2, offsets(9, 9), offsets(7, 5))).toEqual({ asOf: at(0), lag: 6n })
  expect(take(3, offsets(9, 9), offsets(8, 9))).toEqual({ asOf: at(1), lag: 1n })
  expect(take(4, offsets(9, 9), offsets(9, 9))).toEqual({ asOf: at(4), lag: 0n })
  expect(take(5, offsets(20, 9), offsets(9, 9))).toEqual({ asOf: at(4), lag: 11n })
})

test('a reader that is behind for hours forgets some looks, and never claims too much', () => {
  const looks = createLooks()
  for (let second = 0; second < 5000; second++) looks.take(at(second), offsets(second, 0), offsets(0, 0))
  for (const position of [1, 700, 2500, 4900]) {
    const { asOf } = looks.take(at(5000), offsets(5000, 0), offsets(position, 0))
    expect((asOf ?? '') <= at(position)).toBe(true)
    expect((asOf ?? '') >= at(Math.max(0, position - 64))).toBe(true)
  }
})

test('a topic that was made anew ends before the positions, and is not ahead', () => {
  expect(createLooks().take(at(0), offsets(0, 3), offsets(9, 3))).toEqual({ asOf: at(0), lag: 0n })
})

test('what has arrived is what was written a while before the last look, and nothing before the first', () => {
  const asked = Date.parse(at(30))
  const [unknown, early] = [Number.NEGATIVE_INFINITY, Date.parse(at(28))]
  const asOf = (second: number, lag: bigint | undefined) => arrivedOf({ asOf: at(second), lag }, asked)
  expect(arrivedOf({ asOf: undefined, lag: undefined }, asked)).toEqual({
    untilMs: unknown,
    isCurrent: false,
  })
  expect(arrivedOf({ asOf: undefined, lag: 3n }, asked)).toEqual({ untilMs: unknown, isCurrent: false })
  expect(asOf(30, 0n)).toEqual({ untilMs: early, isCurrent: true })
  expect(asOf(30, 1n)).toEqual({ untilMs: early, isCurrent: false })
  // Nobody has looked for long: the broker is away.
  expect(asOf(20, 0n).isCurrent).toBe(false)
  // Behind again, and yet all that was written before it was asked for is here.
  expect(asOf(33, 1n).isCurrent).toBe(true)
})

type Pair = [number, number]
test.each<[string, Pair, Pair, Pair, bigint]>([
  ['nothing was deleted', [3, 5], [0, 0], [4, 5], 1n],
  ['some was deleted before it was applied', [3, 5], [6, 0], [8, 5], 2n],
  ['everything was deleted before it was applied', [3, 0], [8, 9], [8, 9], 0n],
  ['what was deleted was applied', [8, 5], [6, 5], [9, 5], 1n],
])('lag counts what the logs still have: %s', (_, positions, firsts, ends, lag) => {
  expect(lagOf(offsets(...ends), withoutDeleted(offsets(...positions), offsets(...firsts)))).toBe(lag)
  expect(withoutDeleted(new Map(), offsets(...firsts)).get('balances/0') ?? 0n).toBe(BigInt(firsts[0]))
})
