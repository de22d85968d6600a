/** Transactions to be shown, by id. */
import type { Database } from '../../platform/postgres/database'
import { keysOf, selectList } from '../../platform/postgres/rows'
import { arrayOf } from '../../platform/postgres/statements'
import { transactions } from '../db/schema'
import type { Original } from '../domain/reversal'
import type { Transaction } from '../domain/types'

const columns = selectList(transactions, keysOf(transactions))

type TransactionRow = Omit<Transaction, 'effectiveAt' | 'createdAt'> & {
  effectiveAt: string
  createdAt: string
  reversedMinor: bigint
}

/** In the order of `ids`, each with the amount that has been reversed. Missing ones are left out. */
export async function loadReversible({ sql }: Database, ids: readonly string[]): Promise<Original[]> {
  if (ids.length === 0) return []
  // Prepared, since planning it costs as much as executing it.
  const rows = await sql<TransactionRow[]>`
    select ${columns(sql)}, (
      select coalesce(sum(reversal.amount_minor), 0)::bigint
      from transactions as reversal where reversal.reverses = transactions.id
    ) as "reversedMinor"
    from unnest(${arrayOf(ids)}::uuid[]) as listed (id)
    cross join lateral (
      -- By key, also where the planner expects many legs of each.
      select * from transactions where transactions.id = listed.id offset 0
    ) as transactions
    order by leg`
  const found = Map.groupBy(rows, (row) => row.id)
  return ids.flatMap((id) => {
    const [first, ...others] = found.get(id) ?? []
    if (!first) return []
    return [{ legs: [legOf(first), ...others.map(legOf)], reversedMinor: first.reversedMinor }]
  })
}

export const findReversible = async (database: Database, id: string): Promise<Original | undefined> =>
  (await loadReversible(database, [id]))[0]
const legOf = ({ reversedMinor: _, ...row }: TransactionRow): Transaction => ({
  ...row,
  effectiveAt: new Date(row.effectiveAt),
  createdAt: new Date(row.createdAt),
})
