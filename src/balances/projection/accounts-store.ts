/** Accounts as they are stored, for events that are incomplete without them. */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { ProjectedAccount } from './types'

export async function loadProjectedAccounts(
  sql: Statements,
  accountIds: readonly string[],
): Promise<Map<string, ProjectedAccount & { updatedAt: string }>> {
  if (accountIds.length === 0) return new Map()
  const rows = await sql<({ accountId: string; updatedAt: string } & ProjectedAccount)[]>`
    select account_id as "accountId", version, currency, source, updated_at as "updatedAt",
      opened, epoch, start_epoch as "startEpoch", start_version as "startVersion",
      case when version > 0 or source is null then balance_minor end as "balanceMinor"
    from balances where account_id = any(${arrayOf(accountIds)}::text[])`
  return new Map(rows.map(({ accountId, ...account }) => [accountId, account]))
}
