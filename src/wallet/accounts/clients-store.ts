/** Clients: who owns accounts. */
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
 * Writes clients, their events and the key of who asked for it in one statement. A client whose id
 * exists stays as it is, and its event is not published again.
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

/**
 * Who was registered at a time or later, in the order of their ids: those after `after`. With an
 * account, its owner alone.
 */
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
  const isWanted = and(gte(clients.createdAt, since), accountId ? inArray(clients.id, owner) : undefined)
  return orm
    .select()
    .from(clients)
    .where(and(gt(clients.id, after), isWanted))
    .orderBy(clients.id)
    .limit(limit)
}
