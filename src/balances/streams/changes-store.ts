/**
 * The entries of all accounts in the order in which they were applied. A position is `<xid>:<place>`: the
 * applying transaction, and the last of its entries that was sent. A transaction's changes are held until all
 * earlier transactions have ended, so nothing ever appears behind a position.
 */
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { withEntries } from '../queries/entries-store'

/**
 * At most `limit` changes after each position. A position is unknown when it was pruned, invented,
 * or issued by other tables. `isHeld`: some changes may not be sent yet.
 */
export async function listChanges(sql: Statements, positions: readonly string[], limit: number) {
  type Change = { position: string; accountId: string; version: bigint } | { position: null }
  const rows = await sql<({ after: string; isKnown: boolean; isHeld: boolean } & Change)[]>`
    select after, "isKnown",
      exists (select from changes where xid >= pg_snapshot_xmin(pg_current_snapshot())) as "isHeld",
      xid || ':' || place as position, account_id as "accountId", version
    from unnest(${arrayOf(positions)}::text[]) as positions (after)
    cross join lateral (
      select exists (
        select from changes
        where xid = split_part(after, ':', 1)::xid8 and size >= split_part(after, ':', 2)::bigint
      ) as "isKnown"
    ) as validity
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
  // A separate query, so that no reader locks one table while it waits for another that a rebuild replaces.
  const keys = rows.filter((row) => row.position !== null)
  const changes = Map.groupBy(await withEntries(sql, keys), ({ after }) => after)
  return [...Map.groupBy(rows, ({ after }) => after)].map(([position, ofPosition]) => ({
    position,
    isKnown: ofPosition.every(({ isKnown }) => isKnown),
    isHeld: ofPosition.some(({ isHeld }) => isHeld),
    changes: changes.get(position) ?? [],
  }))
}

/** The newest position; undefined while the only rows are held. On an empty table it adds a first row. */
export async function newestPosition(sql: Statements): Promise<string | undefined> {
  const [newest] = await sql<{ position: string }[]>`
    select xid || ':' || size as position from changes
    where xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid desc limit 1`
  if (newest) return newest.position
  await sql`
    insert into changes (size, account_ids, versions)
    select 0, '{}', '{}' where not exists (select from changes)`
  return undefined
}

/** How long a position stays valid after the next one. */
const keptMinutes = 15

/**
 * Deletes older changes, but never the newest: on an idle system positions stay valid. Also deletes rows with
 * future transaction ids, which a restore from another server brings along.
 */
export async function pruneChanges(sql: Statements): Promise<void> {
  await sql`
    delete from changes
    where xid >= pg_snapshot_xmax(pg_current_snapshot())
      or xid < (
        select xid from changes
        where applied_at > now() - make_interval(mins => ${keptMinutes}) order by xid limit 1
      )`
}
