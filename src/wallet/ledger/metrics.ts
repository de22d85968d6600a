/** What the ledger measures: commands by outcome, the size and the duration of appends, and what waits. */
import { createMetrics, defineMetrics } from '../../platform/telemetry/metrics'
import { traceIdOf } from '../../platform/telemetry/trace'
import type { CommitQueue, CommitQueueOptions } from './commit-queue'
import type { CommandRequest, RequestResult } from './decide-request'

export const ledgerMetrics = defineMetrics({
  commands: {
    type: 'counter',
    name: 'saldo_commands_total',
    help: 'Commands that were decided, by what became of them.',
    labels: {
      command: 'its type: `transfer`, `postings`, `hold`, `capture` and so on',
      outcome:
        '`executed`, `repeated` under its key, `key_reused`, `invalid_time`, `failed`, or the code of a ' +
        'rejection',
    },
  },
  size: {
    type: 'histogram',
    name: 'saldo_append_commands',
    help: 'Commands in one append.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
  },
  duration: {
    type: 'histogram',
    name: 'saldo_append_duration_seconds',
    help: 'How long an append takes, with what it loads and decides, until the answer of the database.',
    labels: {
      path: '`optimistic`, decided on what the wallet remembers, or `loaded`',
      outcome: '`done`, or `failed`: an optimistic one is decided again then',
    },
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  queued: {
    type: 'gauge',
    name: 'saldo_commit_queue_commands',
    help: 'Commands that wait for the next append. 5,000 may; those that would be more are refused.',
  },
})

export type LedgerMetrics = ReturnType<typeof createLedgerMetrics>

export const createLedgerMetrics = (queue: () => Pick<CommitQueue<never, never>, 'queued'>) =>
  createMetrics(ledgerMetrics, { queued: () => queue().queued })

type Appends = Pick<CommitQueueOptions<CommandRequest, RequestResult>, 'tryOptimistic' | 'execute'>

/** The same, measured. */
export function measureAppends({ tryOptimistic, execute }: Appends, metrics: LedgerMetrics): Appends {
  const begin = (path: 'optimistic' | 'loaded', requests: readonly CommandRequest[]) => {
    const startedMs = performance.now()
    return (outcome: 'done' | 'failed') => {
      const seconds = (performance.now() - startedMs) / 1000
      const trace = requests.find(({ traceparent }) => traceparent)?.traceparent
      const size = requests.reduce((sum, { commands }) => sum + commands.length, 0)
      metrics.size.observe({}, size)
      metrics.duration.observe({ path, outcome }, seconds, trace ? traceIdOf(trace) : undefined)
    }
  }
  return {
    async tryOptimistic(requests) {
      const ended = begin('optimistic', requests)
      const sent = await tryOptimistic(requests)
      if (!sent) return undefined
      const answers = sent.answers.then(
        (results) => {
          ended('done')
          countOutcomes(metrics, requests, results)
          return results
        },
        (error) => {
          ended('failed')
          throw error
        },
      )
      return { answers }
    },
    async execute(requests, again) {
      const ended = begin('loaded', requests)
      try {
        const results = await execute(requests, again)
        ended('done')
        countOutcomes(metrics, requests, results)
        return results
      } catch (error) {
        ended('failed')
        countOutcomes(
          metrics,
          requests,
          requests.map(() => error as Error),
        )
        throw error
      }
    },
  }
}

/** Once for each outcome in a batch, most of which are alike. A request without a result is tried again. */
function countOutcomes(
  { commands: counter }: Pick<LedgerMetrics, 'commands'>,
  requests: readonly CommandRequest[],
  results: readonly (RequestResult | Error | undefined)[],
): void {
  const counts = new Map<string, { command: string; outcome: string; count: number }>()
  for (const [at, { commands }] of requests.entries()) {
    const result = results[at]
    if (result === undefined) continue
    for (const [index, { type: command }] of commands.entries()) {
      const outcome = outcomeOf(result, index)
      const name = `${command} ${outcome}`
      const known = counts.get(name)
      if (known) known.count++
      else counts.set(name, { command, outcome, count: 1 })
    }
  }
  for (const { count, ...labels } of counts.values()) counter.add(labels, count)
}

function outcomeOf(result: RequestResult | Error, index: number): string {
  if (result instanceof Error) return 'failed'
  if (result.kind !== 'executed') return result.kind
  if (result.repeated) return 'repeated'
  const one = result.results[index]
  return one?.kind === 'rejected' ? one.rejection : 'executed'
}
