/** Clients, accounts and holds in pages, each in the order of its ids. */
import { and, asc, desc, eq, gt, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { accounts, clients, holds, personalData } from '../db/schema'
import type { Account, AccountStatus } from '../domain/account'
import type { Client, Hold, HoldStatus } from '../domain/types'
import { selectClients } from '../ledger/store/rows'

/** `after`: the id that the page before ended with. */
export type IdPage = { after: string | undefined; limit: number }

/** Letter case makes no difference in an e-mail address. */
export function listClients(
  database: Database,
  { email }: { email: string | undefined },
  { after, limit }: IdPage,
): Promise<Client[]> {
  const matches = and(
    where(email, (value) => sql`lower(${personalData.email}) = lower(${value})`),
    where(after, (id) => gt(clients.id, id)),
  )
  return selectClients(database).where(matches).orderBy(asc(clients.id)).limit(limit)
}

export type AccountFilter = {
  clientId: string | undefined
  currency: string | undefined
  status: AccountStatus | undefined
}

/** All but `world`. */
export function listAccounts(
  { orm }: Database,
  { clientId, currency, status }: AccountFilter,
  { after, limit }: IdPage,
): Promise<Account[]> {
  const matches = and(
    isNotNull(accounts.clientId),
    where(clientId, (id) => eq(accounts.clientId, id)),
    where(currency, (code) => eq(accounts.currency, code)),
    where(status, (value) => sql`${accounts.status} = ${sql.raw(`'${value}'`)}`),
    where(after, (id) => gt(accounts.id, id)),
  )
  return orm.select().from(accounts).where(matches).orderBy(asc(accounts.id)).limit(limit)
}

/** By currency, which the id of each spells. */
export function listWorldAccounts({ orm }: Database, { after, limit }: IdPage): Promise<Account[]> {
  const matches = and(
    isNull(accounts.clientId),
    where(after, (id) => gt(accounts.id, id)),
  )
  return orm.select().from(accounts).where(matches).orderBy(asc(accounts.id)).limit(limit)
}

export type HoldFilter = { accountIdFrom: string | undefined; status: HoldStatus | undefined }

/** Newest first: ids begin with the time. */
export function listHolds(
  { orm }: Database,
  { accountIdFrom, status }: HoldFilter,
  { after, limit }: IdPage,
): Promise<Hold[]> {
  const matches = and(
    where(accountIdFrom, (id) => eq(holds.accountIdFrom, id)),
    where(status, (value) => sql`${holds.status} = ${sql.raw(`'${value}'`)}`),
    where(after, (id) => lt(holds.id, id)),
  )
  return orm.select().from(holds).where(matches).orderBy(desc(holds.id)).limit(limit)
}

const where = <Value>(value: Value | undefined, condition: (value: Value) => SQL): SQL | undefined =>
  value === undefined ? undefined : condition(value)
