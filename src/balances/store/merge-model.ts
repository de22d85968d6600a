/** The rule by which the read side merges rows into what it holds, said once more in plain steps: tests hold the statement of `apply` to it. */
import type { BalanceRow } from '../project'

export function mergeBalances(stored: Map<string, BalanceRow>, rows: readonly BalanceRow[]): void {
  for (const row of rows) {
    const held = stored.get(row.accountId)
    if (!held) {
      stored.set(row.accountId, { ...row })
      continue
    }
    if (row.opened && !held.opened) {
      held.opened = true
      held.clientId = row.clientId
      held.createdAt = row.createdAt
    }
    if (row.version > held.version) {
      held.version = row.version
      held.balanceMinor = row.balanceMinor
      held.heldMinor = row.heldMinor
      held.currency = row.currency
      held.updatedAt = row.updatedAt
    }
  }
}
