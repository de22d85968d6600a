/** Accounts. Balances are written by `append` only. */
import { and, eq, gt, gte, sum } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { rowStatements } from '../../platform/postgres/rows'
import type { Statements } from '../../platform/postgres/statements'
import { accounts } from '../db/schema'
import type { NewAccount } from '../domain/account'
import type { StoredKey } from '../ledger/store/idempotency-keys'
import type { OutboxRow } from '../outbox/outbox-store'
import { insertWithEvents } from './creation-store'

export type StoredAccount = NewAccount & {
  balanceMinor: bigint
  heldMinor: bigint
  version: bigint
  updatedAt: Date
}

const accountRows = rowStatements(accounts, [
  'id',
  'clientId',
  'currency',
  'overdraftLimitMinor',
  'createdAt',
  'updatedAt',
])

/**
 * Inserts empty accounts, their events and the idempotency key in one statement. Existing ids are
 * left untouched and emit no event.
 */
export async function insertAccounts(
  sql: Statements,
  rows: (NewAccount & { event: OutboxRow })[],
  key: StoredKey | null = null,
): Promise<void> {
  const insertion = accountRows.insert(
    sql,
    rows.map((row) => ({ ...row, updatedAt: row.createdAt })),
  )
  await insertWithEvents(sql, insertion, { events: rows.map(({ event }) => event), key })
}

export async function findAccount({ orm }: Database, id: string): Promise<StoredAccount | undefined> {
  const [row] = await orm.select().from(accounts).where(eq(accounts.id, id))
  return row
}

export async function listAccountIds({ orm }: Database, clientId: string): Promise<string[]> {
  const rows = await orm.select({ id: accounts.id }).from(accounts).where(eq(accounts.clientId, clientId))
  return rows.map((row) => row.id)
}

/** One account or all, changed at a time or later. */
export type AccountFilter = { accountId: string | undefined; since: Date }

/** More than wallet clocks differ by: an account's last change may have an earlier time than one before. */
const skewMs = 600_000

const matches = ({ accountId, since }: AccountFilter) =>
  and(
    gte(accounts.updatedAt, new Date(since.getTime() - skewMs)),
    accountId ? eq(accounts.id, accountId) : undefined,
  )

/** By id, from after `after`. May include accounts that changed some minutes before. */
export function listAccounts(
  { orm }: Database,
  filter: AccountFilter,
  after: string,
  limit: number,
): Promise<StoredAccount[]> {
  const isNext = and(gt(accounts.id, after), matches(filter))
  return orm.select().from(accounts).where(isNext).orderBy(accounts.id).limit(limit)
}

export async function countEntries({ orm }: Database, filter: AccountFilter): Promise<number> {
  const [row] = await orm
    .select({ entries: sum(accounts.version) })
    .from(accounts)
    .where(matches(filter))
  return Number(row?.entries ?? 0)
}
