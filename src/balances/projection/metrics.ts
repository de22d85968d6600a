/** What the projection measures: how much is applied at once, how long it takes, and how late it is. */
import { traceparentOf } from '../../platform/kafka/process-spans'
import type { IncomingRecord } from '../../platform/kafka/records'
import { createMetrics, defineMetrics } from '../../platform/telemetry/metrics'
import { traceIdOf } from '../../platform/telemetry/trace'
import type { DeadLetterReason, Reading } from './types'

export const applyMetrics = defineMetrics({
  records: {
    type: 'histogram',
    name: 'saldo_apply_records',
    help: 'Records that one transaction applies or dead-letters.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000],
  },
  duration: {
    type: 'histogram',
    name: 'saldo_apply_duration_seconds',
    help: 'How long such a transaction takes, retries included.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  latency: {
    type: 'histogram',
    name: 'saldo_commit_to_applied_seconds',
    help:
      'From the commit of a movement at the wallet to that of its balances here, each by its own clock. ' +
      'Without republished events.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600],
  },
  deadLettered: {
    type: 'counter',
    name: 'saldo_dead_lettered_records_total',
    help: 'Records that became dead letters.',
    labels: { cause: 'as in `GET /dead-letters`' },
  },
})

export type ApplyMetrics = ReturnType<typeof createApplyMetrics>
export const createApplyMetrics = () => createMetrics(applyMetrics)

export type Written = {
  readings: readonly Reading<{ record: IncomingRecord }>[]
  deadLetters: readonly Pick<DeadLetterReason, 'cause'>[]
  /** Whether they came for the first time. */
  areNew: boolean
  startedMs: number
}

export function observeApply(
  { records, duration, latency, deadLettered }: ApplyMetrics,
  { readings, deadLetters, areNew, startedMs }: Written,
): void {
  records.observe({}, readings.length)
  duration.observe({}, (performance.now() - startedMs) / 1000)
  for (const { cause } of deadLetters) deadLettered.add({ cause })
  if (!areNew) return
  const nowMs = Date.now()
  let slowest: { committedMs: number; record: IncomingRecord } | undefined
  for (const { decoded, origin } of readings) {
    if (decoded.kind !== 'event' || decoded.event.name !== 'BalanceUpdated') continue
    const committedMs = Date.parse(decoded.event.payload.created_at ?? '')
    if (Number.isNaN(committedMs)) continue
    if (slowest && committedMs >= slowest.committedMs)
      latency.observe({}, Math.max(0, nowMs - committedMs) / 1000)
    else {
      if (slowest) latency.observe({}, Math.max(0, nowMs - slowest.committedMs) / 1000)
      slowest = { committedMs, record: origin.record }
    }
  }
  if (!slowest) return
  const traceparent = traceparentOf(slowest.record)
  const traceId = traceparent === undefined ? undefined : traceIdOf(traceparent)
  latency.observe({}, Math.max(0, nowMs - slowest.committedMs) / 1000, traceId)
}
