/** Where published events are on the broker. Written by `settleAndRead` of the outbox only. */
import type { Row } from 'postgres'
import { type EventName, events } from '../../contract/events/events'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { deliveriesOf, type Place, type PublishedEvent, placesAt } from './places'

/** Retention, counted from the event's own time. Published in the documentation. */
export const deliveryDays = 30

export type Delivery = {
  committedAt: Date
  /** The database's time of this answer. */
  readAt: Date
  /** Whether events without a record are pending, rather than pruned. */
  isPending: boolean
  /** How many the transaction has. */
  legs: number
  /** The first place of an event before others. */
  records: (Place & { publishedAt: Date })[]
}

/**
 * Delivery status of a transaction's events. Does not search the outbox, which may be long: it is
 * published in order, so anything older than its head is published. Planned on each call, as
 * `measureOutbox` is.
 */
export async function findDelivery(sql: Statements, id: string): Promise<Delivery | undefined> {
  const rows = await sql.unsafe(
    `
    select
      created_at, now() as read_at, event, noted.leg, partition, "offset", noted.published_at,
      runs, append.legs as append_legs, append.published_at as append_published_at,
      array_positions(subjects, transactions.id) as positions,
      (select count(*)::int from transactions where id = $1) as legs,
      -- More than wallet clocks differ by, and than a batch is retried for.
      created_at >= (select occurred_at - interval '10 minutes' from outbox order by id limit 1) as is_pending
    from transactions
    left join append_deliveries as append
      on append.occurred_at = transactions.created_at and transactions.id = any(subjects)
    left join deliveries as noted on subject = transactions.id
    where transactions.id = $1 and transactions.leg = 0`,
    [id],
  )
  const [first] = rows
  if (!first) return undefined
  return {
    committedAt: new Date(first.created_at),
    readAt: new Date(first.read_at),
    isPending: first.is_pending ?? false,
    legs: first.legs,
    records: rows
      .flatMap((row) => [...placesOfAppend(row), ...placesOfEvent(row)])
      .toSorted((one, other) => one.publishedAt.getTime() - other.publishedAt.getTime()),
  }
}

const placesOfAppend = ({ runs, positions, append_legs: legs, append_published_at }: Row) => {
  if (runs === null) return []
  const publishedAt = new Date(append_published_at)
  return placesAt(numbersOf(positions), { runs, legs: legs && numbersOf(legs) }).map((place) => ({
    ...place,
    publishedAt,
  }))
}

const placesOfEvent = ({ event, leg, partition, offset, published_at }: Row) =>
  event === null
    ? []
    : [
        {
          topic: events[event as EventName].topic,
          ...{ leg, partition, offset: BigInt(offset), publishedAt: new Date(published_at) },
        },
      ]

/** An array of the server. */
const numbersOf = (text: string): number[] => text.slice(1, -1).split(',').map(Number)

/**
 * Records the deliveries of rows of the outbox that the statement has removed, as `removed`. A republished
 * event keeps its first delivery, and none is older than the retention.
 */
export const insertDeliveries = (
  sql: Statements,
  rows: readonly { id: bigint; published: readonly PublishedEvent[] }[],
) => {
  const found = rows.flatMap(({ id, published }) => deliveriesOf(published).map((one) => ({ id, ...one })))
  return sql`
    insert into append_deliveries (occurred_at, published_at, subjects, legs, runs)
    select published.occurred_at, now(), published.subjects::uuid[], published.legs::smallint[],
      published.runs
    from removed
    join unnest(
      ${arrayOf(found.map(({ id }) => id))}::bigint[],
      ${arrayOf(found.map(({ occurredAt }) => occurredAt))}::timestamptz[],
      ${arrayOf(found.map(({ subjects }) => arrayOf(subjects)))}::text[],
      ${arrayOf(found.map(({ legs }) => legs && arrayOf(legs)))}::text[],
      ${arrayOf(found.map(({ runs }) => runs))}::text[]
    ) as published (id, occurred_at, subjects, legs, runs) on published.id = removed.id
    where published.occurred_at > now() - make_interval(days => ${deliveryDays})
      and not (is_replay and (
        exists (
          select from append_deliveries as earlier
          where earlier.occurred_at = published.occurred_at and earlier.subjects && published.subjects::uuid[]
        )
        or exists (select from deliveries where subject = any(published.subjects::uuid[]))
      ))`
}

/**
 * Deletes up to `limit` rows of either kind past their retention, and returns how many were most. Those of
 * events are found by key, since ids grow with time. Planned on each call: few are old, and a generic plan
 * would scan the table.
 */
export async function removeOldDeliveries(sql: Statements, now: Date, limit: number): Promise<number> {
  const oldestMs = now.getTime() - deliveryDays * 86_400_000
  const appends = await sql.unsafe(
    `
    delete from append_deliveries where ctid = any(array(
      select ctid from append_deliveries where occurred_at < $1 order by occurred_at limit $2
    ))`,
    [new Date(oldestMs).toISOString(), limit],
  )
  const single = await sql.unsafe(
    `
    delete from deliveries where (subject, event, leg) in (
      select subject, event, leg from deliveries where subject < $1 order by subject limit $2
    )`,
    [firstIdAt(oldestMs), limit],
  )
  return Math.max(appends.count, single.count)
}

/** The lowest UUID of version 7 at a time. */
function firstIdAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}
