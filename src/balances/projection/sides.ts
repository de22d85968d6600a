/** The accounts of events. Pure. */
import type { BalanceUpdated } from '../../contract/events/events'
import type { Decoded } from '../../contract/wire/envelope'
import { isStorable } from './storable'
import type { Reading } from './types'

/** One of the accounts of a BalanceUpdated. */
export type Side = {
  accountId: string
  balance: number
  exact: string | undefined
  held: number
  /** Undefined when it is `open`. */
  status: string | undefined
  /** Undefined when it is as at the opening. */
  overdraftLimit: number | undefined
  version: number | undefined
  sign: bigint
  suffix: 'from' | 'to'
}

/**
 * Both accounts. Of a movement within one account, which the course's wallet allows, the side that it
 * stores itself.
 */
export function sidesOf(payload: BalanceUpdated): Side[] {
  const from: Side = {
    accountId: payload.account_id_from,
    balance: payload.balance_account_id_from,
    exact: payload.exact_balance_account_id_from,
    held: payload.held_account_id_from ?? 0,
    status: payload.status_account_id_from,
    overdraftLimit: payload.overdraft_limit_account_id_from,
    version: payload.version_account_id_from,
    sign: -1n,
    suffix: 'from',
  }
  const to: Side = {
    accountId: payload.account_id_to,
    balance: payload.balance_account_id_to,
    exact: payload.exact_balance_account_id_to,
    held: payload.held_account_id_to ?? 0,
    status: payload.status_account_id_to,
    overdraftLimit: payload.overdraft_limit_account_id_to,
    version: payload.version_account_id_to,
    sign: 1n,
    suffix: 'to',
  }
  return from.accountId === to.accountId ? [to] : [from, to]
}

/**
 * Accounts whose stored state an event needs, because it has no version, currency or amount. None for
 * our own events.
 */
export function accountsToLoad(readings: readonly Reading<unknown>[]): string[] {
  const ids = new Set<string>()
  for (const { decoded } of readings) {
    const update = updateIn(decoded)
    if (!update) continue
    for (const side of sidesOf(update))
      if (side.version === undefined || update.currency === undefined || update.amount === undefined)
        ids.add(side.accountId)
  }
  return [...ids].filter(isStorable)
}

/**
 * All accounts of the events. Loaded only after a conflict with what is stored: our own events never
 * have one, and need not wait for the query.
 */
export function accountsIn(readings: readonly Reading<unknown>[]): string[] {
  const ids = new Set<string>()
  for (const { decoded } of readings) {
    const update = updateIn(decoded)
    if (update) for (const { accountId } of sidesOf(update)) ids.add(accountId)
    if (decoded.kind === 'event' && decoded.event.name === 'AccountOpened') ids.add(decoded.event.payload.id)
  }
  return [...ids].filter(isStorable)
}

/** Clients whose personal data the events have. */
export function clientsIn(readings: readonly Reading<unknown>[]): string[] {
  const ids = readings.flatMap(({ decoded }) => {
    if (decoded.kind !== 'event') return []
    const { name, payload } = decoded.event
    return name === 'PersonalDataRecorded' || name === 'PersonalDataErased' ? payload.id : []
  })
  return [...new Set(ids)].filter(isStorable)
}

/** Accounts that an event has without a version: it is right only in log order. */
export function accountsWithoutVersion(decoded: Decoded): string[] {
  const update = updateIn(decoded)
  const sides = update ? sidesOf(update) : []
  return sides.filter((side) => side.version === undefined).map((side) => side.accountId)
}

const updateIn = (decoded: Decoded): BalanceUpdated | undefined =>
  decoded.kind === 'event' && decoded.event.name === 'BalanceUpdated' ? decoded.event.payload : undefined
