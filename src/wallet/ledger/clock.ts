/**
 * The database's clock, extrapolated between two readings: one clock for all wallets of a database,
 * independent of their machines' clocks. Readings come with statements that are sent anyway; between
 * them the clock runs on `performance.now`. It never runs backwards, except by more than
 * `standstillMaxMs`.
 */
import type { ClockReading } from './store/clock'

export type Clock = {
  /** Throws before the first reading. */
  now(): Date
  observe(reading: Omit<ClockReading, 'session' | 'epoch'>): void
  /** False when the last reading is so old that the machine may have been suspended since. */
  isFresh(): boolean
}

/**
 * A clock that is set back by less stands still until it has caught up, so that no newer entry of
 * an account has an older time. One that is set back by more is followed: otherwise one wrong time
 * would last for as long.
 */
const standstillMaxMs = 60_000
/** Readings come every second. */
const freshMs = 5000

export function createClock(
  runningMs: () => number = () => performance.now(),
  /** Also counts while the machine is suspended. Only differences are used. */
  wallMs: () => number = () => Date.now(),
): Clock {
  let offsetMs: number | undefined
  let lastMs = Number.NEGATIVE_INFINITY
  let observedAt = { runningMs: Number.NEGATIVE_INFINITY, wallMs: 0 }

  const advanceTo = (ms: number) => {
    if (ms > lastMs || lastMs - ms > standstillMaxMs) lastMs = ms
  }
  const current = (): number => {
    if (offsetMs === undefined) throw new Error('the clock has no reading yet')
    return offsetMs + runningMs()
  }

  return {
    now() {
      advanceTo(current())
      return new Date(Math.floor(lastMs))
    },
    observe({ databaseMs, sentMs, receivedMs, changedMs }) {
      const [least, most] = [databaseMs - receivedMs, databaseMs - sentMs]
      offsetMs = Math.min(Math.max(offsetMs ?? least, least), most)
      observedAt = { runningMs: runningMs(), wallMs: wallMs() }
      advanceTo(current())
      // Another wallet may have estimated the time a little ahead of ours.
      if (changedMs !== null && changedMs - current() <= standstillMaxMs) lastMs = Math.max(lastMs, changedMs)
    },
    isFresh: () =>
      runningMs() - observedAt.runningMs < freshMs && Math.abs(wallMs() - observedAt.wallMs) < freshMs,
  }
}
