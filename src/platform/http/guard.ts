/** What stands before the routes of a service and decides who may use them. The service hands it in. */
import type { Subject } from './principal'
import type { Scope } from './scope'

/** The part of a route that says who may use it. */
export type Guarded<Context> = {
  /** What a key needs for it. An `open` route needs no key. */
  scope: 'open' | Scope
  /**
   * What the request is about. A restricted key has to be allowed all of it. Where that is nothing, or the
   * route does not say, such a key is refused.
   */
  subjects?(context: Context): readonly Subject[] | Promise<readonly Subject[]>
}

/** Undefined where the request is not refused. */
export type Refusal = Response | undefined | Promise<Response | undefined>

export type Guard = {
  /** Before the body is read. Without a route, only a key that the request has is checked. */
  admit(request: Request, route: Guarded<never> | undefined): Refusal
  /** Right before the handler: what `admit` refuses, unless it has admitted that, and restricted keys. */
  permit(route: Guarded<never>, context: { request: Request }): Refusal
}
