/** Who sent a request: the API key that it carried. */

export type Principal = {
  /** Of this key. It differs after a roll. */
  keyId: string
  /** Of the key: the actor of what the request does. It stays after a roll. */
  name: string
}

const principals = new WeakMap<Request, Principal>()

/** Undefined for a request without a key, where none is needed. */
export const principalOf = (request: Request): Principal | undefined => principals.get(request)

export const setPrincipal = (request: Request, principal: Principal): void =>
  void principals.set(request, principal)
