import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { Budget, chooseNewest, EventRing, quantilesOf } from './flow-sampling'

test('a budget gives what it has earned, and at most a second of it', () => {
  const budget = new Budget(20)
  expect(budget.take(15, 0)).toBe(15)
  expect(budget.take(15, 0)).toBe(5)
  expect(budget.take(1, 49)).toBe(0)
  expect(budget.take(9, 100)).toBe(2)
  expect(budget.take(99, 60_000)).toBe(20)
  // A clock that runs backwards takes nothing away.
  expect(budget.take(99, 59_000)).toBe(0)
})

test('over a second no more than twice the budget is given, however it is asked for', () => {
  const asked = fc.array(fc.record({ wanted: fc.nat(50), afterMs: fc.nat(40) }), { maxLength: 60 })
  fc.assert(
    fc.property(asked, (asks) => {
      const budget = new Budget(20)
      let [nowMs, given] = [0, 0]
      for (const { wanted, afterMs } of asks) {
        nowMs += afterMs
        if (nowMs <= 1000) given += budget.take(wanted, nowMs)
      }
      expect(given).toBeLessThanOrEqual(40)
    }),
  )
})

test.each([
  ['a1 a2 a3', 5, 'a1 a2 a3'],
  ['a1 a2 a3', 2, 'a2 a3'],
  ['a1 a2 b1 a3 b2', 2, 'a3 b2'],
  ['a1 a2 b1 a3 c1', 3, 'b1 a3 c1'],
  ['a1 a2 a3 a4 b1', 3, 'a3 a4 b1'],
  ['a1', 0, ''],
  ['', 3, ''],
])('of %p, %p are chosen: %p', (items, count, expected) => {
  const list = items === '' ? [] : items.split(' ')
  expect(chooseNewest(list, count, (item) => item[0] as string).join(' ')).toBe(expected)
})

test.each([
  ['nothing', [], null],
  ['one', [7], { p50: 7, p99: 7 }],
  ['three', [3, 1, 2], { p50: 2, p99: 3 }],
  ['200', Array.from({ length: 200 }, (_, index) => 200 - index), { p50: 100, p99: 198 }],
])('quantiles of %s', (_, values, expected) => {
  expect(quantilesOf(values)).toEqual(expected)
})

test('a ring answers all that followed a number, or that it no longer knows', () => {
  const ring = new EventRing<number>(10)
  expect([ring.last, ring.after(0), ring.after(1)]).toEqual([0, [], undefined])
  for (let number = 1; number <= 100; number++) {
    expect(ring.push(number)).toBe(number)
    const kept = Math.min(number, 10)
    expect(ring.after(number - kept)).toEqual(Array.from({ length: kept }, (_, at) => number - kept + at + 1))
    expect(ring.after(number + 1)).toBeUndefined()
    const isGone = ring.after(number - 22) === undefined
    expect(isGone).toBe(true)
  }
})
