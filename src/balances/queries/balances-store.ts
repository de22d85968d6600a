/** Accounts as the read model has them. */
import { arrayOf, rfc3339, type Statements } from '../../platform/postgres/statements'

/** Times are RFC 3339, UTC. */
export type Balance = {
  accountId: string
  clientId: string | null
  /** Null until ClientRegistered has been applied. */
  ownerName: string | null
  currency: string
  balanceMinor: bigint
  heldMinor: bigint
  version: bigint
  createdAt: string
  updatedAt: string
}

const selectBalances = (sql: Statements) => sql`
  select account_id as "accountId", client_id as "clientId", clients.name as "ownerName", currency,
    balance_minor as "balanceMinor", held_minor as "heldMinor", version,
    balances.created_at as "createdAt", updated_at as "updatedAt"
  from balances left join clients on clients.id = client_id`

const withTimes = (row: Balance): Balance => ({
  ...row,
  createdAt: rfc3339(row.createdAt),
  updatedAt: rfc3339(row.updatedAt),
})

export async function findBalances(
  sql: Statements,
  accountIds: readonly string[],
): Promise<Map<string, Balance>> {
  const rows = await sql<
    Balance[]
  >`${selectBalances(sql)} where account_id = any(${arrayOf(accountIds)}::text[])`
  return new Map(rows.map((row) => [row.accountId, withTimes(row)]))
}

export type BalanceFilter = {
  clientId: string | undefined
  currency: string | undefined
  minMinor: bigint | undefined
  maxMinor: bigint | undefined
}

/** Ordered by account id, which never changes: concurrent updates move no account to another page. */
export async function listBalances(
  sql: Statements,
  { clientId, currency, minMinor, maxMinor }: BalanceFilter,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<Balance[]> {
  const rows = await sql<Balance[]>`${selectBalances(sql)}
    where true
      ${after === undefined ? sql`` : sql`and account_id > ${after}`}
      ${clientId === undefined ? sql`` : sql`and client_id = ${clientId}`}
      ${currency === undefined ? sql`` : sql`and currency = ${currency}`}
      ${minMinor === undefined ? sql`` : sql`and balance_minor >= ${String(minMinor)}::bigint`}
      ${maxMinor === undefined ? sql`` : sql`and balance_minor <= ${String(maxMinor)}::bigint`}
    order by account_id limit ${limit}`
  return rows.map(withTimes)
}
