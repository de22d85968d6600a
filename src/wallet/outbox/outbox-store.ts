/**
 * Committed events that the broker has not acknowledged: a row for each append, inserted and deleted, never
 * updated.
 */
import type { EncodedEvent } from '../../contract/wire/envelope'
import { type Database, openSession } from '../../platform/postgres/database'
import { advisoryLocks } from '../../platform/postgres/locks'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { insertDeliveries } from './deliveries-store'
import { eventsOfLines, linesOfEvents, type OutboxEvent } from './lines'
import type { PublishedEvent } from './places'

/** The events of an append that are pending, in their order: a row. */
export type PendingAppend = {
  id: bigint
  events: OutboxEvent[]
  /** When this process learned that it is committed, in milliseconds since 1970. */
  appendedMs?: number
}

/**
 * The part of a statement that inserts the events of an append with the facts that they publish. Returns
 * `id` and `event_count`, or nothing: the database may hand events to change data capture instead.
 */
export const insertOutbox = (sql: Statements, events: OutboxEvent[], { isReplay = false } = {}) => sql`
  insert into outbox (occurred_at, event_count, is_replay, events)
  values (
    ${events[0]?.time ?? null}::timestamptz, ${events.length}, ${isReplay}, ${linesOfEvents(events)}
  )
  returning id, event_count`

const relayName = 'saldo-relay'

/**
 * A session for the relay. Its statements are planned while the outbox is nearly empty, and the
 * plans are kept: a sequential scan, best at that time, would read a million rows for each send
 * after a long outage of the broker.
 */
export const openOutbox = (url: string) =>
  openSession(
    { url, applicationName: relayName, statementMs: 5000 },
    { enable_seqscan: 'off', enable_bitmapscan: 'off' },
  )

/** Relays of other processes listen on this channel. A message means only that there may be work. */
export const outboxChannel = 'saldo_outbox'

/** Inserts earlier events as one row, of no request, and wakes the relay of any process. */
export async function enqueueReplay(sql: Statements, events: readonly EncodedEvent[]): Promise<void> {
  if (events.length === 0) return
  const untraced = events.map((event) => ({ ...event, traceparent: null }))
  await insertOutbox(sql, untraced, { isReplay: true })
  await sql`select pg_notify(${outboxChannel}, '')`
}

/** A row that can be removed, and what became of its events. */
export type SettledAppend = {
  id: bigint
  published: PublishedEvent[]
  /** They stay, as a row of their own. */
  refused: OutboxEvent[]
}

/**
 * Removes settled rows, records the deliveries of their events, and returns the oldest pending rows in id
 * order, with the database session that answered. Removing and recording is one statement, so an event is
 * either in the outbox or has a delivery. A row that another relay removed meanwhile has the
 * deliveries of that one. A republished event keeps its first delivery, and gets none after that has
 * been pruned: old deliveries must be those that are past their retention.
 *
 * Reads always start from the oldest row: ids are assigned before their transactions commit, so a
 * cursor would skip rows that commit late. For the same reason the events that this process appended are
 * not published because it has them in memory, but because their row is there.
 */
export async function settleAndRead(
  sql: Statements,
  settled: SettledAppend[],
  {
    limit,
    except = [],
    known = new Map(),
  }: {
    /** Events after which no other row begins. */
    limit: number
    /** Ids to skip. */
    except?: bigint[]
    /** Events by row, which are not read again: rows never change. */
    known?: ReadonlyMap<bigint, Omit<PendingAppend, 'id'>>
  },
): Promise<{ session: number; rows: PendingAppend[] }> {
  // Pipelined on one connection. Rows are found by `any`, never by a join: the kept plan of a join
  // may scan the outbox first.
  const [, rows] = await Promise.all([
    settled.length > 0 && removeSettled(sql, settled),
    readOldest(sql, { limit, except, known: [...known.keys()] }),
  ])
  return {
    session: rows[0]?.session,
    rows: rows.flatMap(({ id, events }) =>
      id === null ? [] : { id, ...(known.get(id) ?? { events: eventsOfLines(events) }) },
    ),
  }
}

const removeSettled = (sql: Statements, settled: SettledAppend[]) => {
  const left = settled.filter(({ refused }) => refused.length > 0)
  return sql`
    with removed as (
      delete from outbox where id = any(${arrayOf(settled.map((row) => row.id))}::bigint[])
      returning id, occurred_at, created_at, is_replay
    )
    ${left.length > 0 ? sql`, left_over as (${reinsert(sql, left)})` : sql``}
    ${insertDeliveries(sql, settled)}`
}

const reinsert = (sql: Statements, rows: SettledAppend[]) => sql`
  insert into outbox (occurred_at, created_at, is_replay, event_count, events)
  select occurred_at, created_at, is_replay, refused.event_count, refused.events
  from removed
  join unnest(
    ${arrayOf(rows.map(({ id }) => id))}::bigint[],
    ${arrayOf(rows.map(({ refused }) => refused.length))}::int[],
    ${arrayOf(rows.map(({ refused }) => linesOfEvents(refused)))}::text[]
  ) as refused (id, event_count, events) on refused.id = removed.id
  order by removed.id`

const readOldest = (
  sql: Statements,
  { limit, except, known }: { limit: number; except: bigint[]; known: bigint[] },
) => sql`
  select pg_backend_pid() as session, pending.*
  from (select) as always left join (
    select id, case when id <> all(${arrayOf(known)}::bigint[]) then events end as events
    from (
      select id, events, sum(event_count) over (order by id rows unbounded preceding) - event_count as earlier
      from outbox
      where id <> all(${arrayOf(except)}::bigint[])
      order by id
      limit ${limit}
    ) as oldest
    where earlier < ${limit}
  ) as pending on true
  order by id`

/** Events are counted up to here: a full count of a long outbox costs more than publishing it. */
export const pendingMax = 10_000

/**
 * The number of pending events (`pendingMax + 1` means more than that) and the age of the oldest.
 * Planned on each call for the current size of the outbox: see `openOutbox`.
 */
export async function measureOutbox(sql: Statements): Promise<{ pending: number; oldestAgeMs: number }> {
  const [row] = await sql.unsafe<{ pending: number; oldest_age_ms: number }[]>(`
    select
      (
        select least(coalesce(sum(event_count), 0), ${pendingMax + 1})::int
        from (select event_count from outbox limit ${pendingMax + 1}) as counted
      ) as pending,
      coalesce(
        (select extract(epoch from now() - created_at) * 1000 from outbox order by id limit 1), 0
      )::float8 as oldest_age_ms`)
  return { pending: row?.pending ?? 0, oldestAgeMs: row?.oldest_age_ms ?? 0 }
}

/** The database session that answers. */
export async function sessionOf(sql: Statements): Promise<number> {
  const [row] = await sql<{ session: number }[]>`select pg_backend_pid() as session`
  if (!row) throw new Error('the database answered without its session')
  return row.session
}

/**
 * Tries to become the relay of this database, in this session and no other: when the answer is lost, the
 * caller has to know which session may hold the lock. It is released with the session.
 */
export async function tryLead(sql: Statements, session: number): Promise<boolean> {
  const [row] = await sql<{ leads: boolean }[]>`
    select case
      when pg_backend_pid() = ${session} then pg_try_advisory_lock(${advisoryLocks.relay}) else false
    end as leads`
  return row?.leads ?? false
}

/** Whether the relay of any process leads. What else holds the lock publishes nothing. */
export async function isLed(sql: Pick<Database['sql'], 'unsafe'>): Promise<boolean> {
  const [row] = await sql.unsafe<{ is_led: boolean }[]>(
    `
    select exists (
      select from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and granted and application_name = $2
        and (classid::bigint << 32 | objid::bigint) = $1::bigint
        and database = (select oid from pg_database where datname = current_database())
    ) as is_led`,
    [String(advisoryLocks.relay), relayName],
  )
  return row?.is_led ?? false
}
