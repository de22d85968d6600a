/** Reports of reconcile, as they were kept. Rows are added, never changed. */
import { keysOf, selectList } from '../../platform/postgres/rows'
import type { Statements } from '../../platform/postgres/statements'
import { reconciliations } from '../db/schema'

/** Times are RFC 3339, UTC. */
export type Reconciliation = typeof reconciliations.$inferSelect
export type ListedReconciliation = Omit<Reconciliation, 'report' | 'jws'>
export type NewReconciliation = Omit<Reconciliation, 'id' | 'storedAt'>

const columns = selectList(reconciliations)
const listed = selectList(reconciliations, keysOf(reconciliations, ['report', 'jws']))

export async function addReconciliation(sql: Statements, row: NewReconciliation): Promise<bigint> {
  const { watermark, result, differencesTotal, report, keyId, jws } = row
  const [added] = await sql<{ id: bigint }[]>`
    insert into reconciliations (watermark, result, differences_total, report, key_id, jws)
    values (${watermark}, ${result}, ${differencesTotal}, ${report}, ${keyId}, ${jws})
    returning id`
  return added?.id ?? 0n
}

/** Newest first, of one result or all. */
export const listReconciliations = (
  sql: Statements,
  result: string | undefined,
  { before, limit }: { before: bigint | undefined; limit: number },
): PromiseLike<ListedReconciliation[]> =>
  sql<ListedReconciliation[]>`
    select ${listed(sql)} from reconciliations
    where true
      ${before === undefined ? sql`` : sql`and id < ${String(before)}::bigint`}
      ${result === undefined ? sql`` : sql`and result = ${result}`}
    order by id desc limit ${limit}`

export async function findReconciliation(sql: Statements, id: bigint): Promise<Reconciliation | undefined> {
  const rows = await sql<Reconciliation[]>`
    select ${columns(sql)} from reconciliations where id = ${String(id)}::bigint`
  return rows[0]
}
