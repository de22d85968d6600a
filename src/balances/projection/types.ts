/** What goes into a projection, and what comes out. Times are RFC 3339, UTC. */
import type { Decoded, Unreadable } from '../../contract/wire/envelope'
import type { balances, clients, entries } from '../db/schema'

/** A decoded record with its own timestamp; `origin` is how the caller identifies it. */
export type Reading<Origin> = { decoded: Decoded; timestampMs: number; origin: Origin }

export type BalanceRow = typeof balances.$inferSelect
export type EntryRow = typeof entries.$inferSelect
export type ClientRow = typeof clients.$inferSelect

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
export type ProjectedAccount = Pick<BalanceRow, 'version' | 'currency' | 'source'> & {
  /** Null when only the source is known, as at the start of a rebuild. */
  balanceMinor: bigint | null
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
