/** Runs a bounded number of tasks at a time; the others wait in order. */
import { Fault } from './fault'

export type Limit = <T>(work: () => Promise<T>) => Promise<T>

/** Throws a `Fault` when too many are waiting already, and what the task throws. */
export function createConcurrencyLimit(options: { concurrency: number; waitingMax: number }): Limit {
  const { concurrency, waitingMax } = options
  const waiting: (() => void)[] = []
  let running = 0

  return async (work) => {
    if (running >= concurrency) {
      if (waiting.length >= waitingMax)
        throw new Fault('overloaded', `${waiting.length} requests are waiting already`)
      // The task that ends passes its slot on.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
