/** Where published events are on the broker. Written by `removePublished` of the outbox only. */
import type { Statements } from '../../platform/postgres/statements'

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
  records: { event: string; leg: number; partition: number; offset: number; publishedAt: Date }[]
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
      created_at, now() as read_at, event, deliveries.leg, partition, "offset", published_at,
      (select count(*)::int from transactions where id = $1) as legs,
      -- More than wallet clocks differ by, and than a batch is retried for.
      created_at >= (select occurred_at - interval '10 minutes' from outbox order by id limit 1) as is_pending
    from transactions left join deliveries on subject = transactions.id
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
      .filter((row) => row.event !== null)
      .map((row) => ({
        event: row.event,
        leg: row.leg,
        partition: row.partition,
        offset: Number(row.offset),
        publishedAt: new Date(row.published_at),
      })),
  }
}

/**
 * Deletes up to `limit` deliveries past their retention, and returns how many. Found by key, since
 * ids grow with time. Planned on each call: few are old, and a generic plan would scan the table.
 */
export async function removeOldDeliveries(sql: Statements, now: Date, limit: number): Promise<number> {
  const { count } = await sql.unsafe(
    `
    delete from deliveries where (subject, event, leg) in (
      select subject, event, leg from deliveries where subject < $1 order by subject limit $2
    )`,
    [firstIdAt(now.getTime() - deliveryDays * 86_400_000), limit],
  )
  return count
}

/** The lowest UUID of version 7 at a time. */
function firstIdAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}
