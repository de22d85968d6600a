/**
 * The wallet's tables. What drizzle cannot express, such as the triggers that check double entry, is
 * in `migrations/wallet`.
 */
import { sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  pgTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { type AccountStatus, accountStatuses } from '../domain/account'
import {
  type Change,
  changeKinds,
  type HoldStatus,
  holdStatuses,
  legsMax,
  type Metadata,
  type TransactionKind,
  transactionKinds,
} from '../domain/types'

/** `detected`: the broker has events that this ledger does not know. */
export const epochCauses = ['first', 'restored', 'detected', 'requested'] as const
export type EpochCause = (typeof epochCauses)[number]

export { apiKeys } from '../../access/db/schema'

// Defaults of bigint columns are SQL, because drizzle-kit cannot serialize a bigint.
const minor = (name: string) => bigint(name, { mode: 'bigint' })
/** JSON, stored as it was received. */
const json = <T>() => customType<{ data: T }>({ dataType: () => 'json' })()
/** The values of an enumeration, for a CHECK. */
const oneOf = (values: readonly string[]) => sql.raw(values.map((value) => `'${value}'`).join(', '))
/** The largest balance, for a CHECK: only `world` has no limit. */
const digitsOf = (limit: AnyPgColumn) =>
  sql`case when ${limit} is null then 999999999999999999 else 999999999999999 end`
const time = customType<{ data: Date; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  toDriver: (time) => time.toISOString(),
  fromDriver: (text) => new Date(text),
})

/** `worldIdOf` of the domain, in SQL. */
const worldId = (currency: AnyPgColumn) => {
  const letters = [1, 2, 3].map((at) => sql`to_hex(ascii(substr(${currency}, ${sql.raw(String(at))}, 1)))`)
  return sql`('00000000-0000-0000-0000-000000' || ${sql.join(letters, sql` || `)})::uuid`
}

/** As it is indexed and searched. `jsonb` holds no NUL: metadata with one is not found. */
export const searchable = (metadata: AnyPgColumn) =>
  sql`(case when position('\\u0000' in ${metadata}::text) > 0 then null else ${metadata}::jsonb end)`

/** Who owns accounts. Names and e-mail addresses are in `personal_data` alone. */
export const clients = pgTable('clients', {
  id: uuid().primaryKey(),
  version: bigint({ mode: 'bigint' }).notNull().default(sql`1`),
  /** Who registered it: the name of an API key, here and everywhere. */
  actor: text(),
  /** Who made this version, from the second on. */
  changedActor: text('changed_actor'),
  createdAt: time('created_at').notNull(),
  /** When this version was written. */
  updatedAt: time('updated_at').notNull(),
  /** With the last version. */
  erasedAt: time('erased_at'),
})

/** Version by version; `clients` has the newest. A trigger of `clients` inserts the first. */
export const clientVersions = pgTable(
  'client_versions',
  {
    clientId: uuid('client_id').notNull(),
    version: bigint({ mode: 'bigint' }).notNull(),
    /** The client itself, or the command that changed it. */
    id: uuid().notNull(),
    /** Of its personal data, in all versions. A trigger deletes the rows. */
    isErasure: boolean('is_erasure').notNull().default(false),
    actor: text(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'client_versions_pkey', columns: [table.clientId, table.version] }),
    uniqueIndex('client_versions_id').on(table.id),
  ],
)

/** What is known of a client as a person, in each version. Erased by a version of the client, as a whole. */
export const personalData = pgTable(
  'personal_data',
  {
    clientId: uuid('client_id').notNull(),
    version: bigint({ mode: 'bigint' }).notNull(),
    name: text().notNull(),
    email: text().notNull(),
  },
  (table) => [
    primaryKey({ name: 'personal_data_pkey', columns: [table.clientId, table.version] }),
    index('personal_data_email').on(sql`lower(${table.email})`, table.clientId),
  ],
)

/** Clients whose personal data was erased here, and when it was deleted from the topic. */
export const erasures = pgTable(
  'erasures',
  {
    clientId: uuid('client_id').primaryKey(),
    erasedAt: time('erased_at').notNull(),
    /** Null until then. */
    purgedAt: time('purged_at'),
  },
  (table) => [index('erasures_pending').on(table.clientId).where(sql`${table.purgedAt} is null`)],
)

/** The latest state of each account, derived from its entries and changes by a trigger. */
export const accounts = pgTable(
  'accounts',
  {
    id: uuid().primaryKey(),
    /** Null for `world`. */
    clientId: uuid('client_id').references(() => clients.id),
    currency: text().notNull(),
    balanceMinor: minor('balance_minor').notNull().default(sql`0`),
    /** Reserved by open holds: part of the balance, not available. */
    heldMinor: minor('held_minor').notNull().default(sql`0`),
    version: bigint({ mode: 'bigint' }).notNull().default(sql`0`),
    /** Null for `world`: no limit. */
    overdraftLimitMinor: minor('overdraft_limit_minor').default(sql`0`),
    /** The limit that it was opened with. May be null until the account is changed. */
    openingLimitMinor: minor('opening_limit_minor'),
    status: text().$type<AccountStatus>().notNull().default('open'),
    /** Who opened it. */
    actor: text(),
    /** Who last changed its status or limit. */
    changedActor: text('changed_actor'),
    createdAt: time('created_at').notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [
    // Lists, in the order of ids. A `world` is of no client.
    index('accounts_client_id').on(table.clientId, table.id),
    index('accounts_currency_id').on(table.currency, table.id).where(sql`${table.clientId} is not null`),
    check('accounts_currency', sql`${table.currency} ~ '^[A-Z]{3}$'`),
    check(
      'accounts_overdraft',
      sql`${table.balanceMinor} - ${table.heldMinor} >= -${table.overdraftLimitMinor}`,
    ),
    // Few are not open. Balances change without touching it.
    index('accounts_restricted').on(table.status, table.id).where(sql`${table.status} <> 'open'`),
    check('accounts_status', sql`${table.status} in (${oneOf(accountStatuses)})`),
    check('accounts_held', sql`${table.heldMinor} >= 0`),
    // `world` mirrors the sum of all others.
    check('accounts_digits', sql`abs(${table.balanceMinor}) <= ${digitsOf(table.overdraftLimitMinor)}`),
    check('accounts_held_digits', sql`${table.heldMinor} <= 999999999999999`),
    // Only `world` has no limit, and its id spells its currency: any other account without one could
    // create money.
    check(
      'accounts_world',
      sql`(${table.overdraftLimitMinor} is null) = (${table.id} = ${worldId(table.currency)})`,
    ),
  ],
)

/** Money that moved, with the version of each account's entry: a row for each leg. */
export const transactions = pgTable(
  'transactions',
  {
    id: uuid().notNull(),
    /** 0 where it has no other leg. */
    leg: smallint().notNull().default(0),
    kind: text().$type<TransactionKind>().notNull(),
    accountIdFrom: uuid('account_id_from').notNull(),
    accountIdTo: uuid('account_id_to').notNull(),
    versionFrom: bigint('version_from', { mode: 'bigint' }).notNull(),
    versionTo: bigint('version_to', { mode: 'bigint' }).notNull(),
    amountMinor: minor('amount_minor').notNull(),
    currency: text().notNull(),
    reference: text(),
    /** The caller's JSON object, never interpreted. */
    metadata: json<Metadata>(),
    /** The transaction that this one reverses, whole or in part. */
    reverses: uuid(),
    /** The hold that this one captures. */
    holdId: uuid('hold_id'),
    actor: text(),
    effectiveAt: time('effective_at').notNull(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'transactions_pkey', columns: [table.id, table.leg] }),
    check('transactions_leg', sql`${table.leg} = 0 or ${table.kind} in ('postings', 'reversal')`),
    check('transactions_legs', sql`${table.leg} between 0 and ${sql.raw(String(legsMax - 1))}`),
    check('transactions_amount', sql`${table.amountMinor} > 0`),
    check('transactions_accounts', sql`${table.accountIdFrom} <> ${table.accountIdTo}`),
    check('transactions_kind', sql`${table.kind} in (${oneOf(transactionKinds)})`),
    check('transactions_reverses', sql`(${table.kind} = 'reversal') = (${table.reverses} is not null)`),
    check('transactions_hold', sql`(${table.kind} = 'capture') = (${table.holdId} is not null)`),
    // Partial: a transaction without these members pays nothing for the search by them, and one of several
    // legs pays once.
    index('transactions_reverses').on(table.reverses).where(sql`${table.reverses} is not null`),
    index('transactions_hold_id').on(table.holdId).where(sql`${table.holdId} is not null`),
    index('transactions_reference')
      .on(table.reference, table.createdAt, table.id)
      .where(sql`${table.reference} is not null and ${table.leg} = 0`),
    // Entries that wait for a later insert would make that one slow.
    index('transactions_metadata')
      .using('gin', sql`${searchable(table.metadata)} jsonb_path_ops`)
      .with({ fastupdate: false })
      .where(sql`${table.metadata} is not null and ${table.leg} = 0`),
    index('transactions_with_metadata')
      .on(table.createdAt, table.id)
      .where(sql`${table.metadata} is not null and ${table.leg} = 0`),
  ],
)

/** Reserved money. Of its terms only the expiry changes, by a row of `changes`; the end is filled in once. */
export const holds = pgTable(
  'holds',
  {
    id: uuid().primaryKey(),
    accountIdFrom: uuid('account_id_from').notNull(),
    accountIdTo: uuid('account_id_to').notNull(),
    amountMinor: minor('amount_minor').notNull(),
    currency: text().notNull(),
    reference: text(),
    /** The caller's JSON object, never interpreted. */
    metadata: json<Metadata>(),
    expiresAt: time('expires_at').notNull(),
    /** When it was to expire at first. Null unless it was extended. */
    expiresAtPlaced: time('expires_at_placed'),
    createdAt: time('created_at').notNull(),
    /** Who placed it. */
    actor: text(),
    status: text().$type<HoldStatus>().notNull(),
    capturedMinor: minor('captured_minor'),
    /** The transaction or the release that ended it. */
    endedBy: uuid('ended_by'),
    endedAt: time('ended_at'),
    /** The versions of the paying account's entries. */
    versionPlaced: bigint('version_placed', { mode: 'bigint' }).notNull(),
    /** Of its last extension. */
    versionExtended: bigint('version_extended', { mode: 'bigint' }),
    versionEnded: bigint('version_ended', { mode: 'bigint' }),
    /** Who last extended it. */
    extendedActor: text('extended_actor'),
    /** Who captured or released it. */
    endedActor: text('ended_actor'),
  },
  (table) => [
    check('holds_amount', sql`${table.amountMinor} > 0`),
    check('holds_captured', sql`${table.capturedMinor} between 0 and ${table.amountMinor}`),
    check('holds_status', sql`${table.status} in (${oneOf(holdStatuses)})`),
    check('holds_ended', sql`(${table.status} = 'placed') = (${table.endedBy} is null)`),
    check(
      'holds_ended_actor',
      sql`${table.endedActor} is null or ${table.status} in ('captured', 'released')`,
    ),
    index('holds_account_id').on(table.accountIdFrom, table.id),
    // Partial indexes of the few open holds: by payer, and by expiry.
    index('holds_open').on(table.accountIdFrom, table.id).where(sql`${table.status} = 'placed'`),
    index('holds_expiry').on(table.expiresAt).where(sql`${table.status} = 'placed'`),
    uniqueIndex('holds_ended_by').on(table.endedBy).where(sql`${table.endedBy} is not null`),
  ],
)

/** Changes of accounts, and of the expiry of holds. A trigger copies them into those rows. */
export const changes = pgTable(
  'changes',
  {
    id: uuid().primaryKey(),
    kind: text().$type<Change['kind']>().notNull(),
    accountId: uuid('account_id').notNull(),
    /** The version of the account's entry, which moves nothing. */
    version: bigint({ mode: 'bigint' }).notNull(),
    /** Both afterwards, changed or not. */
    status: text().$type<AccountStatus>().notNull(),
    overdraftLimitMinor: minor('overdraft_limit_minor').notNull(),
    /** The hold whose expiry changed, and to when. */
    holdId: uuid('hold_id'),
    expiresAt: time('expires_at'),
    reference: text(),
    actor: text(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    uniqueIndex('changes_version').on(table.accountId, table.version),
    index('changes_hold').on(table.holdId, table.version).where(sql`${table.holdId} is not null`),
    check('changes_kind', sql`${table.kind} in (${oneOf(changeKinds)})`),
    check('changes_status', sql`${table.status} in (${oneOf(accountStatuses)})`),
    check('changes_overdraft', sql`${table.overdraftLimitMinor} >= 0`),
    check(
      'changes_hold',
      sql`(${table.kind} = 'expiry', ${table.kind} = 'expiry')
        = (${table.holdId} is not null, ${table.expiresAt} is not null)`,
    ),
  ],
)

/** The ledger. Two writers that read the same version of an account collide on the primary key. */
export const entries = pgTable(
  'entries',
  {
    accountId: uuid('account_id').notNull(),
    version: bigint({ mode: 'bigint' }).notNull(),
    /** The transaction, the hold, the release or the change that the entry belongs to. */
    transactionId: uuid('transaction_id').notNull(),
    amountMinor: minor('amount_minor').notNull(),
    balanceMinor: minor('balance_minor').notNull(),
    heldMinor: minor('held_minor').notNull().default(sql`0`),
    createdAt: time('created_at').notNull(),
  },
  (table) => [primaryKey({ name: 'entries_pkey', columns: [table.accountId, table.version] })],
)

/** Used idempotency keys with their outcomes. Kept for a day. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    scope: text().notNull(),
    key: text().notNull(),
    /** SHA-256 of the request, in hex. */
    fingerprint: text().notNull(),
    /** Per command: its transaction or hold, or its rejection. */
    outcomes: json<unknown[]>().notNull(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'idempotency_keys_pkey', columns: [table.scope, table.key] }),
    index('idempotency_keys_created_at').on(table.createdAt),
  ],
)

/** Committed, unpublished events: a row for each append. Inserted and deleted, never updated. */
export const outbox = pgTable('outbox', {
  id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
  /** When the first of them happened. */
  occurredAt: time('occurred_at').notNull(),
  createdAt: time('created_at').notNull().default(sql`now()`),
  eventCount: integer('event_count').notNull(),
  /** Published before. */
  isReplay: boolean('is_replay').notNull().default(false),
  /** A line for each event: see `wallet/outbox/lines`. */
  events: text().notNull(),
})

/**
 * The epochs of the ledger: 1, and one more for each restore, since its events then follow on from an earlier
 * state than the broker has. The last one counts.
 */
export const ledgerEpochs = pgTable(
  'ledger_epochs',
  {
    epoch: integer().primaryKey(),
    /** Of the event that ends its start. */
    id: uuid().notNull().default(sql`gen_random_uuid()`),
    cause: text().$type<EpochCause>().notNull(),
    /** What showed that the ledger was restored. */
    evidence: text(),
    startedAt: time('started_at').notNull().default(sql`now()`),
    /**
     * Whether its start needs all earlier events, too: an epoch that is no past of this ledger may have made
     * some of them void.
     */
    withHistory: boolean('with_history').notNull().default(false),
    /** The last client and account whose state is in the outbox. */
    clientsAfter: uuid('clients_after'),
    accountsAfter: uuid('accounts_after'),
    clients: bigint({ mode: 'bigint' }).notNull().default(sql`0`),
    accounts: bigint({ mode: 'bigint' }).notNull().default(sql`0`),
    /** When the state of all of them was in the outbox. */
    completedAt: time('completed_at'),
  },
  (table) => [
    check('ledger_epochs_epoch', sql`${table.epoch} > 0`),
    check('ledger_epochs_cause', sql`${table.cause} in (${oneOf(epochCauses)})`),
  ],
)

/**
 * The events of the outbox, one by one, for change data capture: in the columns that Debezium's outbox router
 * reads. A trigger that the owner may enable inserts and deletes each of them at once, so it is always empty.
 */
export const outboxEvents = pgTable('outbox_events', {
  id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
  /** Topic, without the installation's prefix. */
  aggregatetype: text().notNull(),
  /** Record key. */
  aggregateid: text().notNull(),
  /** Event name. */
  type: text().notNull(),
  /** Record value, exactly as it is sent. */
  payload: text().notNull(),
  subject: text().notNull(),
  traceparent: text(),
  occurredAt: time('occurred_at').notNull(),
})

/**
 * Where the published events of an append are on the broker, for some days: a row for each append. Found by
 * the time of the transaction, and its id among the subjects.
 */
export const appendDeliveries = pgTable(
  'append_deliveries',
  {
    occurredAt: time('occurred_at').notNull(),
    publishedAt: time('published_at').notNull(),
    /** See `wallet/outbox/places`. */
    subjects: uuid().array().notNull(),
    legs: smallint().array(),
    runs: text().notNull(),
  },
  (table) => [index('append_deliveries_occurred_at').on(table.occurredAt)],
)

/** The same event by event, of what was published by an earlier version. Only read and pruned. */
export const deliveries = pgTable(
  'deliveries',
  {
    offset: bigint({ mode: 'bigint' }).notNull(),
    publishedAt: time('published_at').notNull(),
    partition: integer().notNull(),
    subject: uuid().notNull(),
    /** Event name. */
    event: text().notNull(),
    /** Of the transaction that the event is about. */
    leg: smallint().notNull().default(0),
  },
  (table) => [primaryKey({ name: 'deliveries_pkey', columns: [table.subject, table.event, table.leg] })],
)

/** Seeds that have been applied, so that none is applied twice. */
export const appliedSeeds = pgTable('applied_seeds', {
  name: text().primaryKey(),
  appliedAt: time('applied_at').notNull().default(sql`now()`),
})
