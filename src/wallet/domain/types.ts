/** What the ledger records: transactions, holds, and the facts that decisions lead to. */
import type { Account, AccountSnapshot, Entry } from './account'
import type { Rejection } from './rejection'

/** A deposit comes from `world`, a withdrawal goes there, a transfer never touches it. */
export const transferKinds = ['transfer', 'deposit', 'withdrawal'] as const
export type TransferKind = (typeof transferKinds)[number]
export const transactionKinds = [...transferKinds, 'reversal', 'capture'] as const
export type TransactionKind = (typeof transactionKinds)[number]

/** The caller's own data about a movement: stored and returned, never interpreted. */
export type Remarks = {
  reference: string | null
  metadata: Metadata | null
}
/** A JSON object. */
export type Metadata = { [name: string]: unknown }

/** Money that moved. Immutable. */
export type Transaction = Remarks & {
  id: string
  kind: TransactionKind
  accountIdFrom: string
  accountIdTo: string
  /** The version of each account's entry. */
  versionFrom: bigint
  versionTo: bigint
  amountMinor: bigint
  currency: string
  /** The transaction that this one reverses, whole or in part. */
  reverses: string | null
  /** The hold that this one captures. */
  holdId: string | null
  /** When it takes effect in the caller's books. */
  effectiveAt: Date
  /** When it was recorded. */
  createdAt: Date
}

export const holdStatuses = ['placed', 'captured', 'released', 'expired'] as const
export type HoldStatus = (typeof holdStatuses)[number]

/** Money reserved for a payee: still in the balance, no longer available. Ends once. */
export type Hold = Remarks & {
  id: string
  accountIdFrom: string
  accountIdTo: string
  amountMinor: bigint
  currency: string
  expiresAt: Date
  createdAt: Date
  status: HoldStatus
  /** Null while it is open, 0 when nothing was captured. */
  capturedMinor: bigint | null
  /** The transaction or the release that ended it. */
  endedBy: string | null
  endedAt: Date | null
  /** The versions of the paying account's entries. */
  versionPlaced: bigint
  versionEnded: bigint | null
}

/** What happened. */
export type Fact = Movement | Creation

/** Owns accounts. */
export type Client = { id: string; name: string; email: string; createdAt: Date }

/** A client or accounts that are new. */
export type Creation = { id: string; createdAt: Date } & (
  | { type: 'registration'; client: Client }
  | { type: 'opening'; accounts: Account[] }
)

/** What happened to two accounts, and the entries that record it. */
export type Movement = PublishedMovement & {
  entries: Entry[]
  from: Account
  to: Account
}

/** The part of a movement that is published. `id` is unique: of the transaction, the hold, or the release. */
export type PublishedMovement = {
  id: string
  /** Both accounts afterwards. */
  from: AccountSnapshot
  to: AccountSnapshot
  createdAt: Date
} & (
  | { type: 'transaction'; transaction: Transaction; hold?: undefined }
  | { type: 'capture'; transaction: Transaction; hold: Hold }
  | { type: 'hold' | 'release'; transaction?: undefined; hold: Hold }
)

/** No fact where the command asks for what is already so. */
export type Decision<Accepted extends Fact = Movement> = { accepted: true; facts: Accepted[] } | Rejected
export type Rejected = { accepted: false; rejection: Rejection }

export const reject = (rejection: Rejection): Rejected => ({ accepted: false, rejection })
