/** Decides changes of an account's status and overdraft limit: entries that move nothing. Pure. */
import {
  type Account,
  type AccountStatus,
  entryBetween,
  evolve,
  isOverdrawn,
  isWorld,
  worldIdOf,
} from './account'
import type { Accounts } from './parties'
import { type Change, type Decision, type Rejected, reject, type Sent } from './types'

type OfAccount = Sent & {
  /** Becomes that of the change. */
  id: string
  accountId: string
  /** That of the account, for its `world`. */
  currency: string
  reference: string | null
}

export type SetStatus = OfAccount & { type: 'status'; status: AccountStatus }
export type SetOverdraft = OfAccount & { type: 'overdraft'; overdraftLimitMinor: bigint }

/** Closing needs an empty account, and is final. */
export function decideStatus(command: SetStatus, accounts: Accounts, at: Date): Decision {
  const found = findAccount(command, accounts)
  if (!found.accepted) return found
  const { status } = command
  const { status: before, balanceMinor, heldMinor } = found.account
  if (before === status) return { accepted: true, facts: [] }
  if (before === 'closed') return reject('account_closed')
  if (status === 'closed' && (balanceMinor !== 0n || heldMinor !== 0n)) return reject('account_not_empty')
  return changeAccount(command, found, { status }, at)
}

/** A frozen account can be given another limit: nothing moves by that. */
export function decideOverdraft(command: SetOverdraft, accounts: Accounts, at: Date): Decision {
  const found = findAccount(command, accounts)
  if (!found.accepted) return found
  const { account } = found
  const { overdraftLimitMinor } = command
  if (account.status === 'closed') return reject('account_closed')
  if (account.overdraftLimitMinor === overdraftLimitMinor) return { accepted: true, facts: [] }
  if (isOverdrawn({ ...account, overdraftLimitMinor })) return reject('overdraft_in_use')
  return changeAccount(command, found, { overdraftLimitMinor }, at)
}

type Found = { account: Account; world: Account }

/** `world` is not an account that a caller may change. */
function findAccount(
  { accountId, currency }: OfAccount,
  accounts: Accounts,
): ({ accepted: true } & Found) | Rejected {
  const account = accounts.get(accountId)
  const world = accounts.get(worldIdOf(currency))
  if (!account || !world || isWorld(account)) return reject('account_not_found')
  return { accepted: true, account, world }
}

function changeAccount(
  { id, type: kind, reference, actor = null }: SetStatus | SetOverdraft,
  { account, world }: Found,
  changed: Partial<Account>,
  at: Date,
): Decision {
  const openingLimitMinor = account.openingLimitMinor ?? account.overdraftLimitMinor
  const evolved = evolve(account, { amountMinor: 0n, heldMinor: 0n }, at)
  const after = { ...evolved, openingLimitMinor, changedActor: actor, ...changed }
  const change = changeOf(after, { id, kind, reference, actor, holdId: null, expiresAt: null }, at)
  const entries = [entryBetween(account, after)]
  const { clientId } = account
  return {
    accepted: true,
    facts: [{ type: 'change', id, entries, from: after, to: world, createdAt: at, change, clientId }],
  }
}

/** The record of a change that led to this state of the account. */
export const changeOf = (
  { id: accountId, version, status, overdraftLimitMinor }: Account,
  what: Pick<Change, 'id' | 'kind' | 'reference' | 'actor' | 'holdId' | 'expiresAt'>,
  at: Date,
): Change => ({
  ...what,
  accountId,
  version,
  status,
  overdraftLimitMinor: overdraftLimitMinor ?? 0n,
  createdAt: at,
})
