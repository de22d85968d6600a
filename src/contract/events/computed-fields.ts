import type { SaldoEvent } from './events'

/**
 * Amounts that their writer may have computed in binary floating point: those of records without
 * versions, or without a currency, which only other wallets write.
 */
export function computedFields(event: SaldoEvent): readonly string[] {
  if (event.name === 'TransactionCreated') return event.payload.currency === undefined ? ['amount'] : []
  if (event.name !== 'BalanceUpdated') return []
  const { version_account_id_from: from, version_account_id_to: to } = event.payload
  return [
    ...(from === undefined ? ['balance_account_id_from', 'held_account_id_from'] : []),
    ...(to === undefined ? ['balance_account_id_to', 'held_account_id_to'] : []),
    // Both sides read it.
    ...(from === undefined && to === undefined ? ['amount'] : []),
  ]
}
