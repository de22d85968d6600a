/** Transactions, read back. They are written by `append` alone. */
import { and, desc, eq, gte, lt } from 'drizzle-orm'
import type { Database } from '../../platform/database'
import type { TransferKind } from '../domain/transfer'
import { entries, transactions } from './schema'

export type StoredTransaction = typeof transactions.$inferSelect

export async function findTransaction({ orm }: Database, id: string): Promise<StoredTransaction | undefined> {
  const [row] = await orm.select().from(transactions).where(eq(transactions.id, id))
  return row
}

export type TransactionFilter = {
  accountId: string
  kind: TransferKind | undefined
  /** Recorded at this time or later. */
  since: Date | undefined
  /** Recorded before this time. */
  until: Date | undefined
}

/** What moved an account's money, newest first, from below `before`, the number of an entry of the account. With the number of each. */
export function listTransactions(
  { orm }: Database,
  { accountId, kind, since, until }: TransactionFilter,
  page: { before: bigint | undefined; size: number },
): Promise<{ transaction: StoredTransaction; version: bigint }[]> {
  // By the entries of the account, whose key is the order that is wanted.
  return orm
    .select({ transaction: transactions, version: entries.version })
    .from(entries)
    .innerJoin(transactions, eq(transactions.id, entries.transactionId))
    .where(
      and(
        eq(entries.accountId, accountId),
        page.before === undefined ? undefined : lt(entries.version, page.before),
        kind && eq(transactions.kind, kind),
        since && gte(transactions.createdAt, since),
        until && lt(transactions.createdAt, until),
      ),
    )
    .orderBy(desc(entries.version))
    .limit(page.size)
}
