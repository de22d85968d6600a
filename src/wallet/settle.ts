/** A batch of requests from the ledger as it is to the ledger as it will be: load, decide, append. */
import type { Database } from '../platform/database'
import { Fault, messageOf } from '../platform/fault'
import type { Log } from '../platform/log'
import { backoffMs, pause } from '../platform/retry'
import { announceFact } from './announce'
import { type Book, type Command, decideAll, type Outcome } from './domain/book'
import { decideKey, type IdempotencyKey, nameOf, type UsedKey } from './domain/idempotency'
import type { Fact } from './domain/movement'
import { append, type Changes, classifyAppendFailure } from './store/append'
import { loadBook } from './store/book'
import { loadKeys } from './store/idempotency-keys'

export type Ledger = { database: Database; log: Log; clock: () => Date; onAppended: () => void }

/** What one caller asks for at once, answered as a whole. */
export type Request = {
  commands: Command[]
  /** Whether all commands are carried out, or none. */
  atomic: boolean
  traceparent: string | null
  idempotencyKey: IdempotencyKey | null
}

/** What a caller is told: an outcome per command, `repeated` when they were told before, under the same key. */
export type Settled = { kind: 'settled'; outcomes: Outcome[]; repeated: boolean } | { kind: 'key_reused' }

/** A request with its answer, and what has to be appended for it. */
type Step = { request: Request; settled: Settled; facts: Fact[] }

type Known = { book: Book; keys: Map<string, UsedKey<Outcome[]>> }

/** How often a batch is decided again before it is given up. Every further try lost a race, or its connection. */
const triesMax = 25
const backoff = { firstMs: 2, limitMs: 500 }

/**
 * Decides every request over the ledger as it stands, each seeing what the one before it left, and appends all that was accepted at once. A
 * refused command costs its neighbours nothing. A request that failed by itself has its error as outcome; throws a `Fault` when the database
 * stays away.
 */
export async function settle(ledger: Ledger, requests: Request[]): Promise<(Settled | Error)[]> {
  const { database } = ledger
  const commands = requests.flatMap((request) => request.commands)
  const idempotencyKeys = requests.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])
  const createdAt = ledger.clock()
  let steps: Step[] = []
  for (let attempt = 1; ; attempt++) {
    try {
      // Keys first: one that is taken in between collides in the append.
      const keys = await loadKeys(database, idempotencyKeys)
      const { book, appended } = await loadBook(database, commands, firstFactOf(steps))
      // The statement of the last try may have been carried out although its answer was lost. Its decisions stand then: had any of their
      // accounts changed in between, the statement would have collided; had none, this try would decide the same.
      if (!appended) {
        steps = requests.map((request) => decideStep(request, { book, keys }, createdAt))
        await append(database.sql, changesOf(steps, createdAt))
      }
      // After the append: a relay that is woken earlier cannot see the rows yet, and would go back to sleep.
      if (firstFactOf(steps)) ledger.onAppended()
      return steps.map(({ settled }) => settled)
    } catch (error) {
      const failure = classifyAppendFailure(error)
      if (!failure) return settleApart(ledger, requests, error as Error)
      if (attempt >= triesMax)
        throw new Fault('database_unavailable', `gave up after ${attempt} tries: ${messageOf(error)}`, { cause: error })
      ledger.log.debug({ failure, attempt, requests: requests.length }, 'deciding again')
      await pause(backoffMs(backoff, attempt))
    }
  }
}

/** Decides one request, and leaves book and keys as the next one finds them. */
function decideStep(request: Request, { book, keys }: Known, createdAt: Date): Step {
  const key = request.idempotencyKey
  const before = key ? decideKey(key, keys.get(nameOf(key))) : { kind: 'first' as const }
  if (before.kind === 'repeated')
    return { request, settled: { kind: 'settled', outcomes: before.answer, repeated: true }, facts: [] }
  if (before.kind === 'reused') return { request, settled: { kind: 'key_reused' }, facts: [] }

  const { outcomes, facts } = decideAll(request, book, createdAt)
  if (key) keys.set(nameOf(key), { fingerprint: key.fingerprint, answer: outcomes })
  return { request, settled: { kind: 'settled', outcomes, repeated: false }, facts }
}

function changesOf(steps: Step[], createdAt: Date): Changes {
  return {
    createdAt,
    facts: steps.flatMap(({ facts }) => facts),
    outbox: steps.flatMap(({ request: { traceparent }, facts }) =>
      facts.flatMap(announceFact).map((event) => ({ ...event, traceparent })),
    ),
    // A refusal is an answer, too. Only what the key itself led to is not kept under it again.
    keys: steps.flatMap(({ request: { idempotencyKey }, settled }) =>
      idempotencyKey && settled.kind === 'settled' && !settled.repeated
        ? [{ ...idempotencyKey, outcomes: settled.outcomes }]
        : [],
    ),
  }
}

/** One request that the database refuses for a reason of its own must not fail its neighbours: each is tried alone. */
async function settleApart(ledger: Ledger, requests: Request[], error: Error): Promise<(Settled | Error)[]> {
  ledger.log.error({ error, requests: requests.length }, 'the database refused a batch')
  if (requests.length === 1) return [error]
  const outcomes: (Settled | Error)[] = []
  for (const request of requests) {
    outcomes.push(...(await settle(ledger, [request]).catch((failure: Error) => [failure])))
  }
  return outcomes
}

const firstFactOf = (steps: Step[]): Fact | undefined => steps.find(({ facts }) => facts.length > 0)?.facts[0]
