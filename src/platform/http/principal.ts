/** Who sent a request: the API key that it carried. */

export type Principal = {
  /** Of this key. It differs after a roll. */
  keyId: string
  /** Of the key: the actor of what the request does. It stays after a roll. */
  name: string
  /** Undefined for a key that may be used for everything. */
  restriction?: Restriction | undefined
  /** Aborted when the key is revoked or expires. Ends the streams that were opened with it. */
  ended?: AbortSignal
}

/** What a request is about. Of `anyOf`, one is enough. */
export type Subject =
  | { account: string; client?: undefined; anyOf?: undefined }
  | { client: string; account?: undefined; anyOf?: undefined }
  | { anyOf: readonly Subject[]; account?: undefined; client?: undefined }

/** Limits a key to some accounts, or to those of a client. */
export type Restriction = {
  /** The request may say how long it is willing to wait for what is not known yet. */
  allows(subject: Subject, request: Request): Promise<boolean>
}

const principals = new WeakMap<Request, Principal>()

/** Undefined for a request without a key, where none is needed. */
export const principalOf = (request: Request): Principal | undefined => principals.get(request)

export const setPrincipal = (request: Request, principal: Principal): void =>
  void principals.set(request, principal)

/** What let a request in: a key, or that none was needed. */
export type Admission = Pick<Principal, 'ended'> & Partial<Pick<Principal, 'keyId'>>

const admissions = new WeakMap<Request, Admission>()

export const admissionOf = (request: Request): Admission | undefined =>
  principalOf(request) ?? admissions.get(request)

/** Of a request without a key, as long as none is needed. */
export const setAdmission = (request: Request, admission: Admission): void =>
  void admissions.set(request, admission)
