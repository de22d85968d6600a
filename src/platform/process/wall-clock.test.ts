import { expect, test } from 'bun:test'
import { createWallClock, wallMs } from './wall-clock'

test('it is the time of day, and does not stand still within a millisecond', () => {
  expect(Math.abs(wallMs() - Date.now())).toBeLessThan(10)
  const start = wallMs()
  let later = start
  while (later === start) later = wallMs()
  expect(later - start).toBeLessThan(1)
})

test('it follows a clock that is set, and a machine that was suspended', () => {
  let [runningMs, dateMs] = [10, performance.timeOrigin + 10]
  const clock = createWallClock(
    () => runningMs,
    () => dateMs,
  )
  expect(clock()).toBe(dateMs)
  // Fractions come from the running clock, and its small drift is left alone.
  runningMs += 5.25
  dateMs += 6
  expect(clock()).toBeCloseTo(performance.timeOrigin + 15.25, 3)
  // Suspended: only the time of day went on.
  runningMs += 1
  dateMs += 3_600_000
  expect(clock()).toBe(dateMs)
  runningMs += 0.5
  expect(clock()).toBe(dateMs + 0.5)
  dateMs -= 10_000
  expect(clock()).toBe(dateMs)
})
