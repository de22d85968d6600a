/** What the writer knows between two batches, without asking the database. */
import type { Statements } from '../../platform/postgres/statements'
import { endSessions } from '../db/sessions'
import type { Account } from '../domain/account'
import type { Clock } from './clock'
import type { ClockReading } from './store/clock'

export type OptimisticState = {
  /**
   * Accounts as if all appends in flight succeed. The primary key of `entries` rejects an append
   * that was built on a wrong guess.
   */
  accounts: Map<string, Account>
  /** No optimistic try before this time, on the clock of `performance.now`. */
  pausedUntilMs: number
  /** The length of the next pause. */
  pauseMs: number
  /** The server process of the writer's connection, if known. */
  session: number | undefined
  /** Of the ledger, as it was last read: it changes when the ledger is restored. */
  epoch: number
  /** Server processes of lost connections, which may still execute what they received. */
  lostSessions: Set<number>
}

/** Another wallet that writes to the same accounts makes guesses wrong: each failure doubles the pause. */
export const pauseMinMs = 50
export const pauseMaxMs = 2000
/** Older sessions ended long ago. */
const lostSessionsMax = 16

export const createOptimisticState = (): OptimisticState => ({
  accounts: new Map(),
  pausedUntilMs: 0,
  pauseMs: pauseMinMs,
  session: undefined,
  epoch: 1,
  lostSessions: new Set(),
})

/** Called when the writer's connection is lost. */
export function forgetSession(optimistic: OptimisticState): void {
  optimistic.accounts.clear()
  if (optimistic.session === undefined) return
  optimistic.lostSessions.add(optimistic.session)
  optimistic.session = undefined
  for (const oldest of optimistic.lostSessions)
    if (optimistic.lostSessions.size > lostSessionsMax) optimistic.lostSessions.delete(oldest)
}

/**
 * A statement whose answer was lost may be executed for as long as its session lives, even after
 * the ledger was read without it: a network delivers late what it held back, and a server may have
 * been suspended.
 */
export async function endLostSessions(sql: Statements, { lostSessions }: OptimisticState): Promise<void> {
  const lost = [...lostSessions]
  if (lost.length === 0) return
  await endSessions(sql, lost)
  for (const session of lost) lostSessions.delete(session)
}

export function observeReading(
  { clock, optimistic }: { clock: Clock; optimistic: OptimisticState },
  reading: ClockReading,
): void {
  clock.observe(reading)
  optimistic.session = reading.session
  optimistic.epoch = reading.epoch
}
