/** What is known of the health of both sides, and what is wrong. Pure. */
import type { Sample } from '../live.ts'

export type Check = { status: 'pass' | 'warn' | 'fail'; output?: string }

/** What the wallet says of itself; undefined where it gave no answer. */
export type WalletFacts = {
  checks: Readonly<Record<string, Check>>
  /** Undefined where the key may not read metrics. */
  outbox: { oldestAgeSeconds: number; pending: number; hasLeader: boolean } | undefined
}

export type Facts = {
  /** Undefined until the wallet was asked; null where it gave no answer. */
  wallet: WalletFacts | null | undefined
  /** The same for balances. */
  checks: Readonly<Record<string, Check>> | null | undefined
  sample: Sample | undefined
  reconciled: { result: string; differences: number } | undefined
}

export type FaultName =
  | 'walletAway'
  | 'balancesAway'
  | 'outboxOld'
  | 'noLeader'
  | 'paused'
  | 'lagOld'
  | 'deadLetters'
  | 'differences'
  | 'check'

export type FoundFault = {
  name: FaultName
  tone: 'bad' | 'warn'
  values: Readonly<Record<string, string | number>>
  /** A heading of docs/runbooks.md. */
  runbook: string | undefined
}

/** Seconds. A record or event that waits longer is not in flight, but stuck. */
export const stuckSeconds = 5

/** All faults, the worst first. */
export function findFaults({ wallet, checks, sample, reconciled }: Facts): FoundFault[] {
  const faults: FoundFault[] = []
  const add = (tone: 'bad' | 'warn', name: FaultName, values: FoundFault['values'] = {}, runbook?: string) =>
    faults.push({ tone, name, values, runbook })

  if (checks === null) add('bad', 'balancesAway', {}, 'saldowalletabsent-and-saldobalancesabsent')
  if (wallet === null) add('bad', 'walletAway', {}, 'saldowalletabsent-and-saldobalancesabsent')
  const outbox = wallet?.outbox
  if (outbox && outbox.oldestAgeSeconds > stuckSeconds) {
    const values = { seconds: Math.round(outbox.oldestAgeSeconds), events: outbox.pending }
    add('bad', outbox.hasLeader ? 'outboxOld' : 'noLeader', values, runbookOfOutbox(outbox.hasLeader))
  }
  if (sample?.paused) add('warn', 'paused')
  const oldest = oldestIn(sample)
  if (oldest && !sample?.paused && oldest.seconds > stuckSeconds)
    add('bad', 'lagOld', oldest, 'saldorecordsnotapplied')
  if (sample?.dead_letters) add('warn', 'deadLetters', { count: sample.dead_letters }, 'saldodeadletters')
  if (reconciled?.result === 'different') add('bad', 'differences', { count: reconciled.differences })
  for (const [service, all] of Object.entries({ wallet: wallet?.checks, balances: checks })) {
    for (const [check, { status, output = '' }] of Object.entries(all ?? {}))
      if (status !== 'pass') add(status === 'fail' ? 'bad' : 'warn', 'check', { service, check, output })
  }
  return faults.sort((one, other) => rank(one) - rank(other))
}

const rank = ({ tone }: FoundFault): number => (tone === 'bad' ? 0 : 1)

const runbookOfOutbox = (hasLeader: boolean): string =>
  hasLeader ? 'saldoeventsnotpublished' : 'saldorelaywithoutleader'

/** The partition whose oldest unapplied record is the oldest. */
export function oldestIn(sample: Sample | undefined) {
  const known = (sample?.lag ?? []).filter(({ oldest_age_seconds }) => oldest_age_seconds !== null)
  const [first] = known.sort((one, other) => (other.oldest_age_seconds ?? 0) - (one.oldest_age_seconds ?? 0))
  if (!first) return undefined
  const { topic, partition, records, oldest_age_seconds } = first
  return { partition: `${topic}/${partition}`, records, seconds: Math.round(oldest_age_seconds ?? 0) }
}

/** The sum over all series of a gauge in the text format of Prometheus; undefined where there is none. */
export function gaugeIn(text: string, name: string): number | undefined {
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))].map(([, value]) =>
    Number(value),
  )
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0)
}

/** Columns for a plot, oldest first: seconds since 1970, and a value for each sample. */
export function columnsOf(samples: readonly Sample[]) {
  return {
    at: samples.map(({ at }) => Date.parse(at) / 1000),
    events: samples.map(({ events_per_second }) => events_per_second),
    p50: samples.map(({ latency_ms }) => latency_ms?.p50 ?? null),
    p99: samples.map(({ latency_ms }) => latency_ms?.p99 ?? null),
  }
}

/** Partitions in which something has waited, those with the most first; all together where nothing has. */
export function lagColumnsOf(samples: readonly Sample[], linesMax: number) {
  const most = new Map<string, number>()
  for (const { lag } of samples)
    for (const one of lag ?? []) {
      const name = `${one.topic}/${one.partition}`
      if (one.records > (most.get(name) ?? 0)) most.set(name, one.records)
    }
  const names = [...most].sort((one, other) => other[1] - one[1]).slice(0, linesMax)
  if (names.length === 0) {
    const sum = (lag: NonNullable<Sample['lag']>) => lag.reduce((total, { records }) => total + records, 0)
    return [{ name: undefined, values: samples.map(({ lag }) => (lag ? sum(lag) : null)) }]
  }
  return names.map(([name]) => ({
    name,
    values: samples.map(
      ({ lag }) => lag?.find(({ topic, partition }) => `${topic}/${partition}` === name)?.records ?? null,
    ),
  }))
}
