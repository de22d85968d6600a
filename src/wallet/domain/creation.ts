/** Decides registrations, updates and erasures of clients, and openings of accounts. Pure. */
import { type Account, worldIdOf } from './account'
import type { Accounts } from './parties'
import { type Client, type Creation, type Decision, reject, type Sent } from './types'

export type RegisterClient = Sent & {
  type: 'registration'
  /** Becomes that of the client. */
  id: string
  name: string
  email: string
}

export type OpenAccount = Sent & {
  type: 'opening'
  /** Becomes that of the account. */
  id: string
  clientId: string
  currency: string
  overdraftLimitMinor: bigint
}

export type UpdateClient = Sent & {
  type: 'update'
  /** Becomes that of the change. */
  id: string
  clientId: string
  /** Null to keep it. */
  name: string | null
  email: string | null
}

/** Of what is known of a client as a person. Final. */
export type EraseClient = Sent & {
  type: 'erasure'
  /** Becomes that of the change. */
  id: string
  clientId: string
}

export function decideRegistration(
  { type, actor = null, ...terms }: RegisterClient,
  at: Date,
): Decision<Creation> {
  const dates = { createdAt: at, updatedAt: at, erasedAt: null }
  const client = { ...terms, version: 1n, actor, changedActor: null, ...dates }
  return { accepted: true, facts: [{ type, id: terms.id, createdAt: at, client }] }
}

export function decideUpdate(
  { type, id, clientId, actor = null, ...terms }: UpdateClient,
  clients: ReadonlyMap<string, Client>,
  at: Date,
): Decision<Creation> {
  const before = clients.get(clientId)
  if (!before) return reject('client_not_found')
  if (before.erasedAt) return reject('client_erased')
  const { name, email } = before
  const wanted = { name: terms.name ?? name, email: terms.email ?? email }
  if (wanted.name === name && wanted.email === email) return { accepted: true, facts: [] }
  const version = before.version + 1n
  const client = { ...before, ...wanted, version, changedActor: actor, updatedAt: at }
  return { accepted: true, facts: [{ type, id, createdAt: at, client }] }
}

export function decideErasure(
  { type, id, clientId, actor = null }: EraseClient,
  clients: ReadonlyMap<string, Client>,
  at: Date,
): Decision<Creation> {
  const before = clients.get(clientId)
  if (!before) return reject('client_not_found')
  if (before.erasedAt) return { accepted: true, facts: [] }
  const gone = { name: null, email: null, updatedAt: at, erasedAt: at }
  const client = { ...before, ...gone, version: before.version + 1n, changedActor: actor }
  return { accepted: true, facts: [{ type, id, createdAt: at, client }] }
}

/** The first account of a currency also opens `world`, the counterparty of its deposits and withdrawals. */
export function decideOpening(
  { type, actor = null, ...terms }: OpenAccount,
  { clients, accounts }: { clients: ReadonlyMap<string, Client>; accounts: Accounts },
  at: Date,
): Decision<Creation> {
  if (!clients.has(terms.clientId)) return reject('client_not_found')
  const { id, currency } = terms
  const world = { id: worldIdOf(currency), clientId: null, currency, overdraftLimitMinor: null }
  const opened = [...(accounts.get(world.id) ? [] : [world]), terms]
  const all = opened.map((account) => asOpened({ ...account, actor, createdAt: at }))
  return { accepted: true, facts: [{ type, id, createdAt: at, accounts: all }] }
}

type Opening = Pick<Account, 'id' | 'clientId' | 'currency' | 'overdraftLimitMinor' | 'actor' | 'createdAt'>

/** The account before its first entry. */
export const asOpened = ({
  id,
  clientId,
  currency,
  overdraftLimitMinor,
  openingLimitMinor = null,
  actor,
  createdAt,
}: Opening & Partial<Account>): Account => ({
  id,
  clientId,
  currency,
  balanceMinor: 0n,
  heldMinor: 0n,
  version: 0n,
  overdraftLimitMinor: openingLimitMinor ?? overdraftLimitMinor,
  openingLimitMinor: null,
  status: 'open',
  actor,
  changedActor: null,
  createdAt,
  updatedAt: createdAt,
})
