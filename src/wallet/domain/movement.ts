/**
 * What moving money leaves behind, and how it is moved: two accounts, each one entry further, and
 * the two entries adding up to zero. Pure.
 */
import {
  type Account,
  type AccountSnapshot,
  type Entry,
  entryBetween,
  evolve,
  isOverdrawn,
  isWithinDigits,
} from './account'
import type { Hold } from './hold'
import type { Rejection } from './rejection'

/** A deposit comes from `world`, a withdrawal goes there, a transfer never touches it. */
export const transferKinds = ['transfer', 'deposit', 'withdrawal'] as const
export type TransferKind = (typeof transferKinds)[number]
export const transactionKinds = [...transferKinds, 'reversal', 'capture'] as const
export type TransactionKind = (typeof transactionKinds)[number]

/** What the caller may say about a movement. */
export type Remarks = {
  /** The caller's own name for it; kept, never read. */
  reference: string | null
  /** A JSON object of the caller's own; kept, never read. */
  metadata: Metadata | null
}
export type Metadata = { [name: string]: unknown }

/** Money that moved. Never changes. */
export type Transaction = Remarks & {
  id: string
  kind: TransactionKind
  accountIdFrom: string
  accountIdTo: string
  /** The number of the entry that each account got by it. */
  versionFrom: bigint
  versionTo: bigint
  amountMinor: bigint
  currency: string
  /** The transaction that this one takes back, whole or in part. */
  reverses: string | null
  /** The hold that this one captures. */
  holdId: string | null
  /** When it counts from, in the caller's books. */
  effectiveAt: Date
  /** When it was written. */
  createdAt: Date
}

/** What happened to two accounts. `id` is unique: that of the transaction, of the hold, or of the release. */
export type Fact = PublishedFact & {
  entries: Entry[]
  from: Account
  to: Account
}

/** As much of it as is told. */
export type PublishedFact = {
  id: string
  /** Both accounts as they stand afterwards. */
  from: AccountSnapshot
  to: AccountSnapshot
  createdAt: Date
} & (
  | { type: 'transaction'; transaction: Transaction; hold?: undefined }
  | { type: 'capture'; transaction: Transaction; hold: Hold }
  | { type: 'hold' | 'release'; transaction?: undefined; hold: Hold }
)

export type Decision = { accepted: true; fact: Fact } | { accepted: false; rejection: Rejection }

export const reject = (rejection: Rejection): { accepted: false; rejection: Rejection } => ({
  accepted: false,
  rejection,
})

type Payment = Remarks & {
  id: string
  kind: TransactionKind
  amountMinor: bigint
  /** The time of the decision when null. */
  effectiveAt: Date | null
  reverses?: string
  /** The hold that is captured by it: what was held for it no longer has to be. */
  hold?: Hold
  /** It counts from no time before this one, and why. */
  since: { time: Date; otherwise: Rejection }
}

type Moved =
  | { accepted: true; fact: Extract<Fact, { type: 'transaction' }> }
  | { accepted: false; rejection: Rejection }

export const later = (one: Date, other: Date): Date => (one < other ? other : one)

/**
 * Both accounts have been looked at by the caller; what is left to check is its time, whether the
 * money is there, and whether it fits.
 */
export function moveMoney({ from, to }: { from: Account; to: Account }, payment: Payment, at: Date): Moved {
  const { id, kind, amountMinor, reference, metadata, hold, since } = payment
  if (payment.effectiveAt && payment.effectiveAt < since.time) return reject(since.otherwise)
  const after = {
    from: evolve(from, { amountMinor: -amountMinor, heldMinor: hold ? -hold.amountMinor : 0n }),
    to: evolve(to, { amountMinor, heldMinor: 0n }),
  }
  if (isOverdrawn(after.from)) return reject('insufficient_funds')
  if (!isWithinDigits(after.from) || !isWithinDigits(after.to)) return reject('balance_limit_reached')

  const transaction: Transaction = {
    id,
    kind,
    accountIdFrom: from.id,
    accountIdTo: to.id,
    versionFrom: after.from.version,
    versionTo: after.to.version,
    amountMinor,
    currency: from.currency,
    reference,
    metadata,
    reverses: payment.reverses ?? null,
    holdId: hold?.id ?? null,
    // Clocks may differ, or be set back.
    effectiveAt: payment.effectiveAt ?? later(at, since.time),
    createdAt: at,
  }
  const entries = [entryBetween(from, after.from), entryBetween(to, after.to)]
  return { accepted: true, fact: { type: 'transaction', id, entries, ...after, createdAt: at, transaction } }
}
