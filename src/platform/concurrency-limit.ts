/** Runs a bounded number of tasks at a time; the others wait in order. */
import { Fault } from './fault'

/** With `waitMs`, a task that would wait for longer is not begun. */
export type Limit = <T>(work: () => Promise<T>, options?: { waitMs?: number | undefined }) => Promise<T>

/** Throws a `Fault` when too many are waiting already or the wait is over, and what the task throws. */
export function createConcurrencyLimit(options: { concurrency: number; waitingMax: number }): Limit {
  const { concurrency, waitingMax } = options
  const waiting = new Set<() => void>()
  let running = 0

  const wait = (waitMs: number | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer)
        resolve()
      }
      const giveUp = () => {
        waiting.delete(begin)
        reject(new Fault('deadline_exceeded', `${waiting.size + 1} requests are waiting`))
      }
      const timer = waitMs === undefined ? undefined : setTimeout(giveUp, waitMs)
      waiting.add(begin)
    })

  return async (work, { waitMs } = {}) => {
    if (running >= concurrency) {
      if (waiting.size >= waitingMax)
        throw new Fault('overloaded', `${waiting.size} requests are waiting already`)
      // The task that ends passes its slot on.
      await wait(waitMs)
    } else running++
    try {
      return await work()
    } finally {
      const [next] = waiting
      if (next) {
        waiting.delete(next)
        next()
      } else running--
    }
  }
}
