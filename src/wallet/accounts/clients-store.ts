/** Clients. */
import { and, eq, gt, gte, inArray } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { rowStatements } from '../../platform/postgres/rows'
import type { Statements } from '../../platform/postgres/statements'
import { accounts, clients } from '../db/schema'
import type { Client } from '../domain/client'
import type { StoredKey } from '../ledger/store/idempotency-keys'
import type { OutboxRow } from '../outbox/outbox-store'
import type { AccountFilter } from './accounts-store'
import { insertWithEvents } from './creation-store'

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
  const events = rows.map(({ event }) => event)
  await insertWithEvents(sql, clientRows.insert(sql, rows), { events, key })
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
