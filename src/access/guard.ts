/**
 * Who may use a route. The key of a request exists, is not revoked, has not expired, is within its rate
 * limit, has the scope of the route, and is not restricted to something else: checked in this order.
 */
import { refuse } from '../platform/http/app'
import type { Guard, Guarded, Refusal } from '../platform/http/guard'
import {
  admissionOf,
  principalOf,
  type Restriction,
  setAdmission,
  setPrincipal,
} from '../platform/http/principal'
import { commonProblems } from '../platform/http/problem'
import { type Key, type KeyRing, staleMaxMs } from './key-ring'
import type { Needed } from './policy'
import { networkOf } from './rate-limit'
import { createRateLimits, type RateLimits } from './rate-limits'
import { hashOf, isWellFormed } from './token'

type Route = Guarded<never>

export type GuardOptions = {
  keys: Pick<KeyRing, 'find' | 'use' | 'readAgain' | 'ageMs'>
  /** Undefined until the keys were read for the first time: only open routes are served. */
  needed: () => Needed | undefined
  /** Aborted when requests begin to need a key. */
  locked?: AbortSignal
  limits?: RateLimits
}

/** Counts a request against the limit of its key, or of its address where it has no valid key. */
type Count = (key?: Key) => Response | undefined

export function createGuard({ keys, needed, locked, limits = createRateLimits() }: GuardOptions): Guard {
  const admitted = new WeakMap<Request, Route | undefined>()

  const checkKey = (request: Request, route: Route | undefined, key: Key, count: Count): Refusal => {
    if (key.state !== 'valid')
      return count() ?? refuseKey(request, key.state === 'revoked' ? 'KEY_REVOKED' : 'KEY_EXPIRED')
    keys.use(key)
    // Known also where the request is refused.
    setPrincipal(request, key.principal)
    const exceeded = count(key)
    if (exceeded) return exceeded
    if (route && route.scope !== 'open' && !key.scopes.has(route.scope))
      return refuseScope(request, route, key)
    admitted.set(request, route)
    return undefined
  }

  const check = (request: Request, route: Route | undefined, count: Count): Refusal => {
    const need = needed()
    if (need === undefined)
      return isOpen(route) ? undefined : refuseFor(request, 'the service is starting or stopping')
    const header = request.headers.get('authorization')
    if (header === null) {
      const exceeded = count()
      if (exceeded) return exceeded
      if (!isOpen(route) && !isFree(route, need)) return refuseKey(request, 'KEY_MISSING', route)
      if (locked && need === 'none' && !isOpen(route)) setAdmission(request, { ended: locked })
      admitted.set(request, route)
      return undefined
    }
    if (keys.ageMs > staleMaxMs) return refuseFor(request, unreadable)
    const token = tokenOf(header)
    if (token === undefined) return count() ?? refuseKey(request, 'KEY_MALFORMED')
    const hash = hashOf(token)
    const key = keys.find(hash)
    if (key) return checkKey(request, route, key, count)
    const exceeded = count()
    if (exceeded) return exceeded
    // It may have been created a moment ago.
    return keys.readAgain().then(
      () => {
        const created = keys.find(hash)
        return created ? checkKey(request, route, created, count) : refuseKey(request, 'KEY_UNKNOWN')
      },
      () => refuseFor(request, unreadable),
    )
  }

  return {
    admit(request, route, addressOf) {
      if (route?.isUnlimited) return check(request, route, uncounted)
      return check(request, route, (key) => {
        if (key) return limits.count(request, 'key', key.principal.keyId)
        if (needed() === 'none') return undefined
        return limits.count(request, 'address', networkOf(addressOf() ?? ''))
      })
    },
    permit(route, context) {
      const { request } = context
      // What let it in may have ended while the body was read.
      const hasEnded = admissionOf(request)?.ended?.aborted ?? false
      const isAdmitted = !hasEnded && admitted.has(request) && admitted.get(request) === route
      // `admit` has counted it.
      const refusal = isAdmitted ? undefined : check(request, route, uncounted)
      if (refusal instanceof Promise) return refusal.then((one) => one ?? permitRestricted(route, context))
      return refusal ?? permitRestricted(route, context)
    },
    quotaHeadersOf: limits.headersOf,
  }
}

const uncounted: Count = () => undefined

const isOpen = (route: Route | undefined): route is undefined | (Route & { scope: 'open' }) =>
  route === undefined || route.scope === 'open'

const isFree = ({ scope }: Route, need: Needed): boolean =>
  need === 'none' || (need === 'beyond_reads' && scope === 'read')

/** For a service that checks no keys. To take a key without checking it would be a promise it cannot keep. */
export const withoutKeys: Guard = {
  admit: (request) =>
    /^bearer +saldo_/i.test(request.headers.get('authorization') ?? '')
      ? refuseKey(request, 'KEY_UNKNOWN')
      : undefined,
  permit: () => undefined,
  quotaHeadersOf: () => undefined,
}

/** The token of `Authorization: Bearer …`; undefined if it cannot be one. */
function tokenOf(header: string): string | undefined {
  const token = /^bearer +(\S+) *$/i.exec(header)?.[1]
  return token !== undefined && isWellFormed(token) ? token : undefined
}

function permitRestricted(route: Route, context: { request: Request }): Refusal {
  const restriction = principalOf(context.request)?.restriction
  return restriction && !isOpen(route) ? refuseOthers(route, context, restriction) : undefined
}

async function refuseOthers(
  route: Route,
  context: { request: Request },
  restriction: Restriction,
): Promise<Response | undefined> {
  const { request } = context
  const subjects = (await route.subjects?.(context as never)) ?? []
  let allowed = 0
  // One after the other: the first that is not allowed is the last that is looked up.
  for (const subject of subjects)
    if (await restriction.allows(subject, request)) allowed++
    else break
  if (allowed > 0 && allowed === subjects.length) return undefined
  const detail = route.subjects
    ? 'the key is restricted, and the request names no account or client, or one that it may not use'
    : 'the key is restricted to accounts or a client, and this route is for keys that are not'
  return refuseWith(request, 'insufficientScope', { code: 'KEY_RESTRICTED', detail, scope: route.scope })
}

const unreadable = 'the API keys cannot be read from the database'

const refuseFor = (request: Request, detail: string): Response =>
  refuse(request, commonProblems.unavailable, { detail })

const keyDetails = {
  KEY_MISSING: 'an API key is missing: send it as Authorization: Bearer saldo_…',
  KEY_MALFORMED: 'the Authorization header is not Bearer and a whole API key: saldo_…',
  KEY_UNKNOWN: 'this service has no such API key: each service has keys of its own',
  KEY_REVOKED: 'the API key was revoked',
  KEY_EXPIRED: 'the API key has expired',
} as const

const refuseKey = (request: Request, code: keyof typeof keyDetails, route?: Route): Response =>
  refuseWith(request, 'unauthenticated', { code, detail: keyDetails[code], scope: route?.scope })

function refuseScope(request: Request, { scope }: Route, { principal, scopes }: Key): Response {
  const detail = `the key ${principal.name} has ${[...scopes].join(' and ')}, and the route needs ${scope}`
  return refuseWith(request, 'insufficientScope', { code: 'INSUFFICIENT_SCOPE', detail, scope })
}

/** The challenge of RFC 6750, without an error where there is no key. */
function refuseWith(
  request: Request,
  kind: 'unauthenticated' | 'insufficientScope',
  { code, detail, scope }: { code: string; detail: string; scope?: string | undefined },
): Response {
  const error = kind === 'insufficientScope' ? 'insufficient_scope' : 'invalid_token'
  const challenge = [
    'realm="saldo"',
    ...(code === 'KEY_MISSING' ? [] : [`error="${error}"`]),
    ...(scope === undefined || scope === 'open' ? [] : [`scope="${scope}"`]),
  ]
  const headers = { 'www-authenticate': `Bearer ${challenge.join(', ')}` }
  return refuse(request, commonProblems[kind], { code, detail, headers })
}
