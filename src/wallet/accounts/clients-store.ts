/** Clients. */
import { and, eq, gt, gte, inArray } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { rowStatements } from '../../platform/postgres/rows'
import type { Statements } from '../../platform/postgres/statements'
import { accounts, clients } from '../db/schema'
import type { Client } from '../domain/client'
import { insertKeys, type StoredKey } from '../ledger/store/idempotency-keys'
import { insertOutbox, type OutboxRow } from '../outbox/outbox-store'
import type { AccountFilter } from './accounts-store'

const clientRows = rowStatements(clients, ['id', 'name', 'email', 'createdAt'])

/**
 * Inserts clients, their events and the idempotency key in one statement. Existing ids are left
 * untouched and emit no event.
 */
export async function insertClients(
  sql: Statements,
  rows: (Client & { event: OutboxRow })[],
  key: StoredKey | null = null,
): Promise<void> {
  await sql`
    with inserted as (
      ${clientRows.insert(sql, rows)}
      on conflict (id) do nothing
      returning id
    )
    ${key ? sql`, used_key as (${insertKeys(sql, [key])})` : sql``}
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

/** Registered at a time or later, by id, from after `after`. With an account, only its owner. */
export function listClients(
  { orm }: Database,
  { accountId, since }: AccountFilter,
  after: string,
  limit: number,
): Promise<Client[]> {
  const owner = orm
    .select({ id: accounts.clientId })
    .from(accounts)
    .where(eq(accounts.id, accountId ?? after))
  const matches = and(gte(clients.createdAt, since), accountId ? inArray(clients.id, owner) : undefined)
  return orm
    .select()
    .from(clients)
    .where(and(gt(clients.id, after), matches))
    .orderBy(clients.id)
    .limit(limit)
}
