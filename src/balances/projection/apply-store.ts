/** Writes a projection in one statement: all of it or nothing, even if the connection is lost. */
import type { PendingQuery, Row } from 'postgres'
import type { RecordHeader } from '../../platform/kafka/record-set'
import type { Database } from '../../platform/postgres/database'
import { violation } from '../../platform/postgres/failures'
import { advisoryLocks } from '../../platform/postgres/locks'
import { keysOf, rowStatements } from '../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import * as schema from '../db/schema'
import { storable } from './storable'
import type { BalanceRow, ClientRow, DeadLetterReason, EntryRow } from './types'

const columnsOfNew = keysOf(schema.deadLetters, ['id', 'recordedAt', 'attempts', 'sentAt'])

export type NewDeadLetter = DeadLetterReason &
  Pick<typeof schema.deadLetters.$inferSelect, Exclude<(typeof columnsOfNew)[number], 'headers'>> & {
    headers: RecordHeader[]
  }

export type Rows = {
  balances: BalanceRow[]
  entries: EntryRow[]
  clients: ClientRow[]
  deadLetters: NewDeadLetter[]
}

/** A statement that returns a row to the first caller, and none to a later one. */
export type Claim = (sql: Statements) => PendingQuery<Row[]>

/** Nothing was written unless `claimed`. Counts of the accounts that changed, and of entries that are new. */
export type Applied = { claimed: boolean; changed: number; recorded: number; watched?: Watched | undefined }

/** The transaction, and its new entries by `entryKey` where some may not be. Null without any. */
export type Watched = { xid: string; keys: string[] | null } | null

const balanceRows = rowStatements(schema.balances, keysOf(schema.balances), { as: 'stored' })
const entryRows = rowStatements(schema.entries, keysOf(schema.entries))
const clientRows = rowStatements(schema.clients, keysOf(schema.clients), { as: 'stored' })
const deadLetterRows = rowStatements(schema.deadLetters, columnsOfNew)

/**
 * Upserts the newest version of each account and inserts each entry once. Idempotent under
 * redelivery and reordering.
 *
 * - The claim comes first and locks its row: a competitor waits, then finds the claim taken.
 * - Entries it adds are listed in `changes` under its transaction, so at most once in each.
 * - Rows in another currency or from another source than the account's violate a constraint, since
 *   no value but '' is stored for them: it throws what `isConflict` recognises. Rows that fit, as
 *   those of our own events do, need no lookup first.
 * - Entries are expected to be new where `areNew` says so, which saves a lookup of each: one that is not
 *   throws what `isRepeated` recognises.
 */
export async function applyProjection(
  sql: Statements,
  claim: Claim,
  rows: Rows,
  { areNew = false, isWatched = false } = {},
): Promise<Applied> {
  // Sorted, so that concurrent writers cannot deadlock.
  const balances = rows.balances.toSorted((a, b) => compare(a.accountId, b.accountId))
  const [applied] = await sql<Applied[]>`
    with claimed as (${claim(sql)}),
    changed as (
      ${balanceRows.insert(sql, balances)}
      where exists (select from claimed)
      on conflict (account_id) do update set
        currency = case
          when stored.currency = excluded.currency or ${isOfLater(sql)} then excluded.currency else ''
        end,
        source = case
          when excluded.source is null or stored.source = excluded.source then stored.source
          when stored.source is null then excluded.source
          else ''
        end,
        balance_minor = case when ${isNewer(sql)} then excluded.balance_minor else stored.balance_minor end,
        held_minor = case when ${isNewer(sql)} then excluded.held_minor else stored.held_minor end,
        status = case when ${isNewer(sql)} then excluded.status else stored.status end,
        overdraft_limit_minor = case when ${isNewer(sql)}
          then excluded.overdraft_limit_minor else stored.overdraft_limit_minor end,
        opening_limit_minor = case
          when ${opens(sql)} then coalesce(excluded.opening_limit_minor, stored.opening_limit_minor)
          else coalesce(stored.opening_limit_minor, excluded.opening_limit_minor)
        end,
        updated_at = case when ${isNewer(sql)} then excluded.updated_at else stored.updated_at end,
        version = case when ${isNewer(sql)} then excluded.version else stored.version end,
        epoch = greatest(stored.epoch, excluded.epoch),
        start_version = case when ${starts(sql)} then excluded.start_version else stored.start_version end,
        start_epoch = greatest(stored.start_epoch, excluded.start_epoch),
        client_id = case
          when stored.opened and not ${opens(sql)} then stored.client_id else excluded.client_id
        end,
        created_at = case when ${opens(sql)} then excluded.created_at else stored.created_at end,
        opened = stored.opened or excluded.opened
      where ${isNewer(sql)} or ${opens(sql)} or ${starts(sql)} or stored.currency <> excluded.currency
        or (stored.opening_limit_minor is null and excluded.opening_limit_minor is not null)
        or (excluded.source is not null and stored.source is distinct from excluded.source)
      returning 1
    ),
    recorded as (
      ${entryRows.insert(sql, inOrder(rows.entries))}
      where exists (select from claimed)
      ${areNew ? sql`` : sql`on conflict do nothing returning account_id, version`}
    ),
    listed as (
      insert into changes (size, account_ids, versions)
      ${areNew ? selectAll(sql, rows.entries) : selectRecorded(sql, rows.entries)}
      returning size ${isWatched ? sql`, xid, account_ids, versions` : sql``}
    )
    ${rows.clients.length > 0 ? registerClients(sql, rows.clients) : sql``}
    ${rows.deadLetters.length > 0 ? addDeadLetters(sql, rows.deadLetters) : sql``}
    select exists (select from claimed) as claimed, (select count(*)::integer from changed) as changed,
      coalesce((select size from listed), 0) as recorded,
      (
        select pg_notify(${changesChannel}, ${namesOf(balances)})
        where exists (select from changed) or exists (select from listed)
      ) as notified
      ${isWatched ? selectWatched(sql, areNew) : sql``}`
  return {
    claimed: applied?.claimed ?? false,
    changed: applied?.changed ?? 0,
    recorded: applied?.recorded ?? 0,
    watched: applied?.watched,
  }
}

const selectWatched = (sql: Statements, areNew: boolean) => sql`, (
        select json_build_object('xid', xid::text, 'keys', ${areNew ? sql`null` : keysOfListed(sql)})
        from listed
      ) as watched`

const keysOfListed = (sql: Statements) => sql`array(
          select version || ' ' || account_id from unnest(account_ids, versions) as one (account_id, version)
        )`

/** By account, as in the index: neighbours are inserted one after the other. */
function inOrder(entries: readonly EntryRow[]): EntryRow[] {
  const byAccount = Map.groupBy(entries, ({ accountId }) => accountId)
  return [...byAccount.keys()].sort(compare).flatMap((accountId) => byAccount.get(accountId) ?? [])
}

/** A row of `changes` for all of these entries, in log order. */
const selectAll = (sql: Statements, entries: readonly EntryRow[]) => sql`
      select size, account_ids, versions
      from (values (
        ${entries.length}::integer, ${arrayOf(entries.map(({ accountId }) => accountId))}::text[],
        ${arrayOf(entries.map(({ version }) => version))}::bigint[]
      )) as one (size, account_ids, versions)
      where size > 0 and exists (select from claimed)`

/** The same for those that were inserted. */
const selectRecorded = (sql: Statements, entries: readonly EntryRow[]) => sql`
      select count(*), array_agg(account_id order by number), array_agg(version order by number)
      from recorded join (
        select account_id, version, min(number) as number
        from unnest(
          ${arrayOf(entries.map(({ accountId }) => accountId))}::text[],
          ${arrayOf(entries.map(({ version }) => version))}::bigint[]
        ) with ordinality as listed (account_id, version, number)
        group by account_id, version
      ) as received using (account_id, version)
      having count(*) > 0`

const registerClients = (sql: Statements, clients: readonly ClientRow[]) => sql`,
    registered as (
      ${clientRows.insert(
        sql,
        clients.toSorted((a, b) => compare(a.id, b.id)),
      )}
      where exists (select from claimed)
      on conflict (id) do update set
        name = case when stored.name is not null then excluded.name end, version = excluded.version,
        epoch = greatest(stored.epoch, excluded.epoch)
      where ${clientIsNewer(sql)}
    )`

const addDeadLetters = (sql: Statements, letters: readonly NewDeadLetter[]) => sql`,
    dead_lettered as (
      ${deadLetterRows.insert(
        sql,
        letters.map((letter) => ({
          ...letter,
          detail: storable(letter.detail),
          headers: headersText(letter.headers),
        })),
      )}
      where exists (select from claimed)
      on conflict do nothing
    )`

/** Epochs are those of the ledger, after its first; records without versions are of none. */
const isNewer = (sql: Statements) => sql`(case
  when stored.epoch is not distinct from excluded.epoch or stored.source = 'versionless'
    then stored.version < excluded.version
  else coalesce(stored.epoch, 1) < coalesce(excluded.epoch, 1)
end)`
const isOfLater = (sql: Statements) => sql`coalesce(stored.epoch, 1) < coalesce(excluded.epoch, 1)`
const opens = (sql: Statements) => sql`(excluded.opened and (
  not stored.opened or (excluded.epoch is not null and coalesce(stored.epoch, 1) <= excluded.epoch)
))`
const starts = (sql: Statements) => sql`(coalesce(stored.start_epoch, 1) < coalesce(excluded.start_epoch, 1))`
/** An erasure stays: only its epoch moves on, which shows that the ledger still has the client. */
const clientIsNewer = (sql: Statements) => sql`
  case
    when stored.name is null or (excluded.name is not null and stored.epoch is distinct from excluded.epoch)
      then coalesce(stored.epoch, 1) < coalesce(excluded.epoch, 1)
    else stored.version < excluded.version or excluded.name is null
  end`

/**
 * Rows are in another currency or from another source than the account's. Load the accounts to find
 * out which event it is.
 */
export const isConflict = (thrown: unknown): boolean =>
  ['balances_currency', 'balances_source'].includes(violation(thrown)?.constraint ?? '')

/** An entry is there already: apply the rows again, without the expectation that they are new. */
export const isRepeated = (thrown: unknown): boolean => violation(thrown)?.constraint === 'entries_pkey'

/**
 * Serializes work on events without a version, which take the next after the stored one: two
 * writers at once would assign the same version, and lose an entry. Events with versions need no lock.
 */
export const withProjectionLock = <T>(
  sql: Database['sql'],
  work: (tx: Statements) => Promise<T>,
): Promise<T> =>
  sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${advisoryLocks.projection})`
    return work(tx)
  }) as Promise<T>

/** Notifies every process of the accounts that changed: a JSON list, empty when they are too many. */
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
