/** Decides over what the appends in flight will leave, and sends the next append behind them. */
import { messageOf } from '../../platform/fault'
import { errorTypeOf } from '../../platform/postgres/statement-span'
import { wallMs } from '../../platform/process/wall-clock'
import { type Command, emptyBook } from '../domain/book'
import { beginBatch, tracedAppend } from './batch-span'
import {
  type CommandRequest,
  changesOf,
  type DecidedRequest,
  decideRequest,
  type RequestResult,
} from './decide-request'
import type { Ledger } from './ledger'
import { observeReading, pauseMaxMs, pauseMinMs } from './optimistic-state'
import { readClock } from './store/clock'
import { accountIdsOf } from './store/load-book'
import { loadAccounts } from './store/rows'

/** Commands that read nothing but accounts. */
const predictable: ReadonlySet<Command['type']> = new Set(['transfer', 'postings', 'hold'])

/** Above this the projected accounts are discarded and loaded again as needed. */
const projectedAccountsMax = 50_000

/**
 * Answers accepted requests once they are written. A rejection is not answered, since the state
 * that it was decided on may never come to be. Idempotency keys are taken to be unused; a used one
 * fails the append, as any wrong guess does, and with it every append that was built on it: the
 * ledger rejects an entry that does not follow on from the one before.
 */
export async function tryOptimistic(
  ledger: Ledger,
  requests: CommandRequest[],
): Promise<{ answers: Promise<(RequestResult | undefined)[]> } | undefined> {
  const { database, optimistic, clock } = ledger
  const commands = requests.flatMap((request) => request.commands)
  const isPredictable = commands.every(({ type }) => predictable.has(type))
  // `execute` reads the database's time, this relies on the last reading.
  if (!isPredictable || !clock.isFresh() || performance.now() < optimistic.pausedUntilMs) return undefined
  await loadMissing(ledger, accountIdsOf(commands))

  const at = clock.now()
  const state = { book: emptyBook(optimistic.accounts), keys: new Map() }
  const decided = requests.map((request) => {
    // Atomic, so that a rejected request leaves nothing behind to build on.
    const one = decideRequest({ ...request, atomic: true }, state, at)
    return isAccepted(one) ? one : undefined
  })
  const accepted = decided.filter((one) => one !== undefined)
  const { tracing } = ledger
  const batch =
    tracing &&
    beginBatch(
      tracing,
      accepted.map(({ request }) => request),
    )
  const above = { tracing, parent: batch }
  const appending = tracedAppend(above, database.sql, changesOf(accepted, at, wallMs()))
  return {
    answers: appending.then(
      (appended) => {
        batch?.end()
        optimistic.pauseMs = pauseMinMs
        if (accepted.length > 0) ledger.health?.succeeded()
        if (accepted.length > 0) ledger.onAppended(appended)
        return decided.map((one) => one?.result)
      },
      (error) => {
        batch?.fail(errorTypeOf(error))
        batch?.end()
        ledger.log.debug(
          { requests: requests.length },
          `optimistic append failed, falling back to load-and-decide: ${messageOf(error)}`,
        )
        optimistic.accounts.clear()
        optimistic.pausedUntilMs = performance.now() + optimistic.pauseMs
        optimistic.pauseMs = Math.min(2 * optimistic.pauseMs, pauseMaxMs)
        throw error
      },
    ),
  }
}

const isAccepted = ({ result }: DecidedRequest): boolean =>
  result.kind === 'executed' && !result.repeated && result.results.every(({ kind }) => kind !== 'rejected')

async function loadMissing(ledger: Ledger, ids: Set<string>): Promise<void> {
  const { database, optimistic } = ledger
  if (optimistic.accounts.size > projectedAccountsMax) optimistic.accounts.clear()
  const missing = [...ids].filter((id) => !optimistic.accounts.has(id))
  if (missing.length === 0) return
  // Executed behind all appends in flight, none of which touches these accounts.
  const [accounts, reading] = await Promise.all([
    loadAccounts(database.sql, missing),
    readClock(database.sql, missing),
  ])
  for (const [id, account] of accounts) optimistic.accounts.set(id, account)
  observeReading(ledger, reading)
}
