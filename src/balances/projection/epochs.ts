/**
 * What a restored ledger makes void. Pure.
 *
 * A ledger that was restored has lost a part of its history, which is on the topics all the same. It starts a
 * new epoch, with a state of each account that it has; its events carry the number. Of one version of an
 * account the event of the highest epoch is true, since the ledger wrote that version again. Versions that it
 * has not reached again are void once the account's start is known, and accounts without a start once all
 * starts are known. So the rows are the same in any order of arrival, and after any repetition.
 */
import type { Decoded } from '../../contract/wire/envelope'
import { firstEpoch } from '../../contract/wire/envelope'
import { sidesOf } from './sides'
import type { EntryRow, Reading } from './types'

/** Where an account stands at the start of an epoch. */
export type Start = { epoch: number; version: bigint }

/** A null stands for the first epoch. */
export const epochOf = (stored: number | null | undefined): number => stored ?? firstEpoch

/** As it is stored. */
export const storedEpoch = (epoch: number): number | null => (epoch === firstEpoch ? null : epoch)

/** Whether an event of this epoch about this version of an account is of a lost future. */
export function isVoid(
  { epoch, version }: Start,
  { start, complete }: { start: Start | undefined; complete: number },
): boolean {
  if (start && epoch < start.epoch && version > start.version) return true
  return epoch < complete && epochOf(start?.epoch) < complete
}

/** Without those that a start makes void, and of each version those of the highest epoch. */
export function trueEntries(
  entries: readonly EntryRow[],
  startOf: (accountId: string) => Start | undefined,
): EntryRow[] {
  const highest = new Map<string, number>()
  const nameOf = ({ accountId, version }: EntryRow) => `${version} ${accountId}`
  for (const entry of entries) {
    const epoch = epochOf(entry.epoch)
    if (epoch > (highest.get(nameOf(entry)) ?? 0)) highest.set(nameOf(entry), epoch)
  }
  return entries.filter((entry) => {
    const { accountId, version } = entry
    const epoch = epochOf(entry.epoch)
    return (
      highest.get(nameOf(entry)) === epoch &&
      !isVoid({ epoch, version }, { start: startOf(accountId), complete: 0 })
    )
  })
}

/**
 * The epochs of events that have one: those without versions are of other writers. Undefined where there is
 * a start among them, which changes more than the rows of its accounts.
 */
export function epochsIn(readings: readonly Reading<unknown>[]): Set<number> | undefined {
  const epochs = new Set<number>()
  for (const { decoded } of readings) {
    if (decoded.kind !== 'event') continue
    const { name, payload } = decoded.event
    if (name === 'EpochStarted' || (name === 'BalanceUpdated' && payload.starts_epoch !== undefined))
      return undefined
    if (hasEpoch(decoded)) epochs.add(epochOf(decoded.epoch))
  }
  return epochs
}

function hasEpoch({ event }: Extract<Decoded, { kind: 'event' }>): boolean {
  if (event.name !== 'BalanceUpdated') return true
  return sidesOf(event.payload).some(({ version }) => version !== undefined)
}
