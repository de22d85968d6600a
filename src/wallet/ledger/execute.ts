/** Executes requests with nothing else in flight: loads, decides and appends, as often as it takes. */
import { Fault, messageOf } from '../../platform/fault'
import { errorTypeOf } from '../../platform/postgres/statement-span'
import { backoffMs, pause } from '../../platform/process/retry'
import { wallMs } from '../../platform/process/wall-clock'
import { type Above, beginBatch, tracedAppend, tracedLoad } from './batch-span'
import { type CommandRequest, changesOf, decideRequest, type RequestResult } from './decide-request'
import type { Ledger } from './ledger'
import { endLostSessions, observeReading } from './optimistic-state'
import {
  type AppendFailure,
  acquireContentionLock,
  classifyAppendFailure,
  dryRunAppend,
  releaseContentionLock,
} from './store/append'
import { readClock } from './store/clock'
import { loadKeys } from './store/idempotency-keys'
import { accountIdsOf, loadBook } from './store/load-book'

/** Every try but the first follows a lost race or a lost connection. */
const triesMax = 25
const backoff = { firstMs: 2, limitMs: 500 }
/** A lost database is retried for so long: callers get an answer before their own deadline. */
const retryMaxMs = 8000
/** After this many conflicts, serialize under an advisory lock instead of starving. */
const racesMax = 1

/**
 * Decides every request over the current ledger, each over what the one before it left, and appends
 * all that was accepted at once. A request that failed alone has its error as result; throws a
 * `Fault` when the database stays away. `again`: the requests may have been executed already.
 */
export async function execute(
  ledger: Ledger,
  requests: CommandRequest[],
  again = false,
): Promise<(RequestResult | Error)[]> {
  const { tracing } = ledger
  const batch = tracing && beginBatch(tracing, requests)
  const executing = executeAll(ledger, requests, { again, above: { tracing, parent: batch } })
  if (!batch) return executing
  try {
    return await executing
  } catch (error) {
    batch.fail(errorTypeOf(error))
    throw error
  } finally {
    batch.end()
  }
}

async function executeAll(
  ledger: Ledger,
  requests: CommandRequest[],
  { again, above }: { again: boolean; above: Above },
): Promise<(RequestResult | Error)[]> {
  const { database, optimistic } = ledger
  const startedMs = performance.now()
  let isLocked = false
  /** Whether a statement was sent of which the result is unknown. */
  let mayBeWritten = again
  for (let tries = 1; ; tries++) {
    let isSent = false
    try {
      if (mayBeWritten) await endLostSessions(database.sql, optimistic)
      if (tries > racesMax) await acquireContentionLock(database.sql)
      isLocked ||= tries > racesMax
      // An earlier try may have succeeded although its answer was lost: then the book has its results.
      const { book, decided, changes } = await tracedLoad(above, () =>
        loadAndDecide(ledger, requests, again || tries > 1),
      )
      // The connection was lost while the book was read, perhaps by a new one.
      if (mayBeWritten && optimistic.lostSessions.size > 0) continue
      mayBeWritten = false
      isSent = true
      const appended = await tracedAppend(above, database.sql, changes)
      if (isLocked) await releaseContentionLock(database.sql)
      for (const [id, account] of book.accounts) optimistic.accounts.set(id, account)
      ledger.health?.succeeded()
      // After the append: a relay woken earlier would not see the rows yet, and sleep again.
      if (again || decided.some(({ facts }) => facts.length > 0)) ledger.onAppended(appended)
      return decided.map(({ result }) => result)
    } catch (error) {
      optimistic.accounts.clear()
      const failure = classifyAppendFailure(error)
      if (isSent) mayBeWritten = failure === 'outcome_unknown'
      const isLast =
        failure === 'unavailable' ||
        tries >= triesMax ||
        (failure === 'outcome_unknown' && performance.now() - startedMs > retryMaxMs)
      if (isLocked && (!failure || isLast)) await releaseContentionLock(database.sql)
      if (!failure) return executeIndividually(ledger, requests, error as Error)
      if (failure === 'unavailable') ledger.health?.failed(requests, error)
      if (isLast) throw faultOf(error, { failure, mayBeWritten, tries })
      ledger.log.debug({ failure, tries, requests: requests.length }, 'append failed, deciding again')
      // A backoff would only delay others that wait for the lock.
      if (!isLocked || failure === 'outcome_unknown') await pause(backoffMs(backoff, tries))
    }
  }
}

function faultOf(
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

async function loadAndDecide(ledger: Ledger, requests: CommandRequest[], again: boolean) {
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
  const decided = requests.map((request) => decideRequest(request, { book, keys }, at))
  return { book, decided, changes: changesOf(decided, at, wallMs()) }
}

/** Tests whether the database can write these requests: executes them and rolls back. Throws its error. */
export async function dryRun(ledger: Ledger, requests: CommandRequest[]): Promise<void> {
  const { changes } = await loadAndDecide(ledger, requests, true)
  await dryRunAppend(ledger.database, changes)
}

/** Isolates a request that the database rejects, so that it does not fail the others. */
async function executeIndividually(
  ledger: Ledger,
  requests: CommandRequest[],
  error: Error,
): Promise<(RequestResult | Error)[]> {
  ledger.log.error({ error, requests: requests.length }, 'database rejected a batch')
  if (requests.length === 1) return [error]
  const results: (RequestResult | Error)[] = []
  for (const request of requests) {
    results.push(...(await execute(ledger, [request], true).catch((failure: Error) => [failure])))
  }
  return results
}
