/**
 * The ledger as a whole, and what it says of anything that others tell of it: for whoever compares
 * the two. Only reads.
 */
import type { EventName } from '../contract/events/events'
import { arrayOf, pagesOf, type Statements } from '../platform/postgres/statements'

/** Whom events are about: an account as its newest entry left it; a client has neither entries nor money. */
export type Holder = {
  id: string
  /** Null for a client. */
  currency: string | null
  version: bigint
  balanceMinor: bigint
  heldMinor: bigint
}

export type LedgerEntry = {
  accountId: string
  version: bigint
  transactionId: string
  amountMinor: bigint
  balanceMinor: bigint
  heldMinor: bigint
  /** What its transaction says that this entry moves; null where no transaction names it. */
  bookedMinor: bigint | null
}

export const listHolders = (sql: Statements): AsyncGenerator<Holder[]> =>
  pagesOf(
    (after, limit) => sql<Holder[]>`
      select id, currency, version, balance_minor as "balanceMinor", held_minor as "heldMinor" from accounts
      where id > ${after?.id ?? firstId}::uuid
      union all
      select id, null::text, 0::bigint, 0::bigint, 0::bigint from clients where id > ${after?.id ?? firstId}::uuid
      order by id limit ${limit}`,
  )

/** In the order of account and version, which for ids is that of their text. */
export const listLedger = (sql: Statements): AsyncGenerator<LedgerEntry[]> =>
  pagesOf(
    (after, limit) => sql<LedgerEntry[]>`
      select account_id as "accountId", version, transaction_id as "transactionId", entry.amount_minor as "amountMinor",
        balance_minor as "balanceMinor", held_minor as "heldMinor",
        case (account_id, version)
          when (account_id_from, version_from) then -transactions.amount_minor
          when (account_id_to, version_to) then transactions.amount_minor
        end as "bookedMinor"
      from (
        select * from entries
        where (account_id, version) > (${after?.accountId ?? firstId}::uuid, ${String(after?.version ?? 0)}::bigint)
        order by account_id, version limit ${limit}
      ) as entry
      left join transactions on transactions.id = entry.transaction_id
      order by account_id, version`,
  )

const firstId = '00000000-0000-0000-0000-000000000000'

/** An event that is committed and not yet known to be on the broker. */
export type WaitingEvent = { id: bigint; value: string }

export const listOutbox = (sql: Statements): AsyncGenerator<WaitingEvent[]> =>
  pagesOf(
    (after, limit) => sql<WaitingEvent[]>`
      select id, payload as value from outbox where id > ${String(after?.id ?? 0)}::bigint order by id limit ${limit}`,
  )

/** The newest row of the outbox; 0 when it is empty. */
export async function findNewestEvent(sql: Statements): Promise<bigint> {
  const [row] = await sql<{ id: bigint }[]>`select id from outbox order by id desc limit 1`
  return row?.id ?? 0n
}

/** How many rows of the outbox there are, or are left of those up to an id. */
export async function countOutbox(sql: Statements, upTo = 2n ** 63n - 1n): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from outbox where id <= ${String(upTo)}::bigint`
  return row?.count ?? 0
}

/** What can be told of: an entry, or whatever an event of this name is about. */
export type Subject = 'entry' | Exclude<EventName, 'BalanceUpdated'>

/** Money in minor units, ids and texts as they are. */
export type Fields = Readonly<Record<string, bigint | string | null>>

/** What the ledger says, and at which entry: version 0 is the opening of an account, or the client itself. */
export type Known = { holderId: string; version: bigint; fields: Fields }

/** One of a subject. Entries are called `account:version`, anything else by its id. */
export type Name = { subject: Subject; name: string }
export const keyOf = ({ subject, name }: Name): string => `${subject} ${name}`

/** What the ledger says of what is asked for, by `keyOf`. What it does not know is left out. */
export async function lookUp(sql: Statements, asked: readonly Name[]): Promise<Map<string, Known>> {
  const known = new Map<string, Known>()
  const names = Map.groupBy(
    asked.filter(({ subject, name }) => (subject === 'entry' ? isEntry : isId).test(name)),
    ({ subject }) => subject,
  )
  const answering = [...names].map(async ([subject, of]) => {
    const rows = await ask(sql, subject, [...new Set(of.map(({ name }) => name))])
    for (const { id, holderId, version, ...fields } of rows) {
      const name = subject === 'entry' ? `${holderId}:${version}` : (id ?? holderId)
      known.set(keyOf({ subject, name }), { holderId, version, fields })
    }
  })
  await Promise.all(answering)
  return known
}

/** `id` where the name is not that of the holder. */
type Answer = { id?: string; holderId: string; version: bigint } & Fields

function ask(sql: Statements, subject: Subject, names: string[]): PromiseLike<Answer[]> {
  const isAsked = sql`id = any(${arrayOf(names)}::uuid[])`
  const moves = sql`
    id, account_id_from as "holderId", account_id_from as "accountIdFrom", account_id_to as "accountIdTo",
    amount_minor as "amountMinor", currency`
  switch (subject) {
    case 'entry': {
      const parts = names.map((name) => name.split(':'))
      return sql`
        select account_id as "holderId", version, transaction_id as "transactionId", amount_minor as "amountMinor",
          balance_minor as "balanceMinor", held_minor as "heldMinor", currency
        from unnest(
          ${arrayOf(parts.map(([id]) => id))}::uuid[],
          ${arrayOf(parts.map(([, version]) => version))}::bigint[]
        ) as asked (account_id, version)
        join entries using (account_id, version)
        join (select id as account_id, currency from accounts) as account using (account_id)`
    }
    case 'TransactionCreated':
      return sql`select ${moves}, version_from as version from transactions where ${isAsked}`
    case 'HoldPlaced':
      return sql`select ${moves}, version_placed as version from holds where ${isAsked}`
    case 'HoldReleased':
      return sql`
        select ${moves}, version_ended as version from holds where ${isAsked} and status in ('released', 'expired')`
    case 'AccountOpened':
      return sql`
        select id as "holderId", 0::bigint as version, client_id as "clientId", currency,
          overdraft_limit_minor as "overdraftLimitMinor"
        from accounts where ${isAsked}`
    case 'ClientRegistered':
      return sql`
        select id as "holderId", 0::bigint as version, name as "clientName", email from clients where ${isAsked}`
  }
}

/** Whatever others call theirs, these are the names of what is here. */
const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const isEntry = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d{1,18}$/
