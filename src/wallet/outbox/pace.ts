/**
 * When the relay sends next. A send costs the relay, the broker and balances a fixed time: while much
 * arrives, fewer and larger ones carry the same for less, and soon enough.
 */

/** Events of a send that a single caller does not reach. */
const busyMin = 16
/** The least time from one send to the next while much arrives, in milliseconds. */
const paceMs = 20

/**
 * How long to wait after a send of so many events that began so long ago, in milliseconds. A send that was
 * full has left others waiting: no wait.
 */
export function waitAfterSend(
  events: number,
  elapsedMs: number,
  { eventsMax }: { eventsMax: number },
): number {
  if (events < busyMin || events >= eventsMax) return 0
  return Math.max(0, paceMs - elapsedMs)
}
