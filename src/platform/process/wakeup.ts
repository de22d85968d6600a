/** Lets a worker sleep while there is nothing to do, and be woken by whoever knows better. */
import { pause } from './retry'

/**
 * Sleeps until the next ring, or for a while. A ring that comes while nobody sleeps is kept for the
 * next sleeper.
 */
export function createAlarm() {
  let rung = false
  let wakeUp: (() => void) | undefined
  return {
    ring() {
      rung = true
      wakeUp?.()
    },
    async next(ms: number, signal: AbortSignal) {
      if (!rung) {
        const awake = new AbortController()
        wakeUp = () => awake.abort()
        await pause(ms, AbortSignal.any([awake.signal, signal]))
        wakeUp = undefined
      }
      rung = false
    },
  }
}
