/** The time of day, finer than milliseconds. */

/** A machine that was suspended, or whose clock was set, is off by more. */
const driftMaxMs = 3

/** Counts with `performance.now` from a time of day that is read again when both drift apart. */
export function createWallClock(
  runningMs: () => number = () => performance.now(),
  dateMs: () => number = Date.now,
): () => number {
  let originMs = performance.timeOrigin
  return () => {
    const sinceMs = runningMs()
    const ms = dateMs()
    if (Math.abs(originMs + sinceMs - ms) > driftMaxMs) originMs = ms - sinceMs
    return originMs + sinceMs
  }
}

/** Milliseconds since 1970, with fractions. Runs backwards when the clock of the machine is set back. */
export const wallMs = createWallClock()
