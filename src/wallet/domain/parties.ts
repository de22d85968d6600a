/** The two accounts of a payment. Pure. */
import { type Account, isWorld } from './account'
import type { Rejection } from './rejection'
import { type Rejected, reject } from './types'

export type Accounts = Pick<ReadonlyMap<string, Account>, 'get'>
export type Parties = { from: Account; to: Account }

type Payment = { accountIdFrom: string; accountIdTo: string; amountMinor: bigint; currency: string }
type PartiesDecision = ({ accepted: true } & Parties) | Rejected

/**
 * Checks everything about a payment but its time and the balances. `world` is not an account that
 * a caller may name: paying from it would create money.
 */
export function findParties(
  { accountIdFrom, accountIdTo, amountMinor, currency }: Payment,
  accounts: Accounts,
  { fromWorld, toWorld }: { fromWorld: boolean; toWorld: boolean },
): PartiesDecision {
  if (amountMinor <= 0n) return reject('amount_not_positive')
  if (accountIdFrom === accountIdTo) return reject('accounts_not_different')

  const from = accounts.get(accountIdFrom)
  const to = accounts.get(accountIdTo)
  if (from ? isWorld(from) !== fromWorld : !fromWorld) return reject('account_from_not_found')
  if (to ? isWorld(to) !== toWorld : !toWorld) return reject('account_to_not_found')
  // A `world` is missing where no account has the currency.
  if (from?.currency !== currency || to?.currency !== currency) return reject('currency_not_equal')
  return { accepted: true, from, to }
}

/** Why nothing may be paid or promised between these accounts now. */
export function refusalByStatus({ from, to }: Parties): Rejection | undefined {
  if (from.status === 'closed') return 'account_from_closed'
  if (to.status === 'closed') return 'account_to_closed'
  if (from.status !== 'open') return 'account_from_frozen'
  return to.status === 'frozen' ? 'account_to_frozen' : undefined
}
