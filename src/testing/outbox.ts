/** The outbox as tests fill and look at it. */
import type { Sql } from 'postgres'
import { eventsOfLines, linesOfEvents, type OutboxEvent } from '../wallet/outbox/lines'
import { sessionOf, tryLead } from '../wallet/outbox/outbox-store'

/** Of any types. */
type AnySql = Pick<Sql<never>, 'unsafe'>

/** What a test does not say of an event. */
const someEvent = () => ({
  topic: 'balances',
  key: 'some key',
  name: 'BalanceUpdated' as const,
  value: '{}',
  subject: Bun.randomUUIDv7(),
  time: new Date().toISOString(),
  traceparent: null,
})

/** As an append leaves them there. Returns the id of their row. */
export async function fillOutbox(sql: AnySql, events: Partial<OutboxEvent>[]): Promise<bigint> {
  const all = events.map((event) => ({ ...someEvent(), ...event }))
  const [row] = await sql.unsafe(
    'insert into outbox (occurred_at, event_count, events) values ($1, $2, $3) returning id',
    [all[0]?.time ?? null, all.length, linesOfEvents(all)],
  )
  return BigInt(row?.id)
}

/** As `count` appends of one event each. */
export async function fillOutboxRows(
  sql: AnySql,
  count: number,
  event: Partial<OutboxEvent> = {},
  createdAt = new Date(),
): Promise<void> {
  const one = { ...someEvent(), ...event }
  const [before = '', after = ''] = linesOfEvents([{ ...one, subject: 'its subject' }]).split('its subject')
  await sql.unsafe(
    `insert into outbox (occurred_at, created_at, event_count, events)
    select $1, $2, 1, $3::text || gen_random_uuid() || $4::text from generate_series(1, $5::int)`,
    [one.time, createdAt.toISOString(), before, after, count],
  )
}

/** Events that are pending. */
export async function countPending(sql: AnySql): Promise<number> {
  const [row] = await sql.unsafe('select coalesce(sum(event_count), 0)::int as count from outbox')
  return row?.count
}

/** Those of rows of the outbox, in their order. */
export const eventsIn = (rows: readonly { events?: string }[]): OutboxEvent[] =>
  rows.flatMap(({ events = '' }) => eventsOfLines(events))

/** Leads in place of a relay, so that the outbox stays as it is. */
export async function holdLead(sql: AnySql): Promise<void> {
  const statements = sql as Parameters<typeof tryLead>[0]
  if (!(await tryLead(statements, await sessionOf(statements)))) throw new Error('a relay leads already')
}
