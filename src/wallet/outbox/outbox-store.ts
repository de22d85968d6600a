/** Committed events that the broker has not acknowledged. Rows are inserted and deleted, never updated. */
import type { EncodedEvent } from '../../contract/wire/envelope'
import { openSession } from '../../platform/postgres/database'
import { advisoryLocks } from '../../platform/postgres/locks'
import { arrayOf, linesOf, type Statements } from '../../platform/postgres/statements'
import { deliveryDays } from './deliveries-store'

export type OutboxRow = EncodedEvent & { traceparent: string | null }
export type PendingRow = OutboxRow & { id: bigint }

/**
 * The part of a statement that inserts outbox rows with the facts that they publish. Ids follow the
 * order of the rows. The text is the same for any number of rows, so it is prepared once.
 */
export const insertOutbox = (sql: Statements, rows: OutboxRow[], where = sql``) => sql`
  insert into outbox (aggregatetype, aggregateid, type, payload, subject, traceparent, occurred_at)
  select topic, key, name, value, subject, traceparent, occurred_at::timestamptz
  from unnest(
    ${arrayOf(rows.map((row) => row.topic))}::text[],
    ${arrayOf(rows.map((row) => row.key))}::text[],
    ${arrayOf(rows.map((row) => row.name))}::text[],
    string_to_array(${linesOf(rows.map((row) => row.value))}, chr(10)),
    ${arrayOf(rows.map((row) => row.subject))}::text[],
    ${arrayOf(rows.map((row) => row.traceparent))}::text[],
    ${arrayOf(rows.map((row) => row.time))}::text[]
  ) with ordinality as event (topic, key, name, value, subject, traceparent, occurred_at, position)
  ${where}
  order by position`

/**
 * A session for the relay. Its statements are planned while the outbox is nearly empty, and the
 * plans are kept: a sequential scan, best at that time, would read a million rows for each send
 * after a long outage of the broker.
 */
export const openOutbox = (url: string) =>
  openSession(
    { url, applicationName: 'saldo-relay', statementMs: 5000 },
    { enable_seqscan: 'off', enable_bitmapscan: 'off' },
  )

/** Relays of other processes listen on this channel. A message means only that there may be work. */
export const outboxChannel = 'saldo_outbox'

/** Inserts rows of earlier events, and wakes the relay of any process. */
export async function enqueueReplay(sql: Statements, rows: OutboxRow[]): Promise<void> {
  await insertOutbox(sql, rows)
  await sql`select pg_notify(${outboxChannel}, '')`
}

/** A row whose event the broker has acknowledged, and its coordinates there. */
export type PublishedRow = { id: bigint; partition: number; offset: bigint }

/**
 * Removes published rows, records their deliveries, and returns the oldest pending rows in id order,
 * with the database session that answered. Removing and recording is one statement, so an event is
 * either in the outbox or has a delivery. A row that another relay removed meanwhile has the
 * delivery of that one. A republished event keeps its first delivery, and gets none after that has
 * been pruned: old deliveries must be those that are past their retention.
 *
 * Reads always start from the oldest row: ids are assigned before their transactions commit, so a
 * cursor would skip rows that commit late.
 */
export async function removePublished(
  sql: Statements,
  published: PublishedRow[],
  /** `except`: ids to skip. */
  { limit, except = [] }: { limit: number; except?: bigint[] },
): Promise<{ session: number; rows: PendingRow[] }> {
  // Pipelined on one connection. Rows are found by `any`, never by a join: the kept plan of a join
  // may scan the outbox first.
  const [, rows] = await Promise.all([
    published.length > 0 && recordDeliveries(sql, published),
    readOldest(sql, limit, except),
  ])
  return {
    session: rows[0]?.session,
    rows: rows
      .filter((row) => row.id !== null)
      .map((row) => ({
        id: row.id,
        topic: row.aggregatetype,
        key: row.aggregateid,
        name: row.type,
        value: row.payload,
        subject: row.subject,
        traceparent: row.traceparent,
        time: new Date(row.occurred_at).toISOString(),
      })),
  }
}

const recordDeliveries = (sql: Statements, published: PublishedRow[]) => {
  const ids = arrayOf(published.map((row) => row.id))
  return sql`
    with removed as (
      delete from outbox where id = any(${ids}::bigint[])
      returning id, subject, type, occurred_at
    )
    insert into deliveries (subject, event, leg, partition, "offset", published_at)
    select split_part(removed.subject, '/', 1)::uuid, removed.type,
      coalesce(nullif(split_part(removed.subject, '/', 2), '')::smallint, 0),
      published.partition, published."offset", now()
    from removed
    join unnest(
      ${ids}::bigint[],
      ${arrayOf(published.map((row) => row.partition))}::int[],
      ${arrayOf(published.map((row) => row.offset))}::bigint[]
    ) as published (id, partition, "offset") on published.id = removed.id
    where occurred_at > now() - make_interval(days => ${deliveryDays})
    on conflict do nothing`
}

const readOldest = (sql: Statements, limit: number, except: bigint[]) => sql`
  select pg_backend_pid() as session, pending.*
  from (select) as always left join (
    select id, aggregatetype, aggregateid, type, payload, subject, traceparent, occurred_at
    from outbox
    where id <> all(${arrayOf(except)}::bigint[])
    order by id
    limit ${limit}
  ) as pending on true
  order by id`

/** Rows are counted up to here: a full count of a long outbox costs more than publishing it. */
export const pendingMax = 10_000

/**
 * The number of pending rows (`pendingMax + 1` means more than that) and the age of the oldest.
 * Planned on each call for the current size of the outbox: see `openOutbox`.
 */
export async function measureOutbox(sql: Statements): Promise<{ pending: number; oldestAgeMs: number }> {
  const [row] = await sql.unsafe<{ pending: number; oldest_age_ms: number }[]>(`
    select
      (select count(*)::int from (select from outbox limit ${pendingMax + 1}) as counted) as pending,
      coalesce(
        (select extract(epoch from now() - created_at) * 1000 from outbox order by id limit 1), 0
      )::float8 as oldest_age_ms`)
  return { pending: row?.pending ?? 0, oldestAgeMs: row?.oldest_age_ms ?? 0 }
}

/** Tries to become the relay of this database. The lock is released with the session. */
export async function tryLead(sql: Statements): Promise<{ leads: boolean; session: number }> {
  const [row] = await sql<{ leads: boolean; session: number }[]>`
    select pg_try_advisory_lock(${advisoryLocks.relay}) as leads, pg_backend_pid() as session`
  return row ?? { leads: false, session: 0 }
}
