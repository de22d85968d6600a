/** What the ledger records: transactions, holds, and the facts that decisions lead to. */
import type { Account, AccountSnapshot, AccountStatus, Entry } from './account'
import type { Rejection } from './rejection'

/** A deposit comes from `world`, a withdrawal goes there, a transfer never touches it. */
export const transferKinds = ['transfer', 'deposit', 'withdrawal'] as const
export type TransferKind = (typeof transferKinds)[number]
export const transactionKinds = [...transferKinds, 'reversal', 'capture', 'postings'] as const
export type TransactionKind = (typeof transactionKinds)[number]

/** The caller's own data about a movement: stored and returned, never interpreted. */
export type Remarks = {
  reference: string | null
  metadata: Metadata | null
}
/** Of a command: who sends it, by the name of an API key. None where the wallet acts by itself. */
export type Sent = { actor?: string | null }
export type SentRemarks = Sent & Remarks
/** A JSON object. */
export type Metadata = { [name: string]: unknown }

/** The most legs that a transaction may have. */
export const legsMax = 100

/** Money that moved from one account to another: a transaction, or one of its legs. Immutable. */
export type Transaction = Remarks & {
  id: string
  /** Its position in the transaction: 0, 1, 2 … 0 where the transaction has no other. */
  leg: number
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
  /** Who made it. Null where its command has none. */
  actor: string | null
  /** When it takes effect in the caller's books. */
  effectiveAt: Date
  /** When it was recorded. */
  createdAt: Date
}

/** A transaction as a whole: in their order, the legs of postings or of their reversal; else the only one. */
export type Legs = readonly [Transaction, ...Transaction[]]

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
  /** When it was to expire at first. Null unless it was extended. */
  expiresAtPlaced: Date | null
  createdAt: Date
  /** Who placed it. */
  actor: string | null
  status: HoldStatus
  /** Null while it is open, 0 when nothing was captured. */
  capturedMinor: bigint | null
  /** The transaction or the release that ended it. */
  endedBy: string | null
  endedAt: Date | null
  /** The versions of the paying account's entries. */
  versionPlaced: bigint
  /** Of its last extension. */
  versionExtended: bigint | null
  versionEnded: bigint | null
  /** Who last extended it, and who ended it. */
  extendedActor: string | null
  endedActor: string | null
}

export const changeKinds = ['status', 'overdraft', 'expiry'] as const

/** A change of an account, or of the expiry of its hold: an entry that moves nothing. Immutable. */
export type Change = {
  id: string
  kind: (typeof changeKinds)[number]
  accountId: string
  /** The version of the account's entry. */
  version: bigint
  /** Both afterwards, changed or not. */
  status: AccountStatus
  overdraftLimitMinor: bigint
  /** The hold whose expiry changed, and to when. */
  holdId: string | null
  expiresAt: Date | null
  reference: string | null
  actor: string | null
  createdAt: Date
}

/** What happened. */
export type Fact = Movement | Creation

/** Owns accounts. Its versions are 1, 2, 3 … */
export type Client = {
  id: string
  /** Null once its personal data was erased. */
  name: string | null
  email: string | null
  version: bigint
  /** Who registered it, and who made this version of it; null for the first. */
  actor: string | null
  changedActor: string | null
  createdAt: Date
  updatedAt: Date
  erasedAt: Date | null
}

/** A client, new or changed, or accounts that are new. */
export type Creation = { id: string; createdAt: Date } & (
  | { type: 'registration'; client: Client }
  | { type: 'update' | 'erasure'; client: Client }
  | { type: 'opening'; accounts: Account[] }
)

/** What happened to two accounts, and the entries that record it. */
export type Movement = PublishedMovement & {
  entries: Entry[]
  from: Account
  to: Account
}

/** The part that is published. `id` is unique: of the transaction, the hold, the release, or the change. */
export type PublishedMovement = {
  id: string
  /** Both accounts afterwards. */
  from: AccountSnapshot
  to: AccountSnapshot
  createdAt: Date
} & (
  | { type: 'transaction'; transaction: Transaction; hold?: undefined }
  /** With one of its legs the whole transaction is published. */
  | { type: 'leg'; transaction: Transaction; whole: Legs | null; hold?: undefined }
  | { type: 'capture'; transaction: Transaction; hold: Hold }
  | { type: 'hold' | 'release'; transaction?: undefined; hold: Hold }
  | { type: 'extension'; transaction?: undefined; hold: Hold; change: Change }
  | { type: 'change'; transaction?: undefined; hold?: undefined; change: Change; clientId: string | null }
)

/** No fact where the command asks for what is already so. */
export type Decision<Accepted extends Fact = Movement> = { accepted: true; facts: Accepted[] } | Rejected
/** `leg`: the one that cannot be executed. */
export type Rejected = { accepted: false; rejection: Rejection; leg?: number }

export const reject = (rejection: Rejection): Rejected => ({ accepted: false, rejection })
