/**
 * Events that are committed and not yet known to be on the broker. Rows are inserted and deleted,
 * never updated.
 */
import type { EncodedEvent } from '../../contract/wire/envelope'
import { openSession } from '../../platform/postgres/database'
import { advisoryLocks } from '../../platform/postgres/locks'
import { arrayOf, linesOf, type Statements } from '../../platform/postgres/statements'
import { deliveryDays } from './deliveries-store'

export type OutboxRow = EncodedEvent & { traceparent: string | null }
export type PendingRow = OutboxRow & { id: bigint }

/**
 * The part of a statement that inserts outbox rows beside what they tell of. Their ids are drawn in
 * the order of the rows. Arrays keep the text of the statement the same for any number of rows, so
 * that it is prepared once.
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
 * A session for the relay. Its statements are planned when the outbox is nearly empty and the plans
 * are kept: a scan of the whole table, which is best then, would read a million rows for each send
 * once the broker was away for long.
 */
export const openOutbox = (url: string) =>
  openSession(
    { url, applicationName: 'saldo-relay', statementMs: 5000 },
    { enable_seqscan: 'off', enable_bitmapscan: 'off' },
  )

/** Other processes listen on this channel; what is sent there says only that there may be work. */
export const outboxChannel = 'saldo_outbox'

/** Inserts rows that tell of what happened before, and wakes the relay, wherever it runs. */
export async function enqueueReplay(sql: Statements, rows: OutboxRow[]): Promise<void> {
  await insertOutbox(sql, rows)
  await sql`select pg_notify(${outboxChannel}, '')`
}

/** A row whose event the broker has, and where. */
export type PublishedRow = { id: bigint; partition: number; offset: bigint }

/**
 * Removes rows that the broker has acknowledged, notes where their events are, and answers with the
 * oldest of those that are left, in id order, and the database session that was asked. Removing and
 * noting is one statement, so that an event is either in the outbox or has its place. Whoever
 * removes a row notes the place: one that another relay has removed meanwhile has its own. An event
 * that is told again keeps its first place, which is as true as before, and gets none once that was
 * forgotten: the places that are old have to be those that are past their time.
 *
 * What is read is always the *set* of rows that are there: ids are drawn before they are committed,
 * so a reader that remembered the last one would skip those that commit late.
 */
export async function removePublished(
  sql: Statements,
  published: PublishedRow[],
  /** Ids that are passed over. */
  { limit, except = [] }: { limit: number; except?: bigint[] },
): Promise<{ session: number; rows: PendingRow[] }> {
  // Sent together, and carried out one after the other. Rows are found by `any`, never by a join:
  // the kept plan of a join may read the outbox first.
  const [, rows] = await Promise.all([
    published.length > 0 && notePlaces(sql, published),
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

const notePlaces = (sql: Statements, published: PublishedRow[]) => {
  const ids = arrayOf(published.map((row) => row.id))
  return sql`
    with removed as (
      delete from outbox where id = any(${ids}::bigint[])
      returning id, subject, type, occurred_at
    )
    insert into deliveries (subject, event, partition, "offset", published_at)
    select removed.subject::uuid, removed.type, place.partition, place."offset", now()
    from removed
    join unnest(
      ${ids}::bigint[],
      ${arrayOf(published.map((row) => row.partition))}::int[],
      ${arrayOf(published.map((row) => row.offset))}::bigint[]
    ) as place (id, partition, "offset") on place.id = removed.id
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

/** Rows are counted up to here: to count a million at every question would cost more than to publish them. */
export const pendingMax = 10_000

/**
 * How much is waiting, where one more than `pendingMax` means any number beyond it, and since when.
 * Not prepared, but planned each time, for the outbox as large as it is: see `openOutbox`.
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

/**
 * Tries to become the one relay of this database, and answers the session that is; the lock lives
 * as long as that session does.
 */
export async function tryLead(sql: Statements): Promise<{ leads: boolean; session: number }> {
  const [row] = await sql<{ leads: boolean; session: number }[]>`
    select pg_try_advisory_lock(${advisoryLocks.relay}) as leads, pg_backend_pid() as session`
  return row ?? { leads: false, session: 0 }
}
