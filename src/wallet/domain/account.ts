/** An account as the ledger knows it: the state after its newest entry. */
export type Account = {
  id: string
  /** ISO 4217. Never changes. */
  currency: string
  /** What the entries add up to. */
  balanceMinor: bigint
  /** Number of its newest entry; 0 before the first. */
  version: bigint
  /** How far below zero the balance may go. Null for the system account `world`, which has no limit. */
  overdraftLimitMinor: bigint | null
}

/** One line of an account's history. Versions count 1, 2, 3 … per account, without gaps. */
export type Entry = {
  accountId: string
  version: bigint
  /** Signed: negative when money leaves the account. */
  amountMinor: bigint
  /** What the account holds after it. */
  balanceMinor: bigint
}

/** `world` stands for everything outside the wallet: money comes from there and goes there, so that all accounts together hold zero. */
export const isWorld = (account: Account): boolean => account.overdraftLimitMinor === null

/**
 * The id of a currency's `world` account: the three letters of the currency, in ASCII, at the end of an otherwise empty UUID. Derived, so that
 * every installation has the same and nobody has to look it up.
 */
export function worldIdOf(currency: string): string {
  const letters = [...currency].map((letter) => letter.charCodeAt(0).toString(16)).join('')
  return `00000000-0000-0000-0000-${letters.padStart(12, '0')}`
}

/** The entry that moves `amountMinor` (signed) next. */
export function nextEntry(account: Account, amountMinor: bigint): Entry {
  return {
    accountId: account.id,
    version: account.version + 1n,
    amountMinor,
    balanceMinor: account.balanceMinor + amountMinor,
  }
}

/** The account once the entry is written: one step of the fold that an account is. */
export const evolve = (account: Account, entry: Entry): Account => ({
  ...account,
  balanceMinor: entry.balanceMinor,
  version: entry.version,
})
