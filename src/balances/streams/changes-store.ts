/**
 * The entries of all accounts in the order in which they were applied, for whoever follows them. A
 * position is `<xid>:<place>`: the transaction that applied, and the last of its entries that was
 * told. Of a transaction nothing is told before all that began earlier are done, so nothing appears
 * behind a position later on.
 */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { withEntries } from '../queries/entries-store'

/**
 * At most `limit` changes after each position. A position is not known when it was pruned, made up,
 * or is one of other tables. `isHeld`: there are changes that may not be told yet.
 */
export async function listChanges(sql: Statements, positions: readonly string[], limit: number) {
  type Told = { position: string; accountId: string; version: bigint } | { position: null }
  const told = await sql<({ after: string; isKnown: boolean; isHeld: boolean } & Told)[]>`
    select after, "isKnown", exists (select from changes where xid >= pg_snapshot_xmin(pg_current_snapshot())) as "isHeld",
      xid || ':' || place as position, account_id as "accountId", version
    from unnest(${arrayOf(positions)}::text[]) as asked (after)
    cross join lateral (
      select exists (
        select from changes where xid = split_part(after, ':', 1)::xid8 and size >= split_part(after, ':', 2)::bigint
      ) as "isKnown"
    ) as known
    left join lateral (
      select xid, place, account_id, version
      from (
        select xid, account_ids, versions, sum(size) over (order by xid) - size as before
        from changes
        where "isKnown" and size > 0
          and xid >= split_part(after, ':', 1)::xid8 and xid < pg_snapshot_xmin(pg_current_snapshot())
        order by xid limit ${limit + 1}
      ) as page
      cross join unnest(account_ids, versions) with ordinality as listed (account_id, version, place)
      where before < split_part(after, ':', 2)::bigint + ${limit}
        and (xid > split_part(after, ':', 1)::xid8 or place > split_part(after, ':', 2)::bigint)
      order by xid, place limit ${limit}
    ) as following on true
    order by xid, place`
  // In a query of its own, so that nobody holds one table while waiting for another that a rebuild
  // is about to replace.
  const named = told.filter((row) => row.position !== null)
  const changes = Map.groupBy(await withEntries(sql, named), ({ after }) => after)
  return [...Map.groupBy(told, ({ after }) => after)].map(([position, rows]) => ({
    position,
    isKnown: rows.every(({ isKnown }) => isKnown),
    isHeld: rows.some(({ isHeld }) => isHeld),
    changes: changes.get(position) ?? [],
  }))
}

/**
 * Where following begins. Undefined while that cannot be told: then a first row was added, and it
 * can soon.
 */
export async function newestPosition(sql: Statements): Promise<string | undefined> {
  const [newest] = await sql<{ position: string }[]>`
    select xid || ':' || size as position from changes
    where xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid desc limit 1`
  if (newest) return newest.position
  await sql`insert into changes (size, account_ids, versions) select 0, '{}', '{}' where not exists (select from changes)`
  return undefined
}

/** A position is good for this long after the next one. */
const keptMinutes = 15

/**
 * Removes what is older, from the beginning on and never the last: where nothing happens, positions
 * stay good. And rows of transactions that are yet to come: they are from another server, where
 * these tables were restored from.
 */
export async function pruneChanges(sql: Statements): Promise<void> {
  await sql`
    delete from changes
    where xid >= pg_snapshot_xmax(pg_current_snapshot())
      or xid < (select xid from changes where applied_at > now() - make_interval(mins => ${keptMinutes}) order by xid limit 1)`
}
