/** What is measured of streams. */
import { defineMetrics } from '../../platform/telemetry/metrics'

export const streamMetrics = defineMetrics({
  open: { type: 'gauge', name: 'saldo_streams_open', help: 'Open streams of this process.' },
})
