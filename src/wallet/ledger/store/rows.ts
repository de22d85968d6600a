/** Reads what `append` has written, by id. */
import { and, eq, lte, sql } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Database } from '../../../platform/postgres/database'
import { selectList } from '../../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import { accounts, changes, clients, holds, transactions } from '../../db/schema'
import type { Account } from '../../domain/account'
import type { Original } from '../../domain/reversal'
import type { Hold } from '../../domain/types'

type Table = typeof accounts | typeof changes | typeof clients | typeof holds | typeof transactions

/** Missing rows are absent. */
const loader =
  <T extends Table>(table: T) =>
  async ({ orm }: Database, ids: Iterable<string>): Promise<Map<string, T['$inferSelect']>> => {
    const list = [...ids]
    if (list.length === 0) return new Map()
    const rows = await orm
      .select()
      .from(table as PgTable)
      .where(isAnyOf(table, list))
    return new Map((rows as T['$inferSelect'][]).map((row) => [row.id, row]))
  }

const isAnyOf = ({ id }: Table, ids: string[]) => sql`${id} = any(${arrayOf(ids)}::uuid[])`

export const loadClients = loader(clients)
export const loadHolds = loader(holds)
export const loadChanges = loader(changes)
export const loadTransactions = loader(transactions)

const finder = <T extends Table>(table: T) => {
  const load = loader(table)
  return async (database: Database, id: string) => (await load(database, [id])).get(id)
}

export const findAccount = finder(accounts)
export const findClient = finder(clients)
export const findHold = finder(holds)
export const findTransaction = finder(transactions)

/** As the driver reads it. */
export type AccountRow = Omit<Account, 'createdAt' | 'updatedAt'> & { createdAt: string; updatedAt: string }

export const accountOf = ({ createdAt, updatedAt, ...row }: AccountRow): Account => ({
  ...row,
  createdAt: new Date(createdAt),
  updatedAt: new Date(updatedAt),
})

const accountColumns = selectList(accounts)

/** Prepared, unlike the above: every batch that is not decided optimistically begins with it. */
export async function loadAccounts(sql: Statements, ids: Iterable<string>): Promise<Map<string, Account>> {
  const list = [...ids]
  if (list.length === 0) return new Map()
  const rows = await sql<AccountRow[]>`
    select ${accountColumns(sql)} from accounts where id = any(${arrayOf(list)}::uuid[])`
  return new Map(rows.map((row) => [row.id, accountOf(row)]))
}

/** Transactions to be reversed, each with the amount that has been reversed. */
export async function loadOriginals(
  { orm }: Database,
  ids: Iterable<string>,
): Promise<Map<string, Original>> {
  const list = [...ids]
  if (list.length === 0) return new Map()
  const reversedMinor = sql<string>`(
    select coalesce(sum(reversal.amount_minor), 0)
    from transactions as reversal where reversal.reverses = transactions.id
  )`
  const rows = await orm
    .select({ transaction: transactions, reversedMinor })
    .from(transactions)
    .where(isAnyOf(transactions, list))
  return new Map(
    rows.map((row) => [row.transaction.id, { ...row, reversedMinor: BigInt(row.reversedMinor) }]),
  )
}

/** Open holds that have expired at `at`, the oldest first. */
export function listExpiredHolds({ orm }: Database, at: Date, limit: number): Promise<Hold[]> {
  const isExpired = and(eq(holds.status, 'placed'), lte(holds.expiresAt, at))
  return orm.select().from(holds).where(isExpired).orderBy(holds.expiresAt).limit(limit)
}
