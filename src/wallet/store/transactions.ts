/** Transactions, read back. They are written by `append` alone. */
import { eq } from 'drizzle-orm'
import type { Database } from '../../platform/database'
import { transactions } from './schema'

export type StoredTransaction = typeof transactions.$inferSelect

export async function findTransaction({ orm }: Database, id: string): Promise<StoredTransaction | undefined> {
  const [row] = await orm.select().from(transactions).where(eq(transactions.id, id))
  return row
}
