/** Erases names in the tables of an unfinished rebuild, which may wait for an operator and apply nothing. */
import { violation } from '../../platform/postgres/failures'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { ClientRow } from './types'

export async function eraseInShadow(sql: Statements, erased: readonly ClientRow[]): Promise<void> {
  const [row] = await sql<{ has: boolean }[]>`select to_regclass('shadow.clients') is not null as has`
  if (!row?.has) return
  const erasing = sql`
    update shadow.clients set name = null, version = erased.version
    from unnest(
      ${arrayOf(erased.map(({ id }) => id))}::text[],
      ${arrayOf(erased.map(({ version }) => version))}::bigint[]
    ) as erased (id, version)
    where clients.id = erased.id`
  await erasing.catch((error) => {
    // It was dropped, or swapped in, meanwhile.
    if (violation(error)?.sqlState !== '42P01') throw error
  })
}
