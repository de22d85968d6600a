/** What is measured of dead letters: how many there are, and for how long. */

import type { Statements } from '../../platform/postgres/statements'
import { createMetrics, defineMetrics } from '../../platform/telemetry/metrics'
import { measureDeadLetters } from './dead-letters-store'

export const deadLetterMetrics = defineMetrics({
  oldest: {
    type: 'gauge',
    name: 'saldo_dead_letter_oldest_age_seconds',
    help: 'For how long the oldest dead letter waits for its redrive; 0 where there is none.',
  },
  count: { type: 'gauge', name: 'saldo_dead_letters', help: 'Dead letters, counted up to 10,001.' },
})

export function createDeadLetterMetrics(sql: Statements) {
  const { oldest, count, all } = createMetrics(deadLetterMetrics)
  return {
    metrics: all,
    async sample() {
      const letters = await measureDeadLetters(sql)
      oldest.set({}, letters.oldestAgeMs / 1000)
      count.set({}, letters.count)
    },
  }
}
