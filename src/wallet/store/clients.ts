/** Clients: who owns accounts. */
import { eq } from 'drizzle-orm'
import { arrayOf, type Database, type Statements } from '../../platform/database'
import { insertOutbox, type OutboxRow } from './outbox'
import { clients } from './schema'

export type Client = { id: string; name: string; email: string; createdAt: Date }

/** Writes clients and their events in one statement. A client whose id exists stays as it is, and its event is not told again. */
export async function insertClients(sql: Statements, rows: (Client & { event: OutboxRow })[]): Promise<void> {
  await sql`
    with inserted as (
      insert into clients (id, name, email, created_at)
      select id, name, email, created_at::timestamptz
      from unnest(
        ${arrayOf(rows.map((row) => row.id))}::uuid[], ${arrayOf(rows.map((row) => row.name))}::text[],
        ${arrayOf(rows.map((row) => row.email))}::text[], ${arrayOf(rows.map((row) => row.createdAt.toISOString()))}::text[]
      ) as client (id, name, email, created_at)
      on conflict (id) do nothing
      returning id
    )
    ${insertOutbox(
      sql,
      rows.map((row) => row.event),
      sql`where subject::uuid in (select id from inserted)`,
    )}`
}

export async function findClient({ orm }: Database, id: string): Promise<Client | undefined> {
  const [row] = await orm.select().from(clients).where(eq(clients.id, id))
  return row
}
