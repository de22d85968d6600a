/** The read model as a whole, page by page, for whoever compares it with the ledger. Only reads. */

import type { ClientRow, EntryRow } from '../balances/projection/project'
import { type Balance, listBalances } from '../balances/queries/balances-store'
import { pagesOf, type Statements } from '../platform/postgres/statements'

const everyone = { clientId: undefined, currency: undefined, minMinor: undefined, maxMinor: undefined }

export const listAllBalances = (sql: Statements): AsyncGenerator<Balance[]> =>
  pagesOf((after, limit) => listBalances(sql, everyone, { after: after?.accountId, limit }))

export type ShownEntry = Pick<
  EntryRow,
  'accountId' | 'version' | 'amountMinor' | 'balanceMinor' | 'heldMinor' | 'transactionId'
>

export const listAllEntries = (sql: Statements): AsyncGenerator<ShownEntry[]> =>
  pagesOf(
    (after, limit) => sql<ShownEntry[]>`
      select account_id as "accountId", version, amount_minor as "amountMinor", balance_minor as "balanceMinor",
        held_minor as "heldMinor", transaction_id as "transactionId"
      from entries where (account_id, version) > (${after?.accountId ?? ''}, ${String(after?.version ?? 0)}::bigint)
      order by account_id, version limit ${limit}`,
  )

export type ShownClient = Pick<ClientRow, 'id' | 'name' | 'email'>

export const listAllClients = (sql: Statements): AsyncGenerator<ShownClient[]> =>
  pagesOf(
    (after, limit) => sql<ShownClient[]>`
      select id, name, email from clients where id > ${after?.id ?? ''} order by id limit ${limit}`,
  )

/** The newest dead letter whose record mentions an id, in words. */
export async function findDeadLetter(
  sql: Statements,
  clusterId: string,
  id: string,
): Promise<string | undefined> {
  const [row] = await sql<{ said: string }[]>`
    select 'dead letter ' || id || ' (' || cause || ') at ' || topic || '/' || partition || '/' || record_offset as said
    from dead_letters where cluster_id = ${clusterId} and position(convert_to(${id}, 'UTF8') in value) > 0
    order by id desc limit 1`
  return row?.said
}
