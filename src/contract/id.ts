/**
 * Ids are opaque, except that UUIDs are the same in either letter case: they are lowercased on every
 * way in.
 */

/** Sorts before all others. */
export const nilUuid = '00000000-0000-0000-0000-000000000000'

/** In either letter case. */
export const uuidPattern = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
const uuid = new RegExp(uuidPattern)

export const isUuid = (id: string): boolean => uuid.test(id)

export const canonicalId = (id: string): string => (isUuid(id) ? id.toLowerCase() : id)

/** Fields of events that hold an id. */
const idFields = [
  'id',
  'client_id',
  'account_id_from',
  'account_id_to',
  'transaction_id',
  'hold_id',
  'reverses',
] as const

/** The payload with canonical ids; the same object when they already are. */
export function withCanonicalIds<Payload extends object>(payload: Payload): Payload {
  let canonical = payload as Record<string, unknown>
  for (const field of idFields) {
    const id = canonical[field]
    if (typeof id !== 'string' || id.length !== 36 || !hasCapitals.test(id) || !isUuid(id)) continue
    if (canonical === payload) canonical = { ...canonical }
    canonical[field] = id.toLowerCase()
  }
  return canonical as Payload
}

const hasCapitals = /[A-F]/
