/** What the outbox and its relay measure. */
import { defineMetrics } from '../../platform/telemetry/metrics'

export const outboxMetrics = defineMetrics({
  oldest: {
    type: 'gauge',
    name: 'saldo_outbox_oldest_age_seconds',
    help: 'For how long the oldest row of the outbox waits to be published; 0 where none does.',
  },
  pending: {
    type: 'gauge',
    name: 'saldo_outbox_pending_events',
    help: 'Events in the outbox, counted up to 10,001.',
  },
  leader: {
    type: 'gauge',
    name: 'saldo_relay_leader',
    help: '1 in the process whose relay publishes, 0 in the others.',
  },
  refused: {
    type: 'gauge',
    name: 'saldo_outbox_refused_events',
    help: 'Events that the broker refuses as too large.',
  },
  size: {
    type: 'histogram',
    name: 'saldo_relay_send_events',
    help: 'Events in one send of the relay.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
  },
  duration: {
    type: 'histogram',
    name: 'saldo_relay_send_duration_seconds',
    help: 'How long a send takes, until all replicas have acknowledged it, or it failed.',
    labels: { outcome: '`done` or `failed`' },
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
})
