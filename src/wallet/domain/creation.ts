/** Decides registrations of clients and openings of accounts. Pure. */
import { type Account, worldIdOf } from './account'
import type { Accounts } from './parties'
import { type Client, type Creation, type Decision, reject } from './types'

export type RegisterClient = {
  type: 'registration'
  /** Becomes that of the client. */
  id: string
  name: string
  email: string
}

export type OpenAccount = {
  type: 'opening'
  /** Becomes that of the account. */
  id: string
  clientId: string
  currency: string
  overdraftLimitMinor: bigint
}

export function decideRegistration({ type, ...terms }: RegisterClient, at: Date): Decision<Creation> {
  return {
    accepted: true,
    facts: [{ type, id: terms.id, createdAt: at, client: { ...terms, createdAt: at } }],
  }
}

/** The first account of a currency also opens `world`, the counterparty of its deposits and withdrawals. */
export function decideOpening(
  { type, ...terms }: OpenAccount,
  { clients, accounts }: { clients: ReadonlyMap<string, Client>; accounts: Accounts },
  at: Date,
): Decision<Creation> {
  if (!clients.has(terms.clientId)) return reject('client_not_found')
  const { id, currency } = terms
  const world = { id: worldIdOf(currency), clientId: null, currency, overdraftLimitMinor: null }
  const opened = [...(accounts.has(world.id) ? [] : [world]), terms]
  const all = opened.map((account) => asOpened({ ...account, createdAt: at }))
  return { accepted: true, facts: [{ type, id, createdAt: at, accounts: all }] }
}

/** The account before its first entry. */
export const asOpened = <T extends Omit<Account, 'balanceMinor' | 'heldMinor' | 'version'>>(account: T) => ({
  ...account,
  balanceMinor: 0n,
  heldMinor: 0n,
  version: 0n,
})
