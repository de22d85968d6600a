/** Large movements, as they were noted. Rows are added and never changed. */
import { arrayOf, rfc3339, type Statements } from '../../platform/postgres/statements'
import type { largeMovements } from '../db/schema'

/** `createdAt` is RFC 3339, UTC. */
export type LargeMovement = typeof largeMovements.$inferSelect

/**
 * Adds what is not there yet, and answers how many that were. A transaction that is told again is
 * left as it was noted first.
 */
export async function addLargeMovements(sql: Statements, rows: readonly LargeMovement[]): Promise<number> {
  if (rows.length === 0) return 0
  const { count } = await sql`
    insert into large_movements (transaction_id, account_id_from, account_id_to, amount_minor, currency, reference, created_at)
    select transaction_id, account_id_from, account_id_to, amount_minor::bigint, currency, reference, created_at::timestamptz
    from unnest(
      ${arrayOf(rows.map((row) => row.transactionId))}::text[],
      ${arrayOf(rows.map((row) => row.accountIdFrom))}::text[],
      ${arrayOf(rows.map((row) => row.accountIdTo))}::text[],
      ${arrayOf(rows.map((row) => row.amountMinor))}::text[],
      ${arrayOf(rows.map((row) => row.currency))}::text[],
      ${arrayOf(rows.map((row) => row.reference))}::text[],
      ${arrayOf(rows.map((row) => row.createdAt))}::text[]
    ) as told (transaction_id, account_id_from, account_id_to, amount_minor, currency, reference, created_at)
    on conflict do nothing`
  return count
}

/** Newest first, those of an account or all; `after` is the transaction that the page before ended with. */
export async function listLargeMovements(
  sql: Statements,
  accountId: string | undefined,
  { after, limit }: { after: string | undefined; limit: number },
): Promise<LargeMovement[]> {
  const rows = await sql<LargeMovement[]>`
    select transaction_id as "transactionId", account_id_from as "accountIdFrom", account_id_to as "accountIdTo",
      amount_minor as "amountMinor", currency, reference, created_at as "createdAt"
    from large_movements
    where true
      ${accountId === undefined ? sql`` : sql`and (account_id_from = ${accountId} or account_id_to = ${accountId})`}
      ${after === undefined ? sql`` : sql`and (created_at, transaction_id) < (select created_at, transaction_id from large_movements where transaction_id = ${after})`}
    order by created_at desc, transaction_id desc limit ${limit}`
  return rows.map((row) => ({ ...row, createdAt: rfc3339(row.createdAt) }))
}
