/** The whole read model, page by page. Only reads. */
import type { BalanceRow, ClientRow, EntryRow } from '../balances/projection/types'
import { pagesOf, type Statements } from '../platform/postgres/statements'

export type ModelBalance = Pick<
  BalanceRow,
  | 'accountId'
  | 'clientId'
  | 'currency'
  | 'balanceMinor'
  | 'heldMinor'
  | 'version'
  | 'status'
  | 'overdraftLimitMinor'
  | 'openingLimitMinor'
>

export const listAllBalances = (sql: Statements): AsyncGenerator<ModelBalance[]> =>
  pagesOf(
    (after, limit) => sql<ModelBalance[]>`
      select account_id as "accountId", client_id as "clientId", currency, balance_minor as "balanceMinor",
        held_minor as "heldMinor", version, status, overdraft_limit_minor as "overdraftLimitMinor",
        opening_limit_minor as "openingLimitMinor"
      from balances ${after ? sql`where account_id > ${after.accountId}` : sql``}
      order by account_id limit ${limit}`,
  )

export type ModelEntry = Pick<
  EntryRow,
  | 'accountId'
  | 'version'
  | 'amountMinor'
  | 'balanceMinor'
  | 'heldMinor'
  | 'transactionId'
  | 'actor'
  | 'status'
  | 'overdraftLimitMinor'
>

export const listAllEntries = (sql: Statements): AsyncGenerator<ModelEntry[]> =>
  pagesOf(
    (after, limit) => sql<ModelEntry[]>`
      select account_id as "accountId", version, amount_minor as "amountMinor",
        balance_minor as "balanceMinor", held_minor as "heldMinor", transaction_id as "transactionId",
        actor, status, overdraft_limit_minor as "overdraftLimitMinor"
      from entries
      where (account_id, version) > (${after?.accountId ?? ''}, ${String(after?.version ?? 0)}::bigint)
      order by account_id, version limit ${limit}`,
  )

export type ModelClient = ClientRow

export const listAllClients = (sql: Statements): AsyncGenerator<ModelClient[]> =>
  pagesOf(
    (after, limit) => sql<ModelClient[]>`
      select id, name, version from clients where id > ${after?.id ?? ''} order by id limit ${limit}`,
  )

/** Describes the newest dead letter that is about an id: its value contains it, or its key is it. */
export async function findDeadLetterMentioning(
  sql: Statements,
  clusterId: string,
  id: string,
): Promise<string | undefined> {
  const [row] = await sql<{ description: string }[]>`
    select format('dead letter %s (%s) at %s/%s/%s', id, cause, topic, partition, record_offset)
      as description
    from dead_letters
    where cluster_id = ${clusterId}
      and (position(convert_to(${id}, 'UTF8') in value) > 0 or key = convert_to(${id}, 'UTF8'))
    order by id desc limit 1`
  return row?.description
}
