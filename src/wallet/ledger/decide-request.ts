/** Decides one request over loaded state, and collects what has to be appended for it. Pure. */
import { decideKey, type IdempotencyKey, nameOf, type UsedKey } from '../../platform/idempotency'
import type { Span } from '../../platform/telemetry/spans'
import { type Book, type Command, type CommandResult, decideAll } from '../domain/book'
import { findTimeFault, type TimeFault } from '../domain/timing'
import type { Fact } from '../domain/types'
import { toEvents } from '../events'
import type { Changes } from './store/append'
import type { KeyRow } from './store/idempotency-keys'

/** The commands that a caller sends at once, answered as a whole. */
export type CommandRequest = {
  commands: Command[]
  /** All commands are accepted or none is. */
  atomic: boolean
  traceparent: string | null
  /** When the request arrived, in milliseconds since 1970 by the clock of this machine. */
  requestedMs?: number | undefined
  /** Where it is traced. */
  span?: Span | undefined
  idempotencyKey: IdempotencyKey | null
  /** Aborted when the caller disconnects. */
  signal?: AbortSignal
}

export type RequestResult =
  /** One result per command. `repeated` marks an idempotent replay. */
  | { kind: 'executed'; results: CommandResult[]; repeated: boolean }
  | { kind: 'key_reused' }
  /** A fault per command, if any. Nothing was done, and the key is not used. */
  | { kind: 'invalid_time'; faults: (TimeFault | undefined)[] }

export type DecidedRequest = { request: CommandRequest; result: RequestResult; facts: Fact[]; key?: KeyRow }

export type LoadedState = { book: Book; keys: Map<string, UsedKey<CommandResult[]>> }

/** Updates book and keys for the next request. */
export function decideRequest(
  request: CommandRequest,
  { book, keys }: LoadedState,
  at: Date,
): DecidedRequest {
  const key = request.idempotencyKey
  const use = key ? decideKey(key, keys.get(nameOf(key))) : { kind: 'first' as const }
  if (use.kind === 'repeated') {
    // Unless an earlier try of this very request stored it, without learning of it.
    const repeated = !request.commands.some(({ id }) => book.done.has(id))
    return { request, result: { kind: 'executed', results: use.answer, repeated }, facts: [] }
  }
  if (use.kind === 'reused') return { request, result: { kind: 'key_reused' }, facts: [] }

  // After the key: a replay does not depend on the current time. Like a request that cannot be
  // parsed, an invalid time uses up no key.
  const faults = request.commands.map((one) => (book.done.has(one.id) ? undefined : findTimeFault(one, at)))
  if (faults.some((fault) => fault)) return { request, result: { kind: 'invalid_time', faults }, facts: [] }

  const { results, facts } = decideAll(request, book, at)
  if (key) keys.set(nameOf(key), { fingerprint: key.fingerprint, answer: results })
  // A rejection is a result, too, and stored under the key.
  return {
    request,
    result: { kind: 'executed', results, repeated: false },
    facts,
    ...(key ? { key: { ...key, results } } : {}),
  }
}

/** `decidedMs` is on the clock of `requestedMs`; `createdAt` is the database's time. */
export function changesOf(decided: DecidedRequest[], createdAt: Date, decidedMs: number): Changes {
  return {
    createdAt,
    facts: decided.flatMap(({ facts }) => facts),
    events: decided.flatMap(({ request: { traceparent, requestedMs: requested }, facts }) => {
      const timeline =
        requested === undefined
          ? undefined
          : { requested, decided: decidedMs, appended: null, published: null }
      return facts.flatMap(toEvents).map((event) => ({ ...event, traceparent, timeline }))
    }),
    keys: decided.flatMap(({ key }) => key ?? []),
  }
}
