/** What goes into a projection, and what comes out. Times are RFC 3339, UTC. */
import type { Decoded, Unreadable } from '../../contract/wire/envelope'
import type { Source } from '../db/schema'

/** A decoded record with its own timestamp; `origin` is how the caller identifies it. */
export type Reading<Origin> = { decoded: Decoded; timestampMs: number; origin: Origin }

/** An account at its newest version. `opened`: owner and `createdAt` come from its AccountOpened. */
export type BalanceRow = {
  accountId: string
  clientId: string | null
  currency: string
  balanceMinor: bigint
  heldMinor: bigint
  version: bigint
  /** Null until the first movement. */
  source: Source | null
  opened: boolean
  createdAt: string
  updatedAt: string
}

/** One version of one account: what it changed, and the balance after it. */
export type EntryRow = {
  accountId: string
  version: bigint
  /** Signed. Null when neither the event has it nor the previous version is known. */
  amountMinor: bigint | null
  balanceMinor: bigint
  heldMinor: bigint
  /** Transaction and hold that caused it. The course's records have neither. */
  transactionId: string | null
  holdId: string | null
  /** Null for a movement within one account. */
  counterpartyId: string | null
  /** Null when it is `createdAt`, as nearly always. */
  effectiveAt: string | null
  createdAt: string
}

export type ClientRow = { id: string; name: string; email: string; createdAt: string }

/** Why a record was dead-lettered. Causes are part of the API. */
export type DeadLetterReason = {
  cause:
    | Unreadable['cause']
    | 'balance_invalid'
    | 'currency_mismatch'
    | 'source_conflict'
    | 'not_storable'
    | 'not_applicable'
    | 'superseded'
  detail: string
}

/** Stored state needed to complete a partial event. */
export type ProjectedAccount = {
  version: bigint
  currency: string
  /** Null when only the source is known, as at the start of a rebuild. */
  balanceMinor: bigint | null
  source: Source | null
}

export type Projection<Origin> = {
  /** One row per account, the newest in these records. */
  balances: BalanceRow[]
  /** Every version in these records, in log order. On duplicates the first one is right. */
  entries: EntryRow[]
  clients: ClientRow[]
  deadLetters: { origin: Origin; reason: DeadLetterReason }[]
  /** Names of unknown events, which are skipped. */
  unknown: string[]
}
