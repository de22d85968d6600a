/** What the sweeps measure. */
import { defineMetrics } from '../../platform/telemetry/metrics'

export const holdMetrics = defineMetrics({
  overdue: {
    type: 'gauge',
    name: 'saldo_hold_overdue_seconds',
    help: 'For how long the oldest hold is open that has expired; 0 where none is.',
  },
})
