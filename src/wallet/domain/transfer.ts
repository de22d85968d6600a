/** Whether money may move, decided over the accounts as they stand. Pure. */
import { type Account, type Entry, evolve, isWorld, nextEntry } from './account'

/** Every way the ledger can say no, in the order the checks run. A code, once released, keeps its name. */
export const rejectionCodes = [
  'amount_not_positive',
  'accounts_not_different',
  'account_from_not_found',
  'account_to_not_found',
  'currency_not_equal',
  'insufficient_funds',
  'balance_limit_reached',
] as const
export type Rejection = (typeof rejectionCodes)[number]

/** No balance goes past 15 digits on either side of zero; the reason is with `moneyMinorMax` in the contract. In minor units. */
export const balanceMinorMax = 999_999_999_999_999n

/** A deposit comes from `world`, a withdrawal goes there, a transfer never touches it. */
export const transferKinds = ['transfer', 'deposit', 'withdrawal'] as const
export type TransferKind = (typeof transferKinds)[number]

export type TransferMoney = {
  transactionId: string
  kind: TransferKind
  accountIdFrom: string
  accountIdTo: string
  amountMinor: bigint
  currency: string
  /** The caller's own name for it; kept, never read. */
  reference: string | null
}

/** Money has moved: the command, and the entry that each account got by it. They add up to zero. */
export type Transfer = TransferMoney & { entryFrom: Entry; entryTo: Entry }

export type Decision = { accepted: true; transfer: Transfer } | { accepted: false; rejection: Rejection }

/** Answers with the entries of both accounts, or with the first rejection that applies. */
export function decideTransfer(command: TransferMoney, accounts: ReadonlyMap<string, Account>): Decision {
  const { kind, accountIdFrom, accountIdTo, amountMinor, currency } = command
  if (amountMinor <= 0n) return reject('amount_not_positive')
  if (accountIdFrom === accountIdTo) return reject('accounts_not_different')

  const from = accounts.get(accountIdFrom)
  const to = accounts.get(accountIdTo)
  // Where no `world` of the currency is, no account is kept in it.
  if (kind === 'deposit' && !from && to) return reject('currency_not_equal')
  if (kind === 'withdrawal' && from && !to) return reject('currency_not_equal')
  // To a caller, `world` is not an account: who could name it in a transfer could make money.
  if (!from || isWorld(from) !== (kind === 'deposit')) return reject('account_from_not_found')
  if (!to || isWorld(to) !== (kind === 'withdrawal')) return reject('account_to_not_found')
  if (from.currency !== currency || to.currency !== currency) return reject('currency_not_equal')

  const entryFrom = nextEntry(from, -amountMinor)
  const entryTo = nextEntry(to, amountMinor)
  if (from.overdraftLimitMinor !== null && entryFrom.balanceMinor < -from.overdraftLimitMinor)
    return reject('insufficient_funds')
  if (entryFrom.balanceMinor < -balanceMinorMax || entryTo.balanceMinor > balanceMinorMax)
    return reject('balance_limit_reached')

  return { accepted: true, transfer: { ...command, entryFrom, entryTo } }
}

/** The accounts after the transfer. The next command of the batch is decided over these. */
export function applyTransfer(accounts: Map<string, Account>, { entryFrom, entryTo }: Transfer): void {
  for (const entry of [entryFrom, entryTo]) {
    const account = accounts.get(entry.accountId)
    if (account) accounts.set(entry.accountId, evolve(account, entry))
  }
}

const reject = (rejection: Rejection): Decision => ({ accepted: false, rejection })
