/** What one transaction has applied, for those who watch it. */
import type { IncomingRecord } from '../../platform/kafka/records'
import type { DeadLetterReason, EntryRow, Reading } from './types'

export type ObservedOrigin = { record: IncomingRecord; partition: { topic: string; partition: number } }

export type Observation = {
  readings: readonly Reading<ObservedOrigin>[]
  /** Reasons as they are stored. Also of records that the database has refused, which have no reading. */
  dead: readonly { origin: ObservedOrigin; reason: DeadLetterReason }[]
  entries: readonly Pick<EntryRow, 'accountId' | 'version'>[]
  /** Those that were not there before, by `entryKey`. Undefined where all were, or where it is not known. */
  recorded: readonly string[] | undefined
  /** Of the transaction; undefined where it has added no entry. */
  xid: string | undefined
  /** When the records were taken up, committed, and shown to readers that wait: `performance.now`. */
  receivedMs: number
  appliedMs: number
  visibleMs: number
}

export type ApplyObserver = {
  /** Where it is false, nothing is collected. */
  readonly isWatching: boolean
  observe(observation: Observation): void
}

export const entryKey = ({ accountId, version }: Pick<EntryRow, 'accountId' | 'version'>): string =>
  `${version} ${accountId}`
