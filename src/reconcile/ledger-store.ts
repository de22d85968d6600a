/** The whole ledger and its outbox, page by page, and the records that assertions refer to. Only reads. */

import type { EventName } from '../contract/events/events'
import { isUuid, nilUuid } from '../contract/id'
import { arrayOf, pagesOf, type Statements } from '../platform/postgres/statements'
import { eventsOfLines, type OutboxEvent } from '../wallet/outbox/lines'

/**
 * An account as its newest entry left it, or a client, which has neither entries nor money: its
 * registration is version 0, and each change one more.
 */
export type Holder = {
  id: string
  /** Null for a client. */
  currency: string | null
  version: bigint
  balanceMinor: bigint
  heldMinor: bigint
  /** Of a client, whose personal data was erased; `purged` once it was deleted from its topic, too. */
  erasure: 'pending' | 'purged' | null
}

export type LedgerEntry = {
  accountId: string
  version: bigint
  transactionId: string
  amountMinor: bigint
  balanceMinor: bigint
  heldMinor: bigint
  /** The amount by its transaction; null where no transaction refers to the entry. */
  bookedMinor: bigint | null
  /** Of the change that led to it, where it changes neither balance nor held amount by itself. */
  changeKind: 'status' | 'overdraft' | 'expiry' | null
  /** Whether its transaction has several legs. */
  isLeg: boolean
}

export const listHolders = (sql: Statements): AsyncGenerator<Holder[]> =>
  pagesOf(
    (after, limit) => sql<Holder[]>`
      select id, currency, version, balance_minor as "balanceMinor", held_minor as "heldMinor",
        null::text as erasure
      from accounts where id > ${after?.id ?? nilUuid}::uuid
      union all
      select id, null::text, version - 1, 0::bigint, 0::bigint,
        case when purged_at is not null then 'purged' when client_id is not null then 'pending' end
      from clients left join erasures on client_id = id
      where id > ${after?.id ?? nilUuid}::uuid
      order by id limit ${limit}`,
  )

/** Ordered by account and version. */
export const listLedgerEntries = (sql: Statements): AsyncGenerator<LedgerEntry[]> =>
  pagesOf(
    (after, limit) => sql<LedgerEntry[]>`
      select account_id as "accountId", version, transaction_id as "transactionId",
        entry.amount_minor as "amountMinor", balance_minor as "balanceMinor", held_minor as "heldMinor",
        case (account_id, version)
          when (account_id_from, version_from) then -transactions.amount_minor
          when (account_id_to, version_to) then transactions.amount_minor
        end as "bookedMinor",
        case when entry.amount_minor = 0 then (
          select kind from changes where changes.id = entry.transaction_id
        ) end as "changeKind",
        coalesce(${hasLegs(sql)}, false) as "isLeg"
      from (
        select * from entries
        where (account_id, version) > (
          ${after?.accountId ?? nilUuid}::uuid, ${String(after?.version ?? 0)}::bigint
        )
        order by account_id, version limit ${limit}
      ) as entry
      left join transactions on transactions.id = entry.transaction_id
        and (account_id, version) in ((account_id_from, version_from), (account_id_to, version_to))
      order by account_id, version`,
  )

/** Only postings have several legs, and their reversals. */
const hasLegs = (sql: Statements) => sql`(
  transactions.kind = 'postings' or transactions.leg > 0 or (transactions.kind = 'reversal'
    and exists (select from transactions as other where other.id = transactions.id and other.leg = 1)))`

/** An event that is committed and not yet known to be published, by its row. */
export type PendingEvent = OutboxEvent & { id: bigint }

/** A row may have a thousand events. */
const appendsMax = 50

export async function* listOutbox(sql: Statements): AsyncGenerator<PendingEvent[]> {
  const pages = pagesOf<{ id: bigint; events: string }>(
    (after, limit) => sql`
      select id, events from outbox where id > ${String(after?.id ?? 0)}::bigint
      order by id limit ${limit}`,
    appendsMax,
  )
  for await (const rows of pages)
    yield rows.flatMap(({ id, events }) => eventsOfLines(events).map((event) => ({ id, ...event })))
}

/** The epoch of the ledger: one more after each restore. */
export async function findLedgerEpoch(sql: Statements): Promise<number> {
  const [row] = await sql<{ epoch: number }[]>`select max(epoch) as epoch from ledger_epochs`
  return row?.epoch ?? 1
}

/** The newest id in the outbox; 0 when it is empty. */
export async function findNewestOutboxId(sql: Statements): Promise<bigint> {
  const [row] = await sql<{ id: bigint }[]>`select id from outbox order by id desc limit 1`
  return row?.id ?? 0n
}

/** Events in the outbox, or those in rows up to an id. */
export async function countOutbox(sql: Statements, upTo = 2n ** 63n - 1n): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select coalesce(sum(event_count), 0)::int as count from outbox where id <= ${String(upTo)}::bigint`
  return row?.count ?? 0
}

/** An entry, or what an event of this name is about. */
export type Subject = 'entry' | Exclude<EventName, 'BalanceUpdated' | 'EpochStarted'>

/** Money in minor units, ids and texts as they are. */
export type Fields = Readonly<Record<string, bigint | string | null>>

/** Version 0 is the opening of an account, or the client itself. */
export type LedgerRecord = { holderId: string; version: bigint; fields: Fields }

/**
 * Entries, and changes of accounts and clients, are named `holder:version`, legs `transaction/leg`,
 * anything else by its id.
 */
export type Reference = { subject: Subject; name: string }
export const keyOf = ({ subject, name }: Reference): string => `${subject} ${name}`

/** The referenced records that exist, by `keyOf`. */
export async function loadRecords(
  sql: Statements,
  references: readonly Reference[],
): Promise<Map<string, LedgerRecord>> {
  const records = new Map<string, LedgerRecord>()
  const bySubject = Map.groupBy(references.filter(canExist), ({ subject }) => subject)
  const loading = [...bySubject].map(async ([subject, group]) => {
    const rows = await selectRecords(sql, subject, [...new Set(group.map(({ name }) => name))])
    for (const { id, holderId, version, ...fields } of rows) {
      const name = id ?? (isVersioned(subject) ? `${holderId}:${version}` : holderId)
      records.set(keyOf({ subject, name }), { holderId, version, fields })
    }
  })
  await Promise.all(loading)
  return records
}

export const isVersioned = (subject: Subject): boolean =>
  subject === 'entry' || subject === 'AccountUpdated' || subject === 'ClientUpdated' || isPersonal(subject)

/** Of the personal data of a client only the newest version is published. */
export const isPersonal = (subject: Subject): boolean =>
  subject === 'PersonalDataRecorded' || subject === 'PersonalDataErased'

/** Events of other publishers may refer to anything; the ledger has UUIDs and versions. */
function canExist({ subject, name }: Reference): boolean {
  const form = isVersioned(subject)
    ? /^(.*):(\d{1,18})$/
    : subject === 'PostingsCreated'
      ? /^(.*)\/(\d{1,4})$/
      : undefined
  if (!form) return isUuid(name)
  const [, id = '', number] = form.exec(name) ?? []
  return number !== undefined && isUuid(id)
}

/** `id` where the holder, or the holder and this version, is not its name. */
type RecordRow = { id?: string; holderId: string; version: bigint } & Fields

function selectRecords(sql: Statements, subject: Subject, names: string[]): PromiseLike<RecordRow[]> {
  const isNamed = sql`id = any(${arrayOf(names)}::uuid[])`
  const hold = sql`
    account_id_from as "holderId", account_id_from as "accountIdFrom", account_id_to as "accountIdTo",
    amount_minor as "amountMinor", currency`
  const movement = sql`${hold}, actor`
  const parts = isVersioned(subject) ? names.map((name) => name.split(':')) : []
  const named = sql`unnest(
    ${arrayOf(parts.map(([id]) => id))}::uuid[], ${arrayOf(parts.map(([, version]) => version))}::bigint[]
  ) as named (holder_id, version)`
  const ofClient = sql`
    holder_id || ':' || named.version as id, holder_id as "holderId", named.version - 1 as version`
  const versions = sql`
    client_versions as past on past.client_id = holder_id and past.version = named.version`
  switch (subject) {
    case 'entry':
      return sql`
        select account_id as "holderId", entries.version, transaction_id as "transactionId",
          amount_minor as "amountMinor", entries.balance_minor as "balanceMinor",
          entries.held_minor as "heldMinor", currency,
          case when amount_minor = 0 then coalesce(
            (select actor from changes where id = transaction_id),
            (select actor from holds where id = transaction_id),
            (select ended_actor from holds where ended_by = transaction_id)
          ) else (select actor from transactions where id = transaction_id and leg = 0) end as actor,
          coalesce(terms.status, 'open') as status,
          case when opening_limit_minor is not null
            then nullif(terms.overdraft_limit_minor, opening_limit_minor) end as "overdraftLimitMinor"
        from ${named}
        join entries on account_id = holder_id and entries.version = named.version
        join accounts on accounts.id = account_id
        left join lateral (
          select changes.status, changes.overdraft_limit_minor from changes
          where changes.account_id = holder_id and changes.version <= named.version
          order by changes.version desc limit 1
        ) as terms on true`
    case 'AccountUpdated':
      return sql`
        select account_id as "holderId", changes.version, changes.id as "transactionId",
          client_id as "clientId", currency, changes.status,
          changes.overdraft_limit_minor as "overdraftLimitMinor", changes.actor
        from ${named}
        join changes on account_id = holder_id and changes.version = named.version
        join accounts on accounts.id = account_id`
    case 'ClientUpdated':
      return sql`
        select ${ofClient}, ${instant(sql`case when is_erasure then created_at end`)} as "erasedAt",
          actor
        from ${named} join ${versions}`
    case 'PersonalDataErased':
      return sql`select ${ofClient} from ${named} join ${versions} where is_erasure`
    // Null where it was erased.
    case 'PersonalDataRecorded':
      return sql`
        select ${ofClient}, name as "clientName", email
        from ${named} join ${versions}
        left join personal_data
          on personal_data.client_id = holder_id and personal_data.version = named.version
        where not is_erasure`
    case 'HoldExtended':
      return sql`
        select changes.id, account_id_from as "holderId", account_id_from as "accountIdFrom",
          account_id_to as "accountIdTo", amount_minor as "amountMinor", currency, changes.version,
          changes.actor,
          ${instant(sql`changes.expires_at`)} as "expiresAt"
        from changes join holds on holds.id = hold_id
        where changes.id = any(${arrayOf(names)}::uuid[])`
    case 'TransactionCreated':
      return sql`
        select id, ${movement}, version_from as version
        from transactions where ${isNamed} and not ${hasLegs(sql)}`
    case 'PostingsCreated': {
      const parts = names.map((name) => name.split('/'))
      return sql`
        select id || '/' || leg as id, ${movement}, version_from as version
        from unnest(
          ${arrayOf(parts.map(([id]) => id))}::uuid[], ${arrayOf(parts.map(([, leg]) => leg))}::smallint[]
        ) as named (id, leg)
        join transactions using (id, leg) where ${hasLegs(sql)}`
    }
    case 'HoldPlaced':
      return sql`
        select id, ${movement}, version_placed as version,
          ${instant(sql`coalesce(expires_at_placed, expires_at)`)} as "expiresAt"
        from holds where ${isNamed}`
    case 'HoldReleased':
      return sql`
        select id, ${hold}, ended_actor as actor, version_ended as version from holds
        where ${isNamed} and status in ('released', 'expired')`
    case 'AccountOpened':
      return sql`
        select id as "holderId", 0::bigint as version, client_id as "clientId", currency,
          coalesce(opening_limit_minor, overdraft_limit_minor) as "overdraftLimitMinor", actor
        from accounts where ${isNamed}`
    case 'ClientRegistered':
      return sql`
        select id as "holderId", 0::bigint as version, actor
        from client_versions where ${isNamed} and version = 1`
  }
  // `instant`: as events write a time.
  function instant(time: ReturnType<Statements>) {
    return sql`to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
  }
}
