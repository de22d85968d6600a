/** What goes into a projection, and what comes out. Times are RFC 3339, UTC. */
import type { Decoded, Unreadable } from '../../contract/wire/envelope'
import type { balances, clients, entries } from '../db/schema'

/** A decoded record with its own timestamp; `origin` is how the caller identifies it. */
export type Reading<Origin> = { decoded: Decoded; timestampMs: number; origin: Origin }

type Row<Table extends { $inferSelect: object }, Optional extends keyof Table['$inferSelect']> = Omit<
  Table['$inferSelect'],
  Optional
> &
  Partial<Pick<Table['$inferSelect'], Optional>>

// Rows of the first epoch have none.
export type BalanceRow = Row<typeof balances, 'epoch' | 'startEpoch' | 'startVersion'>
export type EntryRow = Row<typeof entries, 'epoch'>
export type ClientRow = Row<typeof clients, 'epoch'>

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
} & Partial<Pick<BalanceRow, 'opened' | 'epoch' | 'startEpoch' | 'startVersion'>>

export type Projection<Origin> = {
  /** One row per account, the newest in these records. */
  balances: BalanceRow[]
  /** Every version in these records, in log order. On duplicates the first one is right. */
  entries: EntryRow[]
  clients: ClientRow[]
  deadLetters: { origin: Origin; reason: DeadLetterReason }[]
  /** Names of unknown events, which are skipped. */
  unknown: string[]
  /** Absent where no record is of a restored ledger. */
  epochs?: EpochChanges
}

/** What is known of restored ledgers: see `epochs.ts`. */
export type KnownEpochs = {
  /** The last one of which all that was lost is removed. */
  complete: number
  /** Epochs of clients that are stored. */
  clients: ReadonlyMap<string, number>
}

type Holders = { accounts: number; clients: number }

/** What records of a restored ledger change beside their rows. */
export type EpochChanges = {
  /** Of these accounts, later versions than this one are void in epochs before this one. */
  starts: { accountId: string; epoch: number; version: bigint }[]
  /** By epoch, how many accounts and clients these records are the first of, and how many there are to be. */
  progress: Map<number, Holders & { expected?: Holders }>
  /** Records of a lost future. */
  voided: number
}
