/** Lets a piece of work be done a few times at once, and the rest wait for their turn. */
import { Fault } from './fault'

export type Limit = <T>(work: () => Promise<T>) => Promise<T>

/** Throws a `Fault` when too many wait already, and what the work throws. */
export function createConcurrencyLimit({
  concurrency,
  waitingMax,
}: {
  concurrency: number
  waitingMax: number
}): Limit {
  const waiting: (() => void)[] = []
  let running = 0

  return async (work) => {
    if (running >= concurrency) {
      if (waiting.length >= waitingMax)
        throw new Fault('overloaded', `${waiting.length} requests wait for their turn`)
      // Whoever ends hands the place on.
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
