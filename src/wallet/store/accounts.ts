/** Accounts, apart from what moves their money. */
import { eq } from 'drizzle-orm'
import { arrayOf, type Database, type Statements } from '../../platform/database'
import { insertOutbox, type OutboxRow } from './outbox'
import { accounts } from './schema'

export type NewAccount = {
  id: string
  /** Null for `world`. */
  clientId: string | null
  currency: string
  /** Null for `world`: without limit. */
  overdraftLimitMinor: bigint | null
  createdAt: Date
  event: OutboxRow
}

export type StoredAccount = Omit<NewAccount, 'event'> & {
  balanceMinor: bigint
  heldMinor: bigint
  version: bigint
  updatedAt: Date
}

/** Writes empty accounts and their events in one statement. An account whose id exists stays as it is, and its event is not told again. */
export async function insertAccounts(sql: Statements, rows: NewAccount[]): Promise<void> {
  const times = rows.map((row) => row.createdAt.toISOString())
  await sql`
    with inserted as (
      insert into accounts (id, client_id, currency, overdraft_limit_minor, created_at, updated_at)
      select id, client_id, currency, overdraft_limit_minor, created_at::timestamptz, created_at::timestamptz
      from unnest(
        ${arrayOf(rows.map((row) => row.id))}::uuid[], ${arrayOf(rows.map((row) => row.clientId))}::uuid[],
        ${arrayOf(rows.map((row) => row.currency))}::text[],
        ${arrayOf(rows.map((row) => row.overdraftLimitMinor))}::bigint[],
        ${arrayOf(times)}::text[]
      ) as account (id, client_id, currency, overdraft_limit_minor, created_at)
      on conflict (id) do nothing
      returning id
    )
    ${insertOutbox(
      sql,
      rows.map((row) => row.event),
      sql`where subject::uuid in (select id from inserted)`,
    )}`
}

export async function findAccount({ orm }: Database, id: string): Promise<StoredAccount | undefined> {
  const [row] = await orm.select().from(accounts).where(eq(accounts.id, id))
  return row
}

export async function listAccountIds({ orm }: Database, clientId: string): Promise<string[]> {
  const rows = await orm.select({ id: accounts.id }).from(accounts).where(eq(accounts.clientId, clientId))
  return rows.map((row) => row.id)
}
