/** Accounts as the read model has them. */

import type { Sql } from 'postgres'
import { keysOf, selectList } from '../../platform/postgres/rows'
import { arrayOf, type Statements, type Types } from '../../platform/postgres/statements'
import { balances } from '../db/schema'
import type { BalanceRow } from '../projection/types'

/** `ownerName` is null until PersonalDataRecorded is applied, and from PersonalDataErased on. */
export type Balance = Omit<BalanceRow, 'source' | 'opened' | 'startEpoch' | 'startVersion'> & {
  ownerName: string | null
}

const columns = selectList(balances, keysOf(balances, ['source', 'opened', 'startEpoch', 'startVersion']))
const selectBalances = (sql: Statements) => sql`
  select ${columns(sql)}, clients.name as "ownerName"
  from balances left join clients on clients.id = client_id`

export async function findBalances(
  sql: Statements,
  accountIds: readonly string[],
): Promise<Map<string, Balance>> {
  const rows = await sql<
    Balance[]
  >`${selectBalances(sql)} where account_id = any(${arrayOf(accountIds)}::text[])`
  return new Map(rows.map((row) => [row.accountId, row]))
}

export type BalanceFilter = {
  clientId: string | undefined
  /** How the name of the owner begins, in any case. At most 100 characters, which is what the index has. */
  ownerName: string | undefined
  currency: string | undefined
  minMinor: bigint | undefined
  maxMinor: bigint | undefined
}

type Page = { after: string | undefined; limit: number }

/** Accounts of a page that are looked at in their order before it is known how many of them match. */
const sampleSize = 2000
/** A page may look at this many samples in that order: more take longer than the index of balances. */
const samplesMax = 10

/**
 * Ordered by account id, which never changes: concurrent updates move no account to another page. Where
 * few balances are within a range, their accounts are found by balance, and sorted.
 */
export async function listBalances(sql: Sql<Types>, filter: BalanceFilter, page: Page): Promise<Balance[]> {
  const { clientId, ownerName, minMinor, maxMinor } = filter
  if (ownerName !== undefined && clientId === undefined) return listByOwner(sql, ownerName, filter, page)
  if (clientId !== undefined || (minMinor === undefined && maxMinor === undefined))
    return listInOrder(sql, filter, page)
  const sample = await listOfSample(sql, filter, page)
  if (sample.length === page.limit) return sample
  return sample.length * samplesMax < page.limit
    ? listByBalance(sql, filter, page)
    : listInOrder(sql, filter, page)
}

const listInOrder = (sql: Statements, filter: BalanceFilter, { after, limit }: Page) =>
  sql<Balance[]>`${selectBalances(sql)}
    where ${after === undefined ? sql`true` : sql`account_id > ${after}`} and ${matches(sql, filter)}
    order by account_id limit ${limit}`

const listOfSample = (sql: Statements, filter: BalanceFilter, { after, limit }: Page) =>
  sql<Balance[]>`
    select ${columns(sql)}, clients.name as "ownerName"
    from (
      select * from balances where ${after === undefined ? sql`true` : sql`account_id > ${after}`}
      order by account_id limit ${sampleSize}
    ) as balances left join clients on clients.id = client_id
    where ${matches(sql, filter)}
    order by account_id limit ${limit}`

/** By bitmaps alone, and none of account ids: the planner knows neither how few they are nor where. */
const listByBalance = (sql: Sql<Types>, filter: BalanceFilter, { after, limit }: Page) =>
  sql.begin('read only', async (tx) => {
    await tx`select set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true)`
    return tx<Balance[]>`${selectBalances(tx)}
      where ${after === undefined ? tx`true` : tx`account_id || '' > ${after}`} and ${matches(tx, filter)}
      order by account_id limit ${limit}`
  }) as Promise<Balance[]>

/** Owners of such a name up to which their accounts are read and sorted, for each page. */
const ownersMax = 5000

/**
 * Where few owners have such a name, their accounts are found by owner. Many of them have so many of the
 * accounts that a page fills soon in the order of ids. The planner knows neither.
 */
async function listByOwner(
  sql: Statements,
  ownerName: string,
  filter: BalanceFilter,
  { after, limit }: Page,
): Promise<Balance[]> {
  const isAfter = after === undefined ? sql`true` : sql`account_id > ${after}`
  const owners = sql`from clients where ${isNamed(sql, ownerName)}`
  const [counted] = await sql<{ count: number }[]>`
    select count(*)::integer as count from (select ${owners} limit ${ownersMax + 1}) as named`
  if ((counted?.count ?? 0) <= ownersMax)
    return sql<Balance[]>`
      with owners as materialized (select id, name ${owners}),
      accounts as materialized (
        select found.*, owners.name as owner_name
        from owners cross join lateral (
          select * from balances
          where client_id = owners.id and ${isAfter} and ${matches(sql, filter)} offset 0
        ) as found
      )
      select ${columns(sql)}, owner_name as "ownerName" from accounts as balances
      order by account_id limit ${limit}`
  return sql<Balance[]>`
    select ${columns(sql)}, clients.name as "ownerName"
    from balances cross join lateral (select name from clients where id = client_id offset 0) as clients
    where ${isAfter} and ${matches(sql, filter)} and ${isNamed(sql, ownerName)}
    order by account_id limit ${limit}`
}

/** As the index has it. No text with that beginning is above one that ends with the last character. */
const isNamed = (sql: Statements, beginning: string) => sql`
  (lower(left(name, 100)) collate "C") >= lower(${beginning})
  and (lower(left(name, 100)) collate "C") < lower(${beginning}) || chr(1114111)`

const matches = (
  sql: Statements,
  { clientId, ownerName, currency, minMinor, maxMinor }: BalanceFilter,
) => sql`
      true
      ${clientId === undefined ? sql`` : sql`and client_id = ${clientId}`}
      ${clientId === undefined || ownerName === undefined ? sql`` : sql`and ${isNamed(sql, ownerName)}`}
      ${currency === undefined ? sql`` : sql`and currency = ${currency}`}
      ${minMinor === undefined ? sql`` : sql`and balance_minor >= ${String(minMinor)}::bigint`}
      ${maxMinor === undefined ? sql`` : sql`and balance_minor <= ${String(maxMinor)}::bigint`}`
