/** What registering clients and opening accounts share: rows, their events and the key, in one statement. */
import type { Fragment } from 'postgres'
import type { Statements } from '../../platform/postgres/statements'
import { insertKeys, type StoredKey } from '../ledger/store/idempotency-keys'
import { insertOutbox, type OutboxRow } from '../outbox/outbox-store'

/** `insertion` inserts the rows. Existing ids are left untouched and emit no event. */
export async function insertWithEvents(
  sql: Statements,
  insertion: Fragment,
  { events, key }: { events: OutboxRow[]; key: StoredKey | null },
): Promise<void> {
  await sql`
    with inserted as (
      ${insertion}
      on conflict (id) do nothing
      returning id
    )
    ${key ? sql`, used_key as (${insertKeys(sql, [key])})` : sql``}
    ${insertOutbox(sql, events, sql`where subject::uuid in (select id from inserted)`)}`
}
