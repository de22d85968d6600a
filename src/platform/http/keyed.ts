/** Requests under an `Idempotency-Key`: what the key stands for, and how they are answered. */
import type { IdempotencyKey } from '../idempotency'
import { refuse } from './app'
import { fingerprint, readIdempotencyKey } from './idempotency-key'
import { principalOf } from './principal'
import { keyProblems } from './problem'

/** A request, as its route sees it. `route` is the path with its parameters by name. */
export type KeyedCall = { request: Request; route: string; params: Readonly<Record<string, string>> }

/**
 * Null when the caller sent none: then every request is a new one. `meaning` is the request in our terms,
 * so that a retry may be written differently; its member names are permanent, because fingerprints are
 * made of them.
 */
export function keyOf({ request, route, params }: KeyedCall, meaning: () => object): IdempotencyKey | null {
  const key = readIdempotencyKey(request)
  if (key === null) return null
  const path = route.replace(/:(\w+)/g, (_, name) => params[name]?.toLowerCase() ?? '')
  const scope = `${request.method} ${path}`
  // No answer of one actor is repeated to another. A name has no blank, and no method is a path.
  const actor = principalOf(request)?.name
  const ofActor = actor === undefined ? scope : `${actor} ${scope}`
  return { scope: ofActor, key, fingerprint: fingerprint(scope, meaning()) }
}

export function refuseKey(request: Request, { kind }: { kind: 'key_reused' | 'key_in_progress' }): Response {
  if (kind === 'key_reused')
    return refuse(request, keyProblems.reused, {
      detail: 'this Idempotency-Key was sent before with another request',
    })
  return refuse(request, keyProblems.inProgress, {
    detail: 'the first request under this key has no answer yet',
  })
}

/** The header of an answer that is repeated. */
export const replayed = (repeated: boolean): Record<string, string> =>
  repeated ? { 'idempotency-replayed': 'true' } : {}
