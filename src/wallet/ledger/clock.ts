/**
 * The database's clock, as the wallet knows it between two answers: one clock for all wallets of a
 * database, whatever their machines say. The database tells the time beside statements that are
 * sent anyway; in between it runs on `performance.now`.
 */

import type { ClockReading } from './store/clock'

export type Clock = {
  /** Throws before the first reading. */
  now(): Date
  observe(reading: Omit<ClockReading, 'session'>): void
  /** False once the last reading is so old that the machine may have slept since. */
  isFresh(): boolean
}

/**
 * A clock that is set back by less stands still until it is past its old time, so that no account
 * has a newer entry with an older time; by more it is followed, since otherwise one wrong time
 * would be everybody's for as long. In milliseconds.
 */
const standstillMaxMs = 60_000
/** A reading comes every second. In milliseconds. */
const freshMs = 5000

export function createClock(
  runningMs: () => number = () => performance.now(),
  /** Also counts while the machine sleeps. Its value means nothing, its course does. */
  wallMs: () => number = () => Date.now(),
): Clock {
  let offsetMs: number | undefined
  let lastMs = Number.NEGATIVE_INFINITY
  let heard = { runningMs: Number.NEGATIVE_INFINITY, wallMs: 0 }

  const advanceTo = (ms: number) => {
    if (ms > lastMs || lastMs - ms > standstillMaxMs) lastMs = ms
  }
  const current = (): number => {
    if (offsetMs === undefined) throw new Error('the clock was not set')
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
      heard = { runningMs: runningMs(), wallMs: wallMs() }
      advanceTo(current())
      // Another wallet's reading may have been a little ahead of ours.
      if (changedMs !== null && changedMs - current() <= standstillMaxMs) lastMs = Math.max(lastMs, changedMs)
    },
    isFresh: () => runningMs() - heard.runningMs < freshMs && Math.abs(wallMs() - heard.wallMs) < freshMs,
  }
}
