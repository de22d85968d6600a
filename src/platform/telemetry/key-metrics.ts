/** Requests under an idempotency key that have no answer yet: of both services. */
import { createMetrics, defineMetrics } from './metrics'

export const keyMetrics = defineMetrics({
  age: {
    type: 'gauge',
    name: 'saldo_idempotency_key_in_progress_seconds',
    help: 'For how long the oldest request under an idempotency key has no answer; 0 where all have one.',
  },
})

/** `running`: since when, on the clock of `performance.now`, in the order in which they began. */
export const createKeyMetrics = (running: ReadonlyMap<unknown, number>) =>
  createMetrics(keyMetrics, {
    age: () => {
      const [since] = running.values()
      return since === undefined ? 0 : (performance.now() - since) / 1000
    },
  })
