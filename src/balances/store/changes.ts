/**
 * The entries of all accounts in the order in which they were applied, for whoever follows them. A position is `<xid>:<place>`: the transaction that
 * applied, and the last of its entries that was told. Of a transaction nothing is told before all that began earlier are done, so nothing appears
 * behind a position later on.
 */
import { arrayOf, type Statements } from '../../platform/database'
import { type AccountEntry, accountColumns, withTimes } from './entries'

export type Change = AccountEntry & { position: string }

/**
 * At most `limit` changes after each position. A position is not known when it was pruned, made up, or is one of other tables. `isHeld`: there are
 * changes that may not be told yet.
 */
export async function listChanges(sql: Statements, positions: readonly string[], limit: number) {
  type Told = { after: string; isKnown: boolean; isHeld: boolean }
  const rows = await sql<(Told & (Change | { position: null }))[]>`
    select after, "isKnown", exists (select from changes where xid >= pg_snapshot_xmin(pg_current_snapshot())) as "isHeld",
      following.*
    from unnest(${arrayOf(positions)}::text[]) as asked (after)
    cross join lateral (select exists (select from changes where xid = split_part(after, ':', 1)::xid8) as "isKnown") as known
    left join lateral (
      select xid, place, xid || ':' || place as position, ${accountColumns(sql)}
      from (
        select xid, place, account_id, version
        from (
          select xid, account_ids, versions, sum(size) over (order by xid) - size as before
          from changes
          where "isKnown" and size > 0
            and xid >= split_part(after, ':', 1)::xid8 and xid < pg_snapshot_xmin(pg_current_snapshot())
          order by xid limit ${limit + 1}
        ) as page
        cross join unnest(account_ids, versions) with ordinality as told (account_id, version, place)
        where before < split_part(after, ':', 2)::bigint + ${limit}
          and (xid > split_part(after, ':', 1)::xid8 or place > split_part(after, ':', 2)::bigint)
        order by xid, place limit ${limit}
      ) as told join entries using (account_id, version)
    ) as following on true
    order by xid, place`
  return [...Map.groupBy(rows, ({ after }) => after)].map(([position, told]) => ({
    position,
    isKnown: told.every(({ isKnown }) => isKnown),
    isHeld: told.some(({ isHeld }) => isHeld),
    changes: told.filter((row) => row.position !== null).map(withTimes),
  }))
}

/** Where following begins. Undefined while that cannot be told: then a first row was added, and it can soon. */
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
 * Removes what is older, from the beginning on and never the last: where nothing happens, positions stay good. And rows of transactions that are yet to
 * come: they are from another server, where these tables were restored from.
 */
export async function pruneChanges(sql: Statements): Promise<void> {
  await sql`
    delete from changes
    where xid >= pg_snapshot_xmax(pg_current_snapshot())
      or xid < (select xid from changes where applied_at > now() - make_interval(mins => ${keptMinutes}) order by xid limit 1)`
}
