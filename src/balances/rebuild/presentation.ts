/** A rebuild as GET /rebuild answers, and `saldo rebuild --json`. */
import type { RebuildProgress } from './coordinator'

export function presentRebuild(progress: RebuildProgress | undefined) {
  if (!progress) return { state: 'none' as const }
  const { done, total, elapsedMs, divergence } = progress
  const perSecond = (Number(done) * 1000) / elapsedMs
  return {
    state: progress.state,
    records: { done: Number(done), total: Number(total) },
    per_second: Math.round(perSecond),
    seconds_left: done > 0n ? Math.ceil(Number(total - done) / perSecond) : null,
    divergence: divergence && {
      accounts: divergence.accounts,
      entries: divergence.entries,
      clients: divergence.clients,
      accounts_added: divergence.accountsAdded,
      entries_added: divergence.entriesAdded,
      examples: divergence.examples,
    },
    message: progress.message,
    manual: progress.manual,
    force: progress.force,
    started_at: progress.startedAt,
    ended_at: progress.endedAt,
  }
}
