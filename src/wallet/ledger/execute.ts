/**
 * A batch of requests from the ledger as it is to the ledger as it will be. `execute` loads, decides
 * and appends, as often as it takes. `tryOptimistic` decides over what the appends before it will leave,
 * and sends its own behind them; what it cannot answer for certain is result.
 */

import { Fault, messageOf } from '../../platform/fault'
import type { Database } from '../../platform/postgres/database'
import { backoffMs, pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { endSessions } from '../db/sessions'
import type { Account } from '../domain/account'
import { type Book, type Command, type CommandResult, decideAll, emptyBook } from '../domain/book'
import { decideKey, type IdempotencyKey, nameOf, type UsedKey } from '../domain/idempotency'
import { findTimeFault, type TimeFault } from '../domain/timing'
import type { Fact } from '../domain/types'
import { toEvents } from '../events'
import type { Clock } from './clock'
import {
  type AppendFailure,
  acquireContentionLock,
  append,
  type Changes,
  classifyAppendFailure,
  dryRunAppend,
  releaseContentionLock,
} from './store/append'
import { type ClockReading, readClock } from './store/clock'
import { type KeyRow, loadKeys } from './store/idempotency-keys'
import { accountIdsOf, loadAccounts, loadBook } from './store/load-book'

export type Ledger = {
  /** One connection, which carries out statements in the order in which they are sent. */
  database: Database
  log: Log
  clock: Clock
  onAppended: () => void
  optimistic: OptimisticState
  /** Hears what the database could not write, and that it could. */
  health?: { failed(requests: CommandRequest[], error: unknown): void; succeeded(): void }
}

/** What one caller asks for at once, answered as a whole. */
export type CommandRequest = {
  commands: Command[]
  /** Whether all commands are carried out, or none. */
  atomic: boolean
  traceparent: string | null
  idempotencyKey: IdempotencyKey | null
  /** Aborted when the caller is gone. */
  signal?: AbortSignal
}

/**
 * What a caller is told: an result per command, `repeated` when they were told before, under the
 * same key.
 */
export type RequestResult =
  | { kind: 'executed'; results: CommandResult[]; repeated: boolean }
  | { kind: 'key_reused' }
  /** Of one or more commands a time cannot be. Nothing was done, and no key used up. */
  | { kind: 'invalid_time'; faults: (TimeFault | undefined)[] }

/**
 * Accounts as they will stand once all that was sent is written: a guess, which the ledger refuses
 * to build on when it is wrong.
 */
export type OptimisticState = {
  accounts: Map<string, Account>
  /**
   * Until then nothing is attempted, on the clock of `performance.now`; and how long the next pause
   * would be. Both in milliseconds.
   */
  pausedUntilMs: number
  pauseMs: number
  /**
   * The server's process behind the connection, as far as it is known; and those behind connections
   * that were lost.
   */
  session: number | undefined
  lostSessions: Set<number>
}
export const createOptimisticState = (): OptimisticState => ({
  accounts: new Map(),
  pausedUntilMs: 0,
  pauseMs: pauseMinMs,
  session: undefined,
  lostSessions: new Set(),
})

/** Older ones have ended long since. */
const lostSessionsMax = 16

/** Beyond this it is thrown away and begun anew, in accounts. */
const projectedAccountsMax = 50_000
/**
 * Another wallet that writes to the same accounts makes guesses wrong: the pause doubles with each
 * failure and ends with a success.
 */
const pauseMinMs = 50
const pauseMaxMs = 2000

/** A request with its answer, and what has to be appended for it. */
type Step = { request: CommandRequest; result: RequestResult; facts: Fact[]; key?: KeyRow }

type Known = { book: Book; keys: Map<string, UsedKey<CommandResult[]>> }

/**
 * How often a batch is decided again before it is given up. Every further try lost a race, or its
 * connection.
 */
const triesMax = 25
const backoff = { firstMs: 2, limitMs: 500 }
/**
 * A database that does not answer is waited for no longer, so that callers are answered while they
 * listen. In milliseconds.
 */
const patienceMs = 8000
/**
 * Whoever has lost as many races waits for a turn, one after the other, rather than being beaten
 * again and again.
 */
const racesMax = 1

/**
 * Answers what is accepted, once it is written. A refusal is not answered: what it was decided on
 * may never be. Keys are taken for new ones; one that is not fails the append, like any guess that
 * is wrong, and so does every append that was built on it: an entry that does not follow on from
 * the one before is refused by the ledger.
 */
export async function tryOptimistic(
  ledger: Ledger,
  requests: CommandRequest[],
): Promise<{ answers: Promise<(RequestResult | undefined)[]> } | undefined> {
  const { database, optimistic, clock } = ledger
  const commands = requests.flatMap((request) => request.commands)
  const isForeseeable = commands.every(({ type }) => type === 'transfer' || type === 'hold')
  // To execute asks the database for its time; an tryOptimistic relies on what is known of it.
  if (!isForeseeable || !clock.isFresh() || performance.now() < optimistic.pausedUntilMs) return undefined

  if (optimistic.accounts.size > projectedAccountsMax) optimistic.accounts.clear()
  const missing = [...accountIdsOf(commands)].filter((id) => !optimistic.accounts.has(id))
  if (missing.length > 0) {
    // Behind all that was sent, so it is there already. None of that touches these accounts anyway:
    // they would be known.
    const [accounts, reading] = await Promise.all([
      loadAccounts(database.sql, missing),
      readClock(database.sql, missing),
    ])
    for (const [id, account] of accounts) optimistic.accounts.set(id, account)
    observeReading(ledger, reading)
  }

  const at = clock.now()
  const known = { book: emptyBook(optimistic.accounts), keys: new Map() }
  const steps = requests.map((request) => {
    // Each whole or not at all, so that what is refused leaves nothing behind to build on.
    const step = decideStep({ ...request, atomic: true }, known, at)
    return step.facts.length === request.commands.length ? step : undefined
  })
  const accepted = steps.filter((step) => step !== undefined)
  const appending = append(database.sql, changesOf(accepted, at))
  return {
    answers: appending.then(
      () => {
        optimistic.pauseMs = pauseMinMs
        if (accepted.length > 0) ledger.health?.succeeded()
        if (accepted.length > 0) ledger.onAppended()
        return steps.map((step) => step?.result)
      },
      (error) => {
        ledger.log.debug({ requests: requests.length }, `has to be result: ${messageOf(error)}`)
        optimistic.accounts.clear()
        optimistic.pausedUntilMs = performance.now() + optimistic.pauseMs
        optimistic.pauseMs = Math.min(2 * optimistic.pauseMs, pauseMaxMs)
        throw error
      },
    ),
  }
}

/**
 * Decides every request over the ledger as it stands, each seeing what the one before it left, and
 * appends all that was accepted at once. A refused command costs its neighbours nothing. A request
 * that failed by itself has its error as result; throws a `Fault` when the database stays away.
 * `again` says that requests may have been carried out already.
 */
export async function execute(
  ledger: Ledger,
  requests: CommandRequest[],
  again = false,
): Promise<(RequestResult | Error)[]> {
  const { database, optimistic } = ledger
  const begunMs = performance.now()
  let hasTurn = false
  /** Whether something may have been written, or may still be, that nobody has answered for. */
  let mayBeWritten = again
  for (let tries = 1; ; tries++) {
    let isSent = false
    try {
      if (mayBeWritten) await endLostSessions(ledger)
      if (tries > racesMax) await acquireContentionLock(database.sql)
      hasTurn ||= tries > racesMax
      // The statement of a try before may have been carried out although its answer was lost: what
      // it did is in the book then.
      const { book, steps, changes } = await decideNow(ledger, requests, again || tries > 1)
      // The connection was lost while the book was read: perhaps by another one.
      if (mayBeWritten && optimistic.lostSessions.size > 0) continue
      mayBeWritten = false
      isSent = true
      await append(database.sql, changes)
      if (hasTurn) await releaseContentionLock(database.sql)
      for (const [id, account] of book.accounts) optimistic.accounts.set(id, account)
      ledger.health?.succeeded()
      // After the append: a relay that is woken earlier cannot see the rows yet, and would go back to sleep.
      if (again || steps.some(({ facts }) => facts.length > 0)) ledger.onAppended()
      return steps.map(({ result }) => result)
    } catch (error) {
      optimistic.accounts.clear()
      const failure = classifyAppendFailure(error)
      if (isSent) mayBeWritten = failure === 'outcome_unknown'
      const isLast =
        failure === 'unavailable' ||
        tries >= triesMax ||
        (failure === 'outcome_unknown' && performance.now() - begunMs > patienceMs)
      if (hasTurn && (!failure || isLast)) await releaseContentionLock(database.sql)
      if (!failure) return executeIndividually(ledger, requests, error as Error)
      if (failure === 'unavailable') ledger.health?.failed(requests, error)
      if (isLast) throw givenUp(error, { failure, mayBeWritten, tries })
      ledger.log.debug({ failure, tries, requests: requests.length }, 'deciding again')
      // Nobody gains by waiting for whoever has the turn.
      if (!hasTurn || failure === 'outcome_unknown') await pause(backoffMs(backoff, tries))
    }
  }
}

function givenUp(
  error: unknown,
  { failure, mayBeWritten, tries }: { failure: AppendFailure; mayBeWritten: boolean; tries: number },
): Fault {
  const code = mayBeWritten
    ? 'outcome_unknown'
    : failure === 'version_taken'
      ? 'overloaded'
      : 'database_unavailable'
  return new Fault(code, `gave up after ${tries} tries: ${messageOf(error)}`, { cause: error })
}

/** Loads what the requests are about, and decides them one after the other. */
async function decideNow(ledger: Ledger, requests: CommandRequest[], again: boolean) {
  const { database, clock } = ledger
  const commands = requests.flatMap((request) => request.commands)
  const idempotencyKeys = requests.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])
  const [book, keys, reading] = await Promise.all([
    loadBook(database, commands, again),
    loadKeys(database, idempotencyKeys),
    readClock(database.sql, accountIdsOf(commands)),
  ])
  observeReading(ledger, reading)
  const at = clock.now()
  const steps = requests.map((request) => decideStep(request, { book, keys }, at))
  return { book, steps, changes: changesOf(steps, at) }
}

/**
 * What `execute` would write, written and taken back: whether the database takes it again. Throws
 * what it says.
 */
export async function dryRun(ledger: Ledger, requests: CommandRequest[]): Promise<void> {
  const { changes } = await decideNow(ledger, requests, true)
  await dryRunAppend(ledger.database, changes)
}

export function observeReading(
  { clock, optimistic }: Pick<Ledger, 'clock' | 'optimistic'>,
  reading: ClockReading,
): void {
  clock.observe(reading)
  optimistic.session = reading.session
}

/**
 * A statement whose answer was lost may be carried out for as long as its session lives, also after
 * others have read the ledger without it: a network gives away late what it held back, and a server
 * may have been asleep.
 */
async function endLostSessions({ database, optimistic }: Ledger): Promise<void> {
  const lost = [...optimistic.lostSessions]
  if (lost.length === 0) return
  await endSessions(database.sql, lost)
  for (const session of lost) optimistic.lostSessions.delete(session)
}

/** The writer's connection was lost, with all that was known by it. */
export function forgetSession(optimistic: OptimisticState): void {
  optimistic.accounts.clear()
  if (optimistic.session === undefined) return
  optimistic.lostSessions.add(optimistic.session)
  optimistic.session = undefined
  for (const oldest of optimistic.lostSessions)
    if (optimistic.lostSessions.size > lostSessionsMax) optimistic.lostSessions.delete(oldest)
}

/** Decides one request, and leaves book and keys as the next one finds them. */
function decideStep(request: CommandRequest, { book, keys }: Known, at: Date): Step {
  const key = request.idempotencyKey
  const before = key ? decideKey(key, keys.get(nameOf(key))) : { kind: 'first' as const }
  if (before.kind === 'repeated') {
    // Unless it is the request itself that was there before, and nobody heard of it.
    const repeated = !request.commands.some(({ id }) => book.done.has(id))
    return { request, result: { kind: 'executed', results: before.answer, repeated }, facts: [] }
  }
  if (before.kind === 'reused') return { request, result: { kind: 'key_reused' }, facts: [] }

  // After the key: what was answered once is answered again, whatever the clock says by now. It
  // uses up no key, as what cannot be read does not.
  const faults = request.commands.map((one) => (book.done.has(one.id) ? undefined : findTimeFault(one, at)))
  if (faults.some((fault) => fault)) return { request, result: { kind: 'invalid_time', faults }, facts: [] }

  const { results, facts } = decideAll(request, book, at)
  if (key) keys.set(nameOf(key), { fingerprint: key.fingerprint, answer: results })
  // A refusal is an answer, too, and kept like any other.
  return {
    request,
    result: { kind: 'executed', results, repeated: false },
    facts,
    ...(key ? { key: { ...key, results } } : {}),
  }
}

function changesOf(steps: Step[], createdAt: Date): Changes {
  return {
    createdAt,
    facts: steps.flatMap(({ facts }) => facts),
    outbox: steps.flatMap(({ request: { traceparent }, facts }) =>
      facts.flatMap(toEvents).map((event) => ({ ...event, traceparent })),
    ),
    keys: steps.flatMap(({ key }) => key ?? []),
  }
}

/**
 * One request that the database refuses for a reason of its own must not fail its neighbours: each
 * is tried alone.
 */
async function executeIndividually(
  ledger: Ledger,
  requests: CommandRequest[],
  error: Error,
): Promise<(RequestResult | Error)[]> {
  ledger.log.error({ error, requests: requests.length }, 'the database refused a batch')
  if (requests.length === 1) return [error]
  const results: (RequestResult | Error)[] = []
  for (const request of requests) {
    results.push(...(await execute(ledger, [request], true).catch((failure: Error) => [failure])))
  }
  return results
}
