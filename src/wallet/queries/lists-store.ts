/** Clients, accounts and holds in pages, each in the order of its ids. */
import {
  and,
  asc,
  desc,
  eq,
  getTableColumns,
  getTableName,
  gt,
  isNotNull,
  isNull,
  lt,
  or,
  type SQL,
  sql,
} from 'drizzle-orm'
import type { Database } from '../../platform/postgres/database'
import { accounts, clients, holds, personalData } from '../db/schema'
import type { Account, AccountStatus } from '../domain/account'
import type { Client, Hold, HoldStatus } from '../domain/types'
import { selectClients } from '../ledger/store/rows'
import { inIndexOrder } from './planner-store'

/** `after`: the id that the page before ended with. */
export type IdPage = { after: string | undefined; limit: number }

/** Letter case makes no difference in an e-mail address. */
export async function listClients(
  database: Database,
  { email }: { email: string | undefined },
  { after, limit }: IdPage,
): Promise<Listed<Client>> {
  const matches = and(
    where(email, (value) => sql`lower(${personalData.email}) = lower(${value})`),
    where(after, (id) => gt(clients.id, id)),
  )
  const rows = await inIndexOrder(database, (orm) =>
    selectClients({ orm }).where(matches).orderBy(asc(clients.id)).limit(limit),
  )
  return { rows }
}

/** Of one page. Beyond it, a page may have fewer rows than were asked for. */
const lookedAtMax = 5000

/** `lookedAt`: the last row that was looked at, where later ones may match, too. */
export type Listed<Row> = { rows: Row[]; lookedAt?: string | undefined }

/** What an index has in the order of ids, and what rows have to match besides. */
type Selection = { range: SQL | undefined; filter: SQL | undefined; order: typeof asc; limit: number }

async function listRows<Table extends typeof accounts | typeof holds>(
  database: Database,
  one: Table,
  { range, filter, order, limit }: Selection,
): Promise<Listed<Table['$inferSelect']>> {
  const table = one as typeof holds
  const byId = order(table.id)
  const rows = await inIndexOrder(database, (orm) => {
    const lookedAt = orm.select().from(table).where(range).orderBy(byId).limit(lookedAtMax)
    const numbered = orm
      .select({
        ...getTableColumns(table),
        isMatch: sql<boolean>`${filter ?? true}`.as('is_match'),
        isLast: sql<boolean>`row_number() over (order by ${byId}) = ${lookedAtMax}`.as('is_last'),
      })
      .from(lookedAt.as(getTableName(table)))
      .as(getTableName(table))
    const isListed = or(numbered.isMatch, numbered.isLast)
    return orm.select().from(numbered).where(isListed).orderBy(byId).limit(limit)
  })
  return { rows: rows.filter(({ isMatch }) => isMatch), lookedAt: rows.find(({ isLast }) => isLast)?.id }
}

export type AccountFilter = {
  clientId: string | undefined
  currency: string | undefined
  status: AccountStatus | undefined
}

/** All but `world`. */
export async function listAccounts(
  database: Database,
  { clientId, currency, status }: AccountFilter,
  { after, limit }: IdPage,
): Promise<Listed<Account>> {
  const ofClient = where(clientId, (id) => eq(accounts.clientId, id))
  const inCurrency = where(currency, (code) => eq(accounts.currency, code))
  const inStatus = where(status, (value) => sql`${accounts.status} = ${sql.raw(`'${value}'`)}`)
  // The narrowest: few are not open.
  const narrowest = ofClient ?? (status === 'open' ? inCurrency : (inStatus ?? inCurrency))
  return listRows(database, accounts, {
    range: and(
      isNotNull(accounts.clientId),
      narrowest,
      where(after, (id) => gt(accounts.id, id)),
    ),
    filter: and(ofClient, inCurrency, inStatus),
    order: asc,
    limit,
  })
}

/** By currency, which the id of each spells. */
export async function listWorldAccounts(
  { orm }: Database,
  { after, limit }: IdPage,
): Promise<Listed<Account>> {
  const matches = and(
    isNull(accounts.clientId),
    where(after, (id) => gt(accounts.id, id)),
  )
  // In the order of the index that has these few, though all are of the same client, none.
  const byId = [asc(accounts.clientId), asc(accounts.id)]
  return {
    rows: await orm
      .select()
      .from(accounts)
      .where(matches)
      .orderBy(...byId)
      .limit(limit),
  }
}

export type HoldFilter = { accountIdFrom: string | undefined; status: HoldStatus | undefined }

/** Newest first: ids begin with the time. */
export async function listHolds(
  database: Database,
  { accountIdFrom, status }: HoldFilter,
  { after, limit }: IdPage,
): Promise<Listed<Hold>> {
  const ofAccount = where(accountIdFrom, (id) => eq(holds.accountIdFrom, id))
  const inStatus = where(status, (value) => sql`${holds.status} = ${sql.raw(`'${value}'`)}`)
  const older = where(after, (id) => lt(holds.id, id))
  // Few are open. They have an index by account.
  const isOpen = status === 'placed'
  if (isOpen && !ofAccount) return listOpenHolds(database, and(inStatus, older), limit)
  return listRows(database, holds, {
    range: and(ofAccount, isOpen ? inStatus : undefined, older),
    filter: inStatus,
    order: desc,
    limit,
  })
}

/** In an order that no index has: otherwise the planner may walk all holds to find those in order. */
const listOpenHolds = async ({ orm }: Database, matches: SQL | undefined, limit: number) => ({
  rows: await orm
    .select()
    .from(holds)
    .where(matches)
    .orderBy(desc(sql`${holds.id}::text collate "C"`))
    .limit(limit),
})

const where = <Value>(value: Value | undefined, condition: (value: Value) => SQL): SQL | undefined =>
  value === undefined ? undefined : condition(value)
