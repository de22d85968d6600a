/** Clients and accounts to be republished, in pages. */
import { and, eq, gt, gte, inArray, sum } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { accounts, clients } from '../db/schema'
import type { Account } from '../domain/account'
import type { Client } from '../domain/types'

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
): Promise<Account[]> {
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
