/**
 * Writes a projection, in one statement: all of it or nothing, whatever happens to the connection
 * on the way.
 */
import type { PendingQuery, Row } from 'postgres'
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { Database } from '../../platform/postgres/database'
import { violation } from '../../platform/postgres/failures'
import { advisoryLocks } from '../../platform/postgres/locks'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { BalanceRow, ClientRow, DeadLetterReason, EntryRow } from './project'

export type NewDeadLetter = DeadLetterReason & {
  clusterId: string
  topic: string
  partition: number
  recordOffset: bigint
  /** Of a batch that cannot be read. */
  lastOffset: bigint | null
  key: Uint8Array | null
  value: Uint8Array | null
  headers: RecordHeader[]
  /** RFC 3339; null where the record bears no time. */
  recordAt: string | null
}

export type Rows = {
  balances: BalanceRow[]
  entries: EntryRow[]
  clients: ClientRow[]
  deadLetters: NewDeadLetter[]
}

/** A statement that returns a row to whoever may write, and none to anybody who comes second. */
export type Claim = (sql: Statements) => PendingQuery<Row[]>

/**
 * `claimed` is false when the claim was somebody else's; nothing was written then. `changed` counts the accounts that moved on.
 */
export type Applied = { claimed: boolean; changed: number }

/**
 * Keeps the newest version of each account, and every entry once. Idempotent: rows told twice, or
 * late, change nothing. The claim comes first: it holds its row's lock, so a competitor waits for
 * it and then finds the claim gone. The entries it adds are listed in `changes`, by transaction: so
 * at most once in each. Throws what `isConflict` knows, and writes nothing, when a row is of
 * another currency or source than the account is: no value but '' is refused by their constraints.
 * So whoever brings what fits, as our own events do, need not look first.
 */
export async function applyProjection(sql: Statements, claim: Claim, rows: Rows): Promise<Applied> {
  // In one order for everybody, so that two writers of the same accounts never wait for each other
  // in a circle.
  const balances = rows.balances.toSorted((a, b) => compare(a.accountId, b.accountId))
  const clients = rows.clients.toSorted((a, b) => compare(a.id, b.id))
  const { entries } = rows
  const letters = rows.deadLetters

  // Columns travel as arrays of text and are cast by the server: the driver has no array of every type.
  const [applied] = await sql<Applied[]>`
    with claimed as (${claim(sql)}),
    changed as (
      insert into balances as held
        (account_id, client_id, currency, balance_minor, held_minor, version, source, opened, created_at, updated_at)
      select account_id, client_id, currency, balance_minor::bigint, held_minor::bigint, version::bigint, source, opened::boolean,
        created_at::timestamptz, updated_at::timestamptz
      from unnest(
        ${arrayOf(balances.map((row) => row.accountId))}::text[],
        ${arrayOf(balances.map((row) => row.clientId))}::text[],
        ${arrayOf(balances.map((row) => row.currency))}::text[],
        ${arrayOf(balances.map((row) => row.balanceMinor))}::text[],
        ${arrayOf(balances.map((row) => row.heldMinor))}::text[],
        ${arrayOf(balances.map((row) => row.version))}::text[],
        ${arrayOf(balances.map((row) => row.source))}::text[],
        ${arrayOf(balances.map((row) => row.opened))}::text[],
        ${arrayOf(balances.map((row) => row.createdAt))}::text[],
        ${arrayOf(balances.map((row) => row.updatedAt))}::text[]
      ) as told (account_id, client_id, currency, balance_minor, held_minor, version, source, opened, created_at, updated_at)
      where exists (select from claimed)
      on conflict (account_id) do update set
        currency = case when held.currency = excluded.currency then held.currency else '' end,
        source = case when excluded.source is null or held.source = excluded.source then held.source
          when held.source is null then excluded.source else '' end,
        balance_minor = case when held.version < excluded.version then excluded.balance_minor else held.balance_minor end,
        held_minor = case when held.version < excluded.version then excluded.held_minor else held.held_minor end,
        updated_at = case when held.version < excluded.version then excluded.updated_at else held.updated_at end,
        version = greatest(held.version, excluded.version),
        client_id = case when held.opened then held.client_id else excluded.client_id end,
        created_at = case when excluded.opened and not held.opened then excluded.created_at else held.created_at end,
        opened = held.opened or excluded.opened
      where held.version < excluded.version or (excluded.opened and not held.opened)
        or held.currency <> excluded.currency or (excluded.source is not null and held.source is distinct from excluded.source)
      returning 1
    ),
    recorded as (
      insert into entries
        (account_id, version, amount_minor, balance_minor, held_minor, transaction_id, hold_id, counterparty_id, effective_at, created_at)
      select account_id, version::bigint, amount_minor::bigint, balance_minor::bigint, held_minor::bigint,
        transaction_id, hold_id, counterparty_id, effective_at::timestamptz, created_at::timestamptz
      from unnest(
        ${arrayOf(entries.map((row) => row.accountId))}::text[],
        ${arrayOf(entries.map((row) => row.version))}::text[],
        ${arrayOf(entries.map((row) => row.amountMinor))}::text[],
        ${arrayOf(entries.map((row) => row.balanceMinor))}::text[],
        ${arrayOf(entries.map((row) => row.heldMinor))}::text[],
        ${arrayOf(entries.map((row) => row.transactionId))}::text[],
        ${arrayOf(entries.map((row) => row.holdId))}::text[],
        ${arrayOf(entries.map((row) => row.counterpartyId))}::text[],
        ${arrayOf(entries.map((row) => row.effectiveAt))}::text[],
        ${arrayOf(entries.map((row) => row.createdAt))}::text[]
      ) as told (account_id, version, amount_minor, balance_minor, held_minor, transaction_id, hold_id, counterparty_id, effective_at, created_at)
      where exists (select from claimed)
      on conflict do nothing
      returning account_id, version
    ),
    listed as (
      insert into changes (size, account_ids, versions)
      select count(*), array_agg(account_id), array_agg(version) from recorded having count(*) > 0
    ),
    registered as (
      insert into clients (id, name, email, created_at)
      select id, name, email, created_at::timestamptz
      from unnest(
        ${arrayOf(clients.map((row) => row.id))}::text[],
        ${arrayOf(clients.map((row) => row.name))}::text[],
        ${arrayOf(clients.map((row) => row.email))}::text[],
        ${arrayOf(clients.map((row) => row.createdAt))}::text[]
      ) as told (id, name, email, created_at)
      where exists (select from claimed)
      on conflict (id) do nothing
    ),
    kept_aside as (
      insert into dead_letters (cluster_id, topic, partition, record_offset, last_offset, cause, detail, key, value, headers, record_at)
      select cluster_id, topic, partition::integer, record_offset::bigint, last_offset::bigint, cause, detail,
        decode(key, 'hex'), decode(value, 'hex'), headers::json, record_at::timestamptz
      from unnest(
        ${arrayOf(letters.map((row) => row.clusterId))}::text[],
        ${arrayOf(letters.map((row) => row.topic))}::text[],
        ${arrayOf(letters.map((row) => row.partition))}::text[],
        ${arrayOf(letters.map((row) => row.recordOffset))}::text[],
        ${arrayOf(letters.map((row) => row.lastOffset))}::text[],
        ${arrayOf(letters.map((row) => row.cause))}::text[],
        ${arrayOf(letters.map((row) => storable(row.detail)))}::text[],
        ${arrayOf(letters.map((row) => hex(row.key)))}::text[],
        ${arrayOf(letters.map((row) => hex(row.value)))}::text[],
        ${arrayOf(letters.map((row) => headersText(row.headers)))}::text[],
        ${arrayOf(letters.map((row) => row.recordAt))}::text[]
      ) as told (cluster_id, topic, partition, record_offset, last_offset, cause, detail, key, value, headers, record_at)
      where exists (select from claimed)
      on conflict do nothing
    )
    select exists (select from claimed) as claimed, (select count(*)::integer from changed) as changed,
      (
        select pg_notify(${changesChannel}, ${namesOf(balances)})
        where exists (select from changed) or exists (select from recorded)
      ) as told`
  return { claimed: applied?.claimed ?? false, changed: applied?.changed ?? 0 }
}

/**
 * Whether rows are at odds with what is stored of their accounts. Who has looked at that can tell
 * which event it is.
 */
export const isConflict = (thrown: unknown): boolean =>
  ['balances_currency', 'balances_source'].includes(violation(thrown)?.constraint ?? '')

/**
 * For events that leave a version unsaid, which count on from what is stored: from reading that to
 * writing, nobody else who does the same comes in between. Two of them would give out the same
 * version, and one be lost. Events that bear their versions need no turn.
 */
export const withProjectionLock = <T>(
  sql: Database['sql'],
  work: (tx: Statements) => Promise<T>,
): Promise<T> =>
  sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${advisoryLocks.projection})`
    return work(tx)
  }) as Promise<T>

/**
 * Every process that serves reads listens here: these accounts have moved on. Empty when they are
 * too many to name.
 */
export const changesChannel = 'saldo_balances'

function namesOf(balances: BalanceRow[]): string {
  const names = JSON.stringify(balances.map((row) => row.accountId))
  return Buffer.byteLength(names) < notificationBytesMax ? names : ''
}

/** PostgreSQL takes less than 8,000. */
const notificationBytesMax = 7900

export const changedAccounts = (notification: string): string[] | undefined =>
  notification === '' ? undefined : (JSON.parse(notification) as string[])

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

const headersText = (headers: readonly RecordHeader[]): string =>
  JSON.stringify(headers.map((header) => header.map((part) => part?.toString('base64') ?? null)))

const hex = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('hex')

/** A complaint may quote what was sent, and PostgreSQL does not take every text. */
export const storable = (detail: string): string => detail.toWellFormed().replaceAll('\0', '\uFFFD')
