/** Accounts as the read model has them. */
import { keysOf, selectList } from '../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { balances } from '../db/schema'
import type { BalanceRow } from '../projection/types'

/** `ownerName` is null until PersonalDataRecorded is applied, and from PersonalDataErased on. */
export type Balance = Omit<BalanceRow, 'source' | 'opened'> & { ownerName: string | null }

const columns = selectList(balances, keysOf(balances, ['source', 'opened']))
const selectBalances = (sql: Statements) => sql`
  select ${columns(sql)}, clients.name as "ownerName"
  from balances left join clients on clients.id = client_id`

export async function findBalances(
  sql: Statements,
  accountIds: readonly string[],
): Promise<Map<string, Balance>> {
  const rows = await sql<
    Balance[]
  >`${selectBalances(sql)} where account_id = any(${arrayOf(accountIds)}::text[])`
  return new Map(rows.map((row) => [row.accountId, row]))
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
  return sql<Balance[]>`${selectBalances(sql)}
    where true
      ${after === undefined ? sql`` : sql`and account_id > ${after}`}
      ${clientId === undefined ? sql`` : sql`and client_id = ${clientId}`}
      ${currency === undefined ? sql`` : sql`and currency = ${currency}`}
      ${minMinor === undefined ? sql`` : sql`and balance_minor >= ${String(minMinor)}::bigint`}
      ${maxMinor === undefined ? sql`` : sql`and balance_minor <= ${String(maxMinor)}::bigint`}
    order by account_id limit ${limit}`
}
