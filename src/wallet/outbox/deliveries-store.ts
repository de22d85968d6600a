/** Where events are on the broker. They are written by `removePublished` of the outbox alone. */
import type { Statements } from '../../platform/postgres/statements'

/**
 * For so long after something happened it is known where its events are, in days. Published in the
 * documentation.
 */
export const deliveryDays = 30

export type Delivery = {
  committedAt: Date
  askedAt: Date
  /** Whether events that have no place yet still wait, rather than that their place was forgotten. */
  waits: boolean
  places: { event: string; partition: number; offset: number; publishedAt: Date }[]
}

/**
 * How a transaction's events fare. The outbox is not searched, which may be long: it is published
 * in order, so all that is older than its head is out. Planned each time, as `measureOutbox` is.
 */
export async function findDelivery(sql: Statements, id: string): Promise<Delivery | undefined> {
  const rows = await sql.unsafe(
    `
    select
      created_at, now() as asked_at, event, partition, "offset", published_at,
      -- Much wider than the clocks of wallets differ, and than a batch is tried again.
      created_at >= (select occurred_at - interval '10 minutes' from outbox order by id limit 1) as waits
    from transactions left join deliveries on subject = transactions.id
    where transactions.id = $1`,
    [id],
  )
  const [first] = rows
  if (!first) return undefined
  return {
    committedAt: new Date(first.created_at),
    askedAt: new Date(first.asked_at),
    waits: first.waits ?? false,
    places: rows
      .filter((row) => row.event !== null)
      .map((row) => ({
        event: row.event,
        partition: row.partition,
        offset: Number(row.offset),
        publishedAt: new Date(row.published_at),
      })),
  }
}

/**
 * Removes places that are past their time, a bounded number at once. Answers how many. By the order
 * of the key, since ids count up with time. Planned each time, too: few are old at once, and a plan
 * for any number of them would read the table.
 */
export async function removeOldDeliveries(sql: Statements, now: Date, limit: number): Promise<number> {
  const { count } = await sql.unsafe(
    `
    delete from deliveries where (subject, event) in (
      select subject, event from deliveries where subject < $1 order by subject limit $2
    )`,
    [firstIdAt(now.getTime() - deliveryDays * 86_400_000), limit],
  )
  return count
}

/** The least of the ids (UUID version 7) that are made at a time. */
function firstIdAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}
