/** What is measured of a rebuild. */
import { createMetrics, defineMetrics } from '../../platform/telemetry/metrics'
import { type RebuildState, rebuildStates } from './rebuild-store'

export const rebuildMetrics = defineMetrics({
  state: {
    type: 'gauge',
    name: 'saldo_rebuild_state',
    help: '1 for the state of the current rebuild, or of the last one; 0 for the others.',
    labels: { state: 'as in `GET /rebuild`' },
  },
  remaining: {
    type: 'gauge',
    name: 'saldo_rebuild_remaining_records',
    help: 'Records that a running rebuild has still to apply, of those that the topics had at its start.',
  },
})

export function createRebuildMetrics() {
  const { state, remaining, all } = createMetrics(rebuildMetrics)
  return {
    all,
    set(current: { state: RebuildState; done: bigint; total: bigint } | undefined): void {
      for (const one of rebuildStates) state.set({ state: one }, Number(one === current?.state))
      remaining.set({}, current?.state === 'building' ? Number(current.total - current.done) : 0)
    },
  }
}
