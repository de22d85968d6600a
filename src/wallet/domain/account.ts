/** An account as the ledger knows it: the state after its newest entry. */
export type Account = {
  id: string
  /** ISO 4217. Never changes. */
  currency: string
  /** What the entries add up to. */
  balanceMinor: bigint
  /** Promised to others by holds that are open: still in the balance, and no longer available. */
  heldMinor: bigint
  /** Number of its newest entry; 0 before the first. */
  version: bigint
  /** How far below zero what is available may go. Null for the system account `world`, which has no limit. */
  overdraftLimitMinor: bigint | null
  /** Before that it was not there. */
  openedAt: Date
}

/** What is told of an account: what its newest entry left. */
export type AccountSnapshot = Omit<Account, 'overdraftLimitMinor' | 'openedAt'>

/** One line of an account's history. Versions count 1, 2, 3 … per account, without gaps. */
export type Entry = {
  accountId: string
  version: bigint
  /** Signed: negative when money leaves the account. Zero when only what is held changes. */
  amountMinor: bigint
  /** What the account holds after it. */
  balanceMinor: bigint
  /** What of that is held after it. */
  heldMinor: bigint
}

/**
 * No balance, and nothing held, goes past 15 digits on either side of zero; the reason is with
 * `moneyMinorMax` in the contract. In minor units.
 */
export const balanceMinorMax = 999_999_999_999_999n
/**
 * That of `world`, which is the sum over all other accounts of its currency: wide enough that no
 * one of them ever stops the others.
 */
export const worldMinorMax = 999_999_999_999_999_999n

/**
 * `world` stands for everything outside the wallet: money comes from there and goes there, so that all accounts together hold zero.
 */
export const isWorld = (account: Account): boolean => account.overdraftLimitMinor === null

/**
 * The id of a currency's `world` account: the three letters of the currency, in ASCII, at the end
 * of an otherwise empty UUID. Derived, so that every installation has the same and nobody has to
 * look it up.
 */
export function worldIdOf(currency: string): string {
  const letters = [...currency].map((letter) => letter.charCodeAt(0).toString(16)).join('')
  return `00000000-0000-0000-0000-${letters.padStart(12, '0')}`
}

/** What the account may spend, its overdraft limit left aside. */
export const availableMinor = ({
  balanceMinor,
  heldMinor,
}: Pick<Account, 'balanceMinor' | 'heldMinor'>): bigint => balanceMinor - heldMinor

/** Whether the account has spent, or promised, more than it may. */
export const isOverdrawn = (account: Account): boolean =>
  account.overdraftLimitMinor !== null && availableMinor(account) < -account.overdraftLimitMinor

/** Whether all that is told of the account has a place: its balance, what is held, and what is available. */
export function isWithinDigits(account: Account): boolean {
  const max = isWorld(account) ? worldMinorMax : balanceMinorMax
  const { balanceMinor, heldMinor } = account
  return [balanceMinor, heldMinor, availableMinor(account)].every((minor) => -max <= minor && minor <= max)
}

/** The account after its next entry: one step of the fold that an account is. Both changes are signed. */
export const evolve = (account: Account, change: { amountMinor: bigint; heldMinor: bigint }): Account => ({
  ...account,
  balanceMinor: account.balanceMinor + change.amountMinor,
  heldMinor: account.heldMinor + change.heldMinor,
  version: account.version + 1n,
})

/** The entry that leads from one state of an account to the next. */
export const entryBetween = (before: Account, after: Account): Entry => ({
  accountId: after.id,
  version: after.version,
  amountMinor: after.balanceMinor - before.balanceMinor,
  balanceMinor: after.balanceMinor,
  heldMinor: after.heldMinor,
})
