/** Lets a worker sleep while it has nothing to do, and be woken as soon as it has. */
import { pause } from './retry'

/** Notified while nothing waits, it lets the next `wait` return at once. */
export function createWakeup() {
  let isNotified = false
  let wake: (() => void) | undefined
  return {
    notify() {
      isNotified = true
      wake?.()
    },
    /** Until it is notified, or the time is over, or the signal is aborted. */
    async wait(ms: number, signal: AbortSignal) {
      if (!isNotified) {
        const awake = new AbortController()
        wake = () => awake.abort()
        await pause(ms, AbortSignal.any([awake.signal, signal]))
        wake = undefined
      }
      isNotified = false
    },
  }
}
