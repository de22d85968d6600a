/** Whether money may move from one account to another, decided over the accounts as they stand. Pure. */
import { type Account, isWorld } from './account'
import { type Decision, later, moveMoney, type Remarks, reject, type TransferKind } from './movement'
import type { Rejection } from './rejection'

export type TransferMoney = Remarks & {
  type: 'transfer'
  /** Of the transaction to be. */
  id: string
  kind: TransferKind
  accountIdFrom: string
  accountIdTo: string
  amountMinor: bigint
  currency: string
  /** The time of the decision when null. */
  effectiveAt: Date | null
}

type Accounts = ReadonlyMap<string, Account>

/** Answers with both accounts as they stand afterwards, or with the first rejection that applies. */
export function decideTransfer(command: TransferMoney, accounts: Accounts, at: Date): Decision {
  const { kind } = command
  const parties = findParties(command, accounts, {
    fromWorld: kind === 'deposit',
    toWorld: kind === 'withdrawal',
  })
  if (!parties.accepted) return parties
  // `world` has always been there, whatever its row says.
  const [one, other] = [parties.from, parties.to]
    .filter((party) => !isWorld(party))
    .map(({ openedAt }) => openedAt)
  const time = later(one ?? at, other ?? one ?? at)
  return moveMoney(parties, { ...command, since: { time, otherwise: 'effective_before_opening' } }, at)
}

type Payment = Pick<TransferMoney, 'accountIdFrom' | 'accountIdTo' | 'amountMinor' | 'currency'>
type Parties = { accepted: true; from: Account; to: Account } | { accepted: false; rejection: Rejection }

/**
 * Both accounts of a payment that may be made as far as its form goes. To a caller `world` is not
 * an account: who could name it could make money.
 */
export function findParties(
  { accountIdFrom, accountIdTo, amountMinor, currency }: Payment,
  accounts: Accounts,
  { fromWorld, toWorld }: { fromWorld: boolean; toWorld: boolean },
): Parties {
  if (amountMinor <= 0n) return reject('amount_not_positive')
  if (accountIdFrom === accountIdTo) return reject('accounts_not_different')

  const from = accounts.get(accountIdFrom)
  const to = accounts.get(accountIdTo)
  if (from ? isWorld(from) !== fromWorld : !fromWorld) return reject('account_from_not_found')
  if (to ? isWorld(to) !== toWorld : !toWorld) return reject('account_to_not_found')
  // Where the currency has no `world`, no account is kept in it.
  if (from?.currency !== currency || to?.currency !== currency) return reject('currency_not_equal')
  return { accepted: true, from, to }
}
