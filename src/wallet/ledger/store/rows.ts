/** Reads what `append` has written, by id. */
import { and, asc, eq, getTableColumns, inArray, lte, sql, sum } from 'drizzle-orm'
import type { PgTable } from 'drizzle-orm/pg-core'
import type { Database } from '../../../platform/postgres/database'
import { selectList } from '../../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import { accounts, changes, clients, holds, personalData, transactions } from '../../db/schema'
import type { Account } from '../../domain/account'
import type { Original } from '../../domain/reversal'
import type { Client, Hold, Legs } from '../../domain/types'

type Table = typeof accounts | typeof changes | typeof holds

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

type Identified = Pick<Table, 'id'> | Pick<typeof transactions | typeof clients, 'id'>

const isAnyOf = ({ id }: Identified, ids: string[]) => sql`${id} = any(${arrayOf(ids)}::uuid[])`

/** With their personal data. */
export const selectClients = ({ orm }: { orm: Pick<Database['orm'], 'select'> }) => {
  const { version, name, email } = personalData
  return orm
    .select({ ...getTableColumns(clients), name, email })
    .from(clients)
    .leftJoin(personalData, and(eq(personalData.clientId, clients.id), eq(version, clients.version)))
    .$dynamic()
}

export async function loadClients(database: Database, ids: Iterable<string>): Promise<Map<string, Client>> {
  const list = [...ids]
  if (list.length === 0) return new Map()
  const rows = await selectClients(database).where(isAnyOf(clients, list))
  return new Map(rows.map((row) => [row.id, row]))
}

export const loadHolds = loader(holds)
export const loadChanges = loader(changes)

/** With their legs, in order. */
export async function loadTransactions({ orm }: Database, ids: Iterable<string>): Promise<Map<string, Legs>> {
  const list = [...ids]
  if (list.length === 0) return new Map()
  const rows = await orm
    .select()
    .from(transactions)
    .where(isAnyOf(transactions, list))
    .orderBy(asc(transactions.id), asc(transactions.leg))
  return Map.groupBy(rows, ({ id }) => id) as Map<string, unknown> as Map<string, Legs>
}

type Load<Row> = (database: Database, ids: string[]) => Promise<Map<string, Row>>

const finder =
  <Row>(load: Load<Row>) =>
  async (database: Database, id: string) =>
    (await load(database, [id])).get(id)

export const findAccount = finder(loader(accounts))
export const findClient = finder(loadClients)
export const findHold = finder(loadHolds)
export const findTransaction = async (database: Database, id: string): Promise<Legs | undefined> =>
  (await loadTransactions(database, [id])).get(id)

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
  database: Database,
  ids: Iterable<string>,
): Promise<Map<string, Original>> {
  const list = [...ids]
  if (list.length === 0) return new Map()
  const [loaded, sums] = await Promise.all([
    loadTransactions(database, list),
    database.orm
      .select({ id: transactions.reverses, minor: sum(transactions.amountMinor) })
      .from(transactions)
      .where(inArray(transactions.reverses, list))
      .groupBy(transactions.reverses),
  ])
  const reversed = new Map(sums.map(({ id, minor }) => [id, BigInt(minor ?? 0)]))
  return new Map([...loaded].map(([id, legs]) => [id, { legs, reversedMinor: reversed.get(id) ?? 0n }]))
}

/** For how long the oldest open hold has expired, in seconds; 0 where none has. */
export async function overdueSeconds(sql: Statements): Promise<number> {
  const [row] = await sql<{ seconds: number }[]>`
    select extract(epoch from now() - expires_at)::float8 as seconds from holds
    where status = 'placed' and expires_at < now() order by expires_at limit 1`
  return row?.seconds ?? 0
}

/** Open holds that have expired at `at`, the oldest first. */
export function listExpiredHolds({ orm }: Database, at: Date, limit: number): Promise<Hold[]> {
  const isExpired = and(eq(holds.status, 'placed'), lte(holds.expiresAt, at))
  return orm.select().from(holds).where(isExpired).orderBy(holds.expiresAt).limit(limit)
}
