/** Large movements as they were recorded. Rows are added, never changed. */
import { keysOf, rowStatements, selectList } from '../../platform/postgres/rows'
import type { Statements } from '../../platform/postgres/statements'
import { largeMovements } from '../db/schema'

/** `createdAt` is RFC 3339, UTC. */
export type LargeMovement = typeof largeMovements.$inferSelect

const movementRows = rowStatements(largeMovements, keysOf(largeMovements))
const columns = selectList(largeMovements)

/** Inserts each movement once, as it was first recorded. Returns how many were new. */
export async function addLargeMovements(sql: Statements, rows: readonly LargeMovement[]): Promise<number> {
  if (rows.length === 0) return 0
  const { count } = await sql`${movementRows.insert(sql, rows)} on conflict do nothing`
  return count
}

/** The movement that a page ends with. */
export type LargeMovementCursor = Pick<LargeMovement, 'transactionId' | 'leg'>

/** Newest first, of one account or all. `after` is the movement that the previous page ended with. */
export async function listLargeMovements(
  sql: Statements,
  accountId: string | undefined,
  { after, limit }: { after: LargeMovementCursor | undefined; limit: number },
): Promise<LargeMovement[]> {
  const isParty = sql`and (account_id_from = ${accountId ?? null} or account_id_to = ${accountId ?? null})`
  const isOlder = sql`and (created_at, transaction_id, leg) < (
    select created_at, transaction_id, leg from large_movements
    where transaction_id = ${after?.transactionId ?? null} and leg = ${after?.leg ?? 0})`
  return sql<LargeMovement[]>`
    select ${columns(sql)}
    from large_movements
    where true ${accountId === undefined ? sql`` : isParty} ${after === undefined ? sql`` : isOlder}
    order by created_at desc, transaction_id desc, leg desc limit ${limit}`
}
