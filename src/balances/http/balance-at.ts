/** The balance of an account at a time, as a balance and an explanation show it. */
import { type Static, Type } from '@sinclair/typebox'
import { time, version } from '../../contract/schemas'
import { closedObject, described, nullable, oneOf } from '../../platform/http/schemas'
import type { Balance } from '../queries/balances-store'
import { type BalanceAt, type Clock, clocks } from '../queries/history'
import { CurrencyCode, MoneyOrUnknown, moment, showMoney } from './values'

/** Members of a query. */
export const atMoment = {
  at: Type.Optional(moment('As it was then. As it is now when absent.')),
  time: Type.Optional(
    oneOf(clocks, 'Which time counts: `recorded` (when it was written; if absent) or `effective`.'),
  ),
}

/** Members of a balance by effective time. Holds count by the time of writing alone. */
export const effectiveBalance = {
  id: Type.String({ description: 'The same as `account_id`.' }),
  account_id: Type.String({ description: 'The account.' }),
  at: time('The time it is about.'),
  time: Type.Literal('effective', { description: 'The time that counts.' }),
  balance: described(MoneyOrUnknown, 'At that time.'),
  currency: CurrencyCode,
  complete: nullable(
    Type.Boolean(),
    'False where entries that may count are missing or in flight; null where too many follow to check.',
  ),
}
/** Members of a balance by the time of writing. */
export const recordedBalance = {
  ...effectiveBalance,
  time: Type.Literal('recorded', { description: 'The time that counts.' }),
  held: described(MoneyOrUnknown, 'Reserved by holds that were open then.'),
  available: described(MoneyOrUnknown, '`balance` less `held`.'),
  version: version('Of the account at that time; 0 before its first entry.'),
}

export const BalanceAtResponse = Type.Union([
  closedObject('RecordedBalance', recordedBalance),
  closedObject('EffectiveBalance', effectiveBalance),
])

export function presentBalanceAt(
  { accountId, currency }: Balance,
  balance: BalanceAt,
  at: string,
  clock: Clock,
): Static<typeof BalanceAtResponse> {
  const { balanceMinor, heldMinor, version, complete } = balance
  const shared = { id: accountId, account_id: accountId, at }
  const shown = { balance: showMoney(balanceMinor, currency) }
  if (clock === 'effective') return { ...shared, time: clock, ...shown, currency, complete }
  const availableMinor = balanceMinor === null || heldMinor === null ? null : balanceMinor - heldMinor
  return {
    ...shared,
    time: clock,
    ...shown,
    held: showMoney(heldMinor, currency),
    available: showMoney(availableMinor, currency),
    version: Number(version),
    currency,
    complete,
  }
}
