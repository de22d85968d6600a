/** The tables of the read model. What came from events can be rebuilt from the topics. */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

/** Not of the read model, and not rebuilt. */
export { apiKeys } from '../../access/db/schema'

/**
 * Which kind of record moves an account: those with versions, as the wallet writes them, or those
 * without, which are numbered here. An account is moved by one kind only, the first one that did.
 */
export type Source = 'versioned' | 'versionless'

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'string' })
const offset = (name: string) => bigint(name, { mode: 'bigint' })
/** Byte order: the order of ids means nothing to people, and this is the cheapest. */
const key = customType<{ data: string }>({ dataType: () => 'text collate "C"' })
const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const xid = customType<{ data: string }>({ dataType: () => 'xid8' })

/**
 * Each account at its newest version, status and limit included. Ids are text: the course's services
 * promise no more.
 */
export const balances = pgTable(
  'balances',
  {
    accountId: text('account_id').primaryKey(),
    /** Null for `world`, and until AccountOpened is applied. The client may arrive later still. */
    clientId: text('client_id'),
    currency: text().notNull(),
    balanceMinor: bigint('balance_minor', { mode: 'bigint' }).notNull(),
    /** The part of the balance reserved by open holds. */
    heldMinor: bigint('held_minor', { mode: 'bigint' }).notNull().default(sql`0`),
    /** As the wallet names it; others may be added. */
    status: text().notNull().default('open'),
    /** Null while it is the one that the account was opened with. */
    overdraftLimitMinor: bigint('overdraft_limit_minor', { mode: 'bigint' }),
    /** The limit at the opening. Null for `world`, and until AccountOpened is applied. */
    openingLimitMinor: bigint('opening_limit_minor', { mode: 'bigint' }),
    /** 0 until the first movement. */
    version: bigint({ mode: 'bigint' }).notNull(),
    /** Null until the first movement. */
    source: text().$type<Source>(),
    /** Whether AccountOpened was applied: owner and `created_at` are the account's own then. */
    opened: boolean().notNull(),
    createdAt: time('created_at').notNull(),
    /** When this version was created, by its event. */
    updatedAt: time('updated_at').notNull(),
    /** Of the ledger, when it wrote this state. Null for the first epoch, here and everywhere. */
    epoch: integer(),
    /** Later versions than this one, of epochs before `startEpoch`, are void. Null without a restore. */
    startEpoch: integer('start_epoch'),
    startVersion: bigint('start_version', { mode: 'bigint' }),
  },
  (table) => [
    // Written once for an account: balances change without touching an index.
    index('balances_client').on(table.clientId, table.accountId),
    // Which pages have balances within a range. An update that changes nothing else still touches no index.
    index('balances_amount')
      .using('brin', table.balanceMinor.op('int8_minmax_multi_ops'))
      .with({ pages_per_range: 4, autosummarize: true }),
    check('balances_source', sql`${table.source} in ('versioned', 'versionless')`),
    check('balances_currency', sql`${table.currency} ~ '^[A-Z]{3}$'`),
    // As wide as `world` may be. Writers bound the other accounts.
    check('balances_digits', sql`abs(${table.balanceMinor}) <= 999999999999999999`),
    check(
      'balances_available',
      sql`${table.heldMinor} >= 0 and abs(${table.balanceMinor} - ${table.heldMinor}) <= 999999999999999999`,
    ),
    check(
      'balances_version',
      sql`${table.version} > 0 or (${table.version} = 0 and ${table.balanceMinor} = 0)`,
    ),
  ],
)

/**
 * Each account version by version. Some may be missing: their records are dead letters, or older than
 * this table. Two rows for each movement, so every byte and index counts in a rebuild.
 */
export const entries = pgTable(
  'entries',
  {
    accountId: key('account_id').notNull(),
    version: bigint({ mode: 'bigint' }).notNull(),
    /** Null when only the balance is known. */
    amountMinor: bigint('amount_minor', { mode: 'bigint' }),
    balanceMinor: bigint('balance_minor', { mode: 'bigint' }).notNull(),
    heldMinor: bigint('held_minor', { mode: 'bigint' }).notNull(),
    /** After it. Null when it is `open`. */
    status: text(),
    /** After it. Null when it is the one that the account was opened with. */
    overdraftLimitMinor: bigint('overdraft_limit_minor', { mode: 'bigint' }),
    createdAt: time('created_at').notNull(),
    /** Null when it is `created_at`. */
    effectiveAt: time('effective_at'),
    transactionId: text('transaction_id'),
    holdId: text('hold_id'),
    counterpartyId: text('counterparty_id'),
    /** Who did it. */
    actor: text(),
    epoch: integer(),
  },
  (table) => [
    primaryKey({ name: 'entries_pkey', columns: [table.accountId, table.version] }),
    check('entries_version', sql`${table.version} > 0`),
    check(
      'entries_available',
      sql`${table.heldMinor} >= 0 and abs(${table.balanceMinor} - ${table.heldMinor}) <= 999999999999999999`,
    ),
    // Few are backdated, and only those are looked up by effective time.
    index('entries_backdated')
      .on(table.accountId, table.effectiveAt)
      .where(sql`${table.effectiveAt} is not null`),
  ],
)

/**
 * The entries of each apply, for streams of all accounts. One row per transaction, pruned after a
 * while. Ordered by transaction id: that order is final once all older transactions have ended, which
 * the order of insertion is not.
 */
export const changes = pgTable('changes', {
  xid: xid().primaryKey().default(sql`pg_current_xact_id()`),
  appliedAt: time('applied_at').notNull().defaultNow(),
  /** How many, so that readers can skip a row without reading it. */
  size: integer().notNull(),
  accountIds: text('account_ids').array().notNull(),
  versions: bigint({ mode: 'bigint' }).array().notNull(),
})

/** Names of owners. Nothing here needs their e-mail addresses. */
export const clients = pgTable(
  'clients',
  {
    id: text().primaryKey(),
    /** Null once it was erased, which no older record undoes. */
    name: text(),
    version: bigint({ mode: 'bigint' }).notNull().default(sql`1`),
    epoch: integer(),
  },
  (table) => [
    // By the beginning of the name, in any case. Cut, since a name may be longer than an index allows.
    index('clients_name').on(sql`(lower(left(${table.name}, 100)) collate "C")`),
  ],
)

/** Epochs of the ledger after the first: none, unless it was restored. */
export const ledgerEpochs = pgTable('ledger_epochs', {
  epoch: integer().primaryKey(),
  /** How many accounts and clients the ledger starts it with. Null until EpochStarted is applied. */
  accounts: bigint({ mode: 'bigint' }),
  clients: bigint({ mode: 'bigint' }),
  /** How many of them have arrived. */
  accountsStarted: bigint('accounts_started', { mode: 'bigint' }).notNull().default(sql`0`),
  clientsStarted: bigint('clients_started', { mode: 'bigint' }).notNull().default(sql`0`),
  /** Records of lost futures that were ignored, in this epoch. */
  voided: bigint({ mode: 'bigint' }).notNull().default(sql`0`),
  startedAt: time('started_at').notNull().defaultNow(),
  /** When what the ledger has lost was removed. */
  completedAt: time('completed_at'),
})

/** The applied offset of each partition, authoritative: the group's offsets at the broker are a copy. */
export const consumedOffsets = pgTable(
  'consumed_offsets',
  {
    clusterId: text('cluster_id').notNull(),
    topic: text().notNull(),
    partition: integer().notNull(),
    nextOffset: offset('next_offset').notNull(),
    /** The last applied record, to detect a topic that was recreated and counts from 0 again. */
    lastOffset: offset('last_offset'),
    lastChecksum: text('last_checksum'),
    updatedAt: time('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'consumed_offsets_pkey', columns: [table.clusterId, table.topic, table.partition] }),
    check('consumed_offsets_next', sql`${table.nextOffset} >= 0`),
  ],
)

/** Records that could not be read or applied, as they came. */
export const deadLetters = pgTable(
  'dead_letters',
  {
    id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    clusterId: text('cluster_id').notNull(),
    topic: text().notNull(),
    partition: integer().notNull(),
    recordOffset: offset('record_offset').notNull(),
    /** The last offset of an unreadable batch; null for a single record. */
    lastOffset: offset('last_offset'),
    cause: text().notNull(),
    detail: text().notNull(),
    key: bytes(),
    value: bytes(),
    /** Pairs of name and value in Base64, since neither has to be text. Older rows: an object of texts. */
    headers: json().notNull(),
    recordAt: time('record_at'),
    /** When it first failed. */
    recordedAt: time('recorded_at').notNull().defaultNow(),
    attempts: integer().notNull().default(1),
    /** When the last attempt was published to the dead-letter topic. */
    sentAt: time('sent_at'),
  },
  (table) => [
    // With time and content, because a recreated topic counts from 0 again.
    uniqueIndex('dead_letters_origin').on(
      table.clusterId,
      table.topic,
      table.partition,
      table.recordOffset,
      sql`coalesce(${table.recordAt}, 'epoch'::timestamptz)`,
      sql`sha256(coalesce(${table.value}, ''::bytea))`,
    ),
    index('dead_letters_cause').on(table.cause, table.id),
    index('dead_letters_unsent').on(table.id).where(sql`${table.sentAt} is null`),
  ],
)

/** Movements at or above the limit of their time. The primary key deduplicates redeliveries. */
export const largeMovements = pgTable(
  'large_movements',
  {
    transactionId: key('transaction_id').notNull(),
    /** 0 where the transaction has no other. */
    leg: integer().notNull().default(0),
    accountIdFrom: text('account_id_from').notNull(),
    accountIdTo: text('account_id_to').notNull(),
    amountMinor: bigint('amount_minor', { mode: 'bigint' }).notNull(),
    currency: text().notNull(),
    reference: text(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'large_movements_pkey', columns: [table.transactionId, table.leg] }),
    index('large_movements_newest').on(table.createdAt, table.transactionId),
    index('large_movements_from').on(table.accountIdFrom),
    index('large_movements_to').on(table.accountIdTo),
  ],
)

/**
 * The last record that a reaction has processed, to detect a recreated topic. Its offsets are at the
 * broker.
 */
export const reactionLastRecords = pgTable(
  'reaction_last_records',
  {
    groupId: text('group_id').notNull(),
    clusterId: text('cluster_id').notNull(),
    topic: text().notNull(),
    partition: integer().notNull(),
    lastOffset: offset('last_offset').notNull(),
    lastChecksum: text('last_checksum').notNull(),
  },
  (table) => [
    primaryKey({
      name: 'reaction_last_records_pkey',
      columns: [table.groupId, table.clusterId, table.topic, table.partition],
    }),
  ],
)

/** Has a row where events have to be signed: no process may work on these tables without verifying. */
export const signedEvents = pgTable(
  'signed_events',
  {
    required: boolean().primaryKey().default(true),
    since: time('since').notNull().defaultNow(),
  },
  (table) => [check('signed_events_one', sql`${table.required}`)],
)

/** Used idempotency keys with their answers, over rebuilds. Kept for a day. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    scope: text().notNull(),
    key: text().notNull(),
    /** SHA-256 of the request, in hex. */
    fingerprint: text().notNull(),
    /** As the route stored it. */
    answer: json().notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ name: 'idempotency_keys_pkey', columns: [table.scope, table.key] }),
    index('idempotency_keys_created_at').on(table.createdAt),
  ],
)

/** Reports of `reconcile --store`. Rows are added, never changed; no rebuild touches them. */
export const reconciliations = pgTable(
  'reconciliations',
  {
    id: bigint({ mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    /** Everything committed by then was compared. */
    watermark: time('watermark').notNull(),
    result: text().notNull(),
    differencesTotal: integer('differences_total').notNull(),
    /** The report, byte for byte as it was signed. */
    report: text().notNull(),
    /** The key that signed it, and the report with its signature; null where there was no key. */
    keyId: text('key_id'),
    jws: text(),
    storedAt: time('stored_at').notNull().defaultNow(),
  },
  (table) => [
    index('reconciliations_result').on(table.result, table.id),
    check('reconciliations_results', sql`${table.result} in ('clean', 'different', 'pending')`),
  ],
)

/** Seed data that was applied, so that it is applied once. */
export const appliedSeeds = pgTable('applied_seeds', {
  name: text().primaryKey(),
  appliedAt: time('applied_at').notNull().defaultNow(),
})
