import { expect, test } from 'bun:test'
import { openDatabase } from '../../platform/postgres/database'
import { backing } from '../../testing/backing'
import { fillOutboxRows } from '../../testing/outbox'
import { findDelivery } from './deliveries-store'
import { measureOutbox, openOutbox, type PendingAppend, pendingMax, settleAndRead } from './outbox-store'

/** All of their events, wherever they are. */
const settled = (rows: PendingAppend[]) =>
  rows.map(({ id, events }) => ({
    id,
    published: events.map((event, index) => ({ event, partition: 0, offset: BigInt(index) })),
    refused: [],
  }))
const event = {
  topic: 'balances',
  key: 'k',
  name: 'BalanceUpdated',
  value: '{}',
  subject: Bun.randomUUIDv7(),
  time: new Date().toISOString(),
  traceparent: null,
} as const

test('however much the outbox has grown since a statement was planned, it is read by its key', async () => {
  const { url } = await (await backing()).createDatabase('outbox', 'wallet')
  const relay = openOutbox(url)
  const pool = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
  const id = Bun.randomUUIDv7()
  // Often enough for the server to keep a plan, for an outbox that it knows to be empty.
  await pool.sql`vacuum analyze outbox`
  for (let round = 0; round < 10; round++) {
    await settleAndRead(relay, settled([{ id: BigInt(-round), events: [event] }]), { limit: 500 })
    await measureOutbox(pool.sql)
    await findDelivery(pool.sql, id)
  }
  await pool.sql`alter table transactions disable trigger transactions_booked`
  await pool.sql`
    insert into transactions (
      id, kind, account_id_from, account_id_to, version_from, version_to,
      amount_minor, currency, effective_at, created_at
    ) values (
      ${id}, 'transfer', ${crypto.randomUUID()}, ${crypto.randomUUID()}, 1, 1, 1, 'BRL', now(), now()
    )`
  await fillOutboxRows(pool.sql, 50_000)

  const read = async (sql: typeof pool.sql) => {
    await sql`select pg_stat_force_next_flush()`
    const [row] = await sql`select seq_tup_read as scanned from pg_stat_user_tables where relname = 'outbox'`
    return Number(row?.scanned)
  }
  const before = await read(pool.sql)
  const { rows } = await settleAndRead(relay, [], { limit: 500 })
  expect((await settleAndRead(relay, settled(rows), { limit: 1 })).rows[0]?.id).toBe(501n)
  expect(await read(relay)).toBe(before)
  expect(await findDelivery(pool.sql, id)).toMatchObject({ isPending: true, records: [] })
  expect(await read(pool.sql)).toBe(before)
  expect(await measureOutbox(pool.sql)).toMatchObject({ pending: pendingMax + 1 })
  expect((await read(pool.sql)) - before).toBeLessThanOrEqual(pendingMax + 1)

  const entriesRead = async () => {
    await relay`select pg_stat_force_next_flush()`
    const [row] =
      await relay`select idx_tup_read as entries from pg_stat_user_indexes where indexrelname = 'outbox_pkey'`
    return Number(row?.entries)
  }
  const begun = await entriesRead()
  const next = await settleAndRead(relay, [], { limit: 500 })
  await settleAndRead(relay, settled(next.rows), { limit: 500 })
  expect((await entriesRead()) - begun).toBeLessThan(3000)
  await relay.end()
  await pool.close()
})

test('the server looks after a relay whose machine may have vanished', async () => {
  const { url } = await (await backing()).createDatabase('outbox', 'wallet')
  const relay = openOutbox(url)
  // As the operating system of the server has them.
  const [row] = await relay`
    select current_setting('tcp_keepalives_idle') as idle,
      current_setting('tcp_keepalives_interval') as interval,
      current_setting('tcp_keepalives_count') as count`
  expect(row).toEqual({ idle: '2', interval: '1', count: '2' })
  await relay.end()
})
