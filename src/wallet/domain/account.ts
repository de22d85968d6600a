/**
 * `debits_frozen`: nothing leaves. `frozen`: nothing leaves or arrives. Neither keeps holds from ending
 * without payment. `closed` is final.
 */
export const accountStatuses = ['open', 'debits_frozen', 'frozen', 'closed'] as const
export type AccountStatus = (typeof accountStatuses)[number]

/** The state of an account after its newest entry. */
export type Account = {
  id: string
  /** Null for `world`. */
  clientId: string | null
  /** ISO 4217. Never changes. */
  currency: string
  /** The sum of its entries. */
  balanceMinor: bigint
  /** Reserved by open holds: part of the balance, not available. */
  heldMinor: bigint
  /** Of its newest entry; 0 before the first. */
  version: bigint
  /** How far the available balance may go below zero. Null, no limit, for the system account `world`. */
  overdraftLimitMinor: bigint | null
  /** The limit that it was opened with. May be null until the account is changed. */
  openingLimitMinor: bigint | null
  /** That of `world` never changes. */
  status: AccountStatus
  /** Who opened it, and who last changed its status or limit. */
  actor: string | null
  changedActor: string | null
  createdAt: Date
  /** When its newest entry was written. */
  updatedAt: Date
}

/** The part of an account that is published with each entry. */
export type AccountSnapshot = Pick<
  Account,
  | 'id'
  | 'currency'
  | 'balanceMinor'
  | 'heldMinor'
  | 'version'
  | 'status'
  | 'overdraftLimitMinor'
  | 'openingLimitMinor'
>

/** One line of an account's history. Versions are 1, 2, 3 … per account, without gaps. */
export type Entry = {
  accountId: string
  version: bigint
  /** Signed: negative when money leaves the account. Zero when a hold or the account itself changes. */
  amountMinor: bigint
  /** The balance after it. */
  balanceMinor: bigint
  /** The held amount after it. */
  heldMinor: bigint
}

/** 15 digits for each balance and held amount; see `moneyMinorMax` in the contract for the reason. */
export const balanceMinorMax = 999_999_999_999_999n
/** `world` mirrors the sum of all other accounts, so its limit is wide enough never to block them. */
export const worldMinorMax = 999_999_999_999_999_999n

/** `world` is everything outside the wallet: with it all accounts add up to zero. */
export const isWorld = (account: Account): boolean => account.overdraftLimitMinor === null

/**
 * The id of a currency's `world` account: the currency's three letters in ASCII at the end of a nil
 * UUID. The same in every installation.
 */
export function worldIdOf(currency: string): string {
  const letters = [...currency].map((letter) => letter.charCodeAt(0).toString(16)).join('')
  return `00000000-0000-0000-0000-${letters.padStart(12, '0')}`
}

/** What the account may spend, without its overdraft limit. */
export const availableMinor = ({
  balanceMinor,
  heldMinor,
}: Pick<Account, 'balanceMinor' | 'heldMinor'>): bigint => balanceMinor - heldMinor

/** Whether the account has spent or reserved more than it may. */
export const isOverdrawn = (account: Account): boolean =>
  account.overdraftLimitMinor !== null && availableMinor(account) < -account.overdraftLimitMinor

/** Whether balance, held and available amount are all within the limit. */
export function isWithinDigits(account: Account): boolean {
  const max = isWorld(account) ? worldMinorMax : balanceMinorMax
  const { balanceMinor, heldMinor } = account
  return [balanceMinor, heldMinor, availableMinor(account)].every((minor) => -max <= minor && minor <= max)
}

/** The account after its next entry. Both changes are signed. */
export const evolve = (
  account: Account,
  change: { amountMinor: bigint; heldMinor: bigint },
  at: Date,
): Account => ({
  ...account,
  balanceMinor: account.balanceMinor + change.amountMinor,
  heldMinor: account.heldMinor + change.heldMinor,
  version: account.version + 1n,
  updatedAt: at,
})

/** The entry that leads from one state of an account to the next. */
export const entryBetween = (before: Account, after: Account): Entry => ({
  accountId: after.id,
  version: after.version,
  amountMinor: after.balanceMinor - before.balanceMinor,
  balanceMinor: after.balanceMinor,
  heldMinor: after.heldMinor,
})
