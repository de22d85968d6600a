/** What a batch of transfers has to know before it can be decided. */
import { arrayOf, type Statements } from '../../platform/database'
import type { Account } from '../domain/account'

export type Book = {
  /** The accounts as they stand. Ids that do not exist are absent. */
  accounts: Map<string, Account>
  /** Whether any of the transactions asked for is in the ledger. A batch is appended as a whole, so one id tells for all. */
  appended: boolean
}

/** Reads both in one statement, hence in one snapshot: `appended` is false exactly when `accounts` do not hold those transactions yet. */
export async function loadBook(sql: Statements, accountIds: string[], transactionIds: string[]): Promise<Book> {
  const rows = await sql<
    {
      id: string
      currency: string
      balance_minor: bigint
      version: bigint
      overdraft_limit_minor: bigint | null
      appended: boolean
    }[]
  >`
    select
      id, currency, balance_minor, version, overdraft_limit_minor,
      exists (select from transactions where id = any(${arrayOf(transactionIds)}::uuid[])) as appended
    from accounts
    where id = any(${arrayOf(accountIds)}::uuid[])`
  const accounts = rows.map((row) => ({
    id: row.id,
    currency: row.currency,
    balanceMinor: row.balance_minor,
    version: row.version,
    overdraftLimitMinor: row.overdraft_limit_minor,
  }))
  return {
    accounts: new Map(accounts.map((account) => [account.id, account])),
    appended: rows[0]?.appended ?? false,
  }
}
