/** What stands before the routes of a service and decides who may use them. The service hands it in. */
import type { Subject } from './principal'
import type { Scope } from './scope'

/** The part of a route that says who may use it. */
export type Guarded<Context> = {
  /** What a key needs for it. An `open` route needs no key. */
  scope: 'open' | Scope
  /** No rate limit: probes have to get through. */
  isUnlimited?: true
  /**
   * What the request is about. A restricted key has to be allowed all of it. Where that is nothing, or the
   * route does not say, such a key is refused.
   */
  subjects?(context: Context): readonly Subject[] | Promise<readonly Subject[]>
}

/** Undefined where the request is not refused. */
export type Refusal = Response | undefined | Promise<Response | undefined>

/** The address that a request came from, while its connection is open. */
export type AddressOf = () => string | undefined

export type Guard = {
  /**
   * Before the body is read, once for each request: it counts against the rate limits. Without a route, only
   * a key that the request has is checked.
   */
  admit(request: Request, route: Guarded<never> | undefined, addressOf: AddressOf): Refusal
  /** Right before the handler: what `admit` refuses, unless it has admitted that, and restricted keys. */
  permit(route: Guarded<never>, context: { request: Request }): Refusal
  /** Headers of the answer, about the rate limit that applied. */
  quotaHeadersOf(request: Request): Readonly<Record<string, string>> | undefined
}
