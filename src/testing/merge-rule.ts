/**
 * The merge rule of the read model in plain steps. Tests compare the SQL of `applyProjection` with
 * it.
 */
import type { BalanceRow } from '../balances/projection/types'

/**
 * Whether a row has another currency or source than the account: then nothing of its batch is
 * written.
 */
export const isAtOdds = (held: BalanceRow | undefined, row: BalanceRow): boolean =>
  held !== undefined &&
  (held.currency !== row.currency ||
    (held.source !== null && row.source !== null && held.source !== row.source))

export function mergeBalances(stored: Map<string, BalanceRow>, rows: readonly BalanceRow[]): void {
  for (const row of rows) {
    const held = stored.get(row.accountId)
    if (!held) {
      stored.set(row.accountId, { ...row })
      continue
    }
    if (isAtOdds(held, row)) throw new Error(`${row.accountId} is at odds`)
    if (row.opened && !held.opened) {
      held.opened = true
      held.clientId = row.clientId
      held.createdAt = row.createdAt
    }
    held.source ??= row.source
    held.openingLimitMinor ??= row.openingLimitMinor
    if (row.version > held.version) {
      held.version = row.version
      held.balanceMinor = row.balanceMinor
      held.heldMinor = row.heldMinor
      held.status = row.status
      held.overdraftLimitMinor = row.overdraftLimitMinor
      held.updatedAt = row.updatedAt
    }
  }
}
