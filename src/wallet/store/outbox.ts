/** Events that are committed and not yet known to be on the broker. Rows are inserted and deleted, never updated. */
import type { EncodedEvent } from '../../contract/envelope'
import { arrayOf, type Statements } from '../../platform/database'

export type OutboxRow = EncodedEvent & { traceparent: string | null }
export type PendingRow = OutboxRow & { id: bigint }

/**
 * The part of a statement that inserts outbox rows beside what they tell of. Their ids are drawn in the order of the rows. Arrays keep the text
 * of the statement the same for any number of rows, so that it is prepared once.
 */
export const insertOutbox = (sql: Statements, rows: OutboxRow[], where = sql``) => sql`
  insert into outbox (aggregatetype, aggregateid, type, payload, subject, traceparent, occurred_at)
  select topic, key, name, value, subject, traceparent, occurred_at::timestamptz
  from unnest(
    ${arrayOf(rows.map((row) => row.topic))}::text[],
    ${arrayOf(rows.map((row) => row.key))}::text[],
    ${arrayOf(rows.map((row) => row.name))}::text[],
    ${arrayOf(rows.map((row) => row.value))}::text[],
    ${arrayOf(rows.map((row) => row.subject))}::text[],
    ${arrayOf(rows.map((row) => row.traceparent))}::text[],
    ${arrayOf(rows.map((row) => row.time))}::text[]
  ) with ordinality as event (topic, key, name, value, subject, traceparent, occurred_at, position)
  ${where}
  order by position`

/** Other processes listen on this channel; what is sent there says only that there may be work. */
export const outboxChannel = 'saldo_outbox'

/**
 * The oldest rows that are not yet published, in id order, and the database session that was asked. Always the *set* of rows that are there:
 * ids are drawn before they are committed, so a reader that remembered the last one would skip those that commit late.
 */
export async function readPending(sql: Statements, limit: number): Promise<{ session: number; rows: PendingRow[] }> {
  const rows = await sql`
    select pg_backend_pid() as session, pending.*
    from (select) as always left join (
      select id, aggregatetype, aggregateid, type, payload, subject, traceparent, occurred_at
      from outbox
      order by id
      limit ${limit}
    ) as pending on true
    order by id`
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

/** Only after the broker has acknowledged them: a crash in between repeats events, and never loses one. */
export async function removePublished(sql: Statements, ids: bigint[]): Promise<void> {
  await sql`delete from outbox where id = any(${arrayOf(ids)}::bigint[])`
}

/** How much is waiting, and since when. */
export async function measureOutbox(sql: Statements): Promise<{ pending: number; oldestAgeMs: number }> {
  const [row] = await sql<{ pending: number; oldest_age_ms: number }[]>`
    select count(*)::int as pending, coalesce(extract(epoch from now() - min(created_at)) * 1000, 0)::float8 as oldest_age_ms
    from outbox`
  return { pending: row?.pending ?? 0, oldestAgeMs: row?.oldest_age_ms ?? 0 }
}

const relayLock = 7_236_015_002

/** Tries to become the one relay of this database, and answers the session that is; the lock lives as long as that session does. */
export async function tryLead(sql: Statements): Promise<{ leads: boolean; session: number }> {
  const [row] = await sql<{ leads: boolean; session: number }[]>`
    select pg_try_advisory_lock(${relayLock}) as leads, pg_backend_pid() as session`
  return row ?? { leads: false, session: 0 }
}
