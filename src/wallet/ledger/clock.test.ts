import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createClock } from './clock'

/** A machine whose running clock and whose wall clock are moved by hand. */
function machine() {
  const time = { runningMs: 1000, wallMs: 77 }
  const clock = createClock(
    () => time.runningMs,
    () => time.wallMs,
  )
  return {
    clock,
    time,
    pass(ms: number) {
      time.runningMs += ms
      time.wallMs += ms
    },
    observe(databaseMs: number, { tripMs = 0, changedMs = null as number | null } = {}) {
      clock.observe({ databaseMs, changedMs, sentMs: time.runningMs - tripMs, receivedMs: time.runningMs })
    },
    nowMs: () => clock.now().getTime(),
  }
}
const day = 86_400_000

test('there is no time before the first reading', () => {
  expect(() => createClock().now()).toThrow()
  expect(createClock().isFresh()).toBe(false)
})

test('it is the database’s time, and goes on between two readings', () => {
  const { observe, pass, nowMs } = machine()
  observe(5_000_000)
  expect(nowMs()).toBe(5_000_000)
  pass(250)
  expect(nowMs()).toBe(5_000_250)
})

test('a slow reading does not move a clock set by a fast one', () => {
  const { observe, pass, nowMs } = machine()
  observe(5_000_000)
  pass(3000)
  observe(5_002_900, { tripMs: 500 })
  expect(nowMs()).toBe(5_003_000)
})

test.each([
  ['ahead', day, day],
  ['behind by a moment: it stands still rather than goes back', -2000, 0],
  ['behind by a day: it is followed', -day, -day],
])('the database’s clock is set %s', (_, by, seen) => {
  const { observe, nowMs } = machine()
  observe(5_000_000_000)
  const before = nowMs()
  observe(5_000_000_000 + by)
  expect(nowMs() - before).toBe(seen)
})

test('what another wallet has dated a little ahead is not dated before', () => {
  const { observe, nowMs } = machine()
  observe(5_000_000, { changedMs: 5_000_040 })
  expect(nowMs()).toBe(5_000_040)
})

test('an account that bears a time of tomorrow does not take the others there', () => {
  const { observe, nowMs } = machine()
  observe(5_000_000, { changedMs: 5_000_000 + day })
  expect(nowMs()).toBe(5_000_000)
})

test('after a sleep of the machine it does not pass for fresh until it was read again', () => {
  const { clock, observe, time } = machine()
  observe(5_000_000)
  expect(clock.isFresh()).toBe(true)
  time.wallMs += day
  expect(clock.isFresh()).toBe(false)
  observe(5_000_000 + day)
  expect(clock.isFresh()).toBe(true)
})

test('it stays within the bounds of the last reading, and never goes back', () => {
  const reading = fc.record({
    passMs: fc.nat(2000),
    jitterMs: fc.integer({ min: -30, max: 30 }),
    tripMs: fc.nat(100),
  })
  fc.assert(
    fc.property(fc.array(reading, { minLength: 1 }), (readings) => {
      const { observe, pass, nowMs, time } = machine()
      let lastMs = 0
      for (const { passMs, jitterMs, tripMs } of readings) {
        pass(passMs + tripMs)
        const databaseMs = 9_000_000 + time.runningMs - tripMs / 2 + jitterMs
        observe(databaseMs, { tripMs })
        const now = nowMs()
        expect(now).toBeGreaterThanOrEqual(lastMs)
        expect(now).toBeGreaterThanOrEqual(Math.floor(databaseMs))
        if (now > lastMs) expect(now).toBeLessThanOrEqual(databaseMs + tripMs)
        lastMs = now
      }
    }),
  )
})
