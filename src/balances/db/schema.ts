/**
 * The tables of the read side. All of it can be made again from the topics; nothing here is known
 * to balances alone.
 */
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

/**
 * Which kind of record moves an account: those with versions, as the wallet writes them, or those
 * without, which are numbered here. An account is moved by one kind only, the first one that did.
 */
export type Source = 'versioned' | 'versionless'

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'string' })
const offset = (name: string) => bigint(name, { mode: 'bigint' })
/** Compared byte by byte: the order of ids means nothing to people, and this one costs the least. */
const key = customType<{ data: string }>({ dataType: () => 'text collate "C"' })
const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const xid = customType<{ data: string }>({ dataType: () => 'xid8' })

/**
 * Each account as its newest known version left it. Ids are text, because the course's services
 * promise no more.
 */
export const balances = pgTable(
  'balances',
  {
    accountId: text('account_id').primaryKey(),
    /**
     * Null for `world`, and until the account's opening is heard of. The client itself may be told
     * of later still.
     */
    clientId: text('client_id'),
    currency: text().notNull(),
    balanceMinor: bigint('balance_minor', { mode: 'bigint' }).notNull(),
    /** What of the balance open holds have promised. */
    heldMinor: bigint('held_minor', { mode: 'bigint' }).notNull().default(sql`0`),
    /** 0 while the account is only known to exist. */
    version: bigint({ mode: 'bigint' }).notNull(),
    /** Whether its AccountOpened was applied: owner and `created_at` are the account's own then. */
    /** Which kind of record moves it: the one that moved it first. Null until then. */
    source: text().$type<Source>(),
    opened: boolean().notNull(),
    createdAt: time('created_at').notNull(),
    /** When this version came to be, as its event tells it. */
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [
    // Written once for an account: balances change without touching an index.
    index('balances_client').on(table.clientId, table.accountId),
    check('balances_source', sql`${table.source} in ('versioned', 'versionless')`),
    check('balances_currency', sql`${table.currency} ~ '^[A-Z]{3}$'`),
    // As wide as `world` may be; what other accounts may hold is for those who write to say.
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
 * What made each account what it is, version by version. Nothing promises that all are here: a
 * record may be among the dead letters, or older than this table. Two rows for each movement, so
 * every byte and every index counts when it is rebuilt.
 */
export const entries = pgTable(
  'entries',
  {
    accountId: key('account_id').notNull(),
    version: bigint({ mode: 'bigint' }).notNull(),
    /** Null where it is not known: then only the balance is. */
    amountMinor: bigint('amount_minor', { mode: 'bigint' }),
    balanceMinor: bigint('balance_minor', { mode: 'bigint' }).notNull(),
    heldMinor: bigint('held_minor', { mode: 'bigint' }).notNull(),
    createdAt: time('created_at').notNull(),
    /** Null where it is `created_at`. */
    effectiveAt: time('effective_at'),
    transactionId: text('transaction_id'),
    holdId: text('hold_id'),
    counterpartyId: text('counterparty_id'),
  },
  (table) => [
    primaryKey({ name: 'entries_pkey', columns: [table.accountId, table.version] }),
    check('entries_version', sql`${table.version} > 0`),
    check(
      'entries_available',
      sql`${table.heldMinor} >= 0 and abs(${table.balanceMinor} - ${table.heldMinor}) <= 999999999999999999`,
    ),
    // Few are backdated, and nothing else is asked for by the time it counts from.
    index('entries_backdated')
      .on(table.accountId, table.effectiveAt)
      .where(sql`${table.effectiveAt} is not null`),
  ],
)

/**
 * The entries that each apply has added, for those who follow all accounts. One row a batch, and
 * only for a while: written whenever balances are, read by few. Ordered by transaction, because
 * that order is final once all that began before are done, which no order of rows as they appear
 * is.
 */
export const changes = pgTable('changes', {
  xid: xid().primaryKey().default(sql`pg_current_xact_id()`),
  appliedAt: time('applied_at').notNull().defaultNow(),
  /** How many, so that readers need not open what they will not read. */
  size: integer().notNull(),
  accountIds: text('account_ids').array().notNull(),
  versions: bigint({ mode: 'bigint' }).array().notNull(),
})

export const clients = pgTable('clients', {
  id: text().primaryKey(),
  name: text().notNull(),
  email: text().notNull(),
  createdAt: time('created_at').notNull(),
})

/**
 * How far each partition was applied. Moves in the transaction that applies; what the broker keeps
 * for the group is a copy.
 */
export const consumedOffsets = pgTable(
  'consumed_offsets',
  {
    clusterId: text('cluster_id').notNull(),
    topic: text().notNull(),
    partition: integer().notNull(),
    nextOffset: offset('next_offset').notNull(),
    /**
     * The last record that was applied, by which the log is known again: a topic that was deleted
     * and created again counts from 0.
     */
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
    /** Where the letter stands for a whole batch that cannot be read: its last offset. */
    lastOffset: offset('last_offset'),
    cause: text().notNull(),
    detail: text().notNull(),
    key: bytes(),
    value: bytes(),
    /**
     * Pairs of name and value, in Base64: neither has to be text. An object of texts in rows of an
     * earlier version.
     */
    headers: json().notNull(),
    recordAt: time('record_at'),
    /** When it failed first. */
    recordedAt: time('recorded_at').notNull().defaultNow(),
    attempts: integer().notNull().default(1),
    /** When the dead-letter topic was told of the last attempt. */
    sentAt: time('sent_at'),
  },
  (table) => [
    // With time and content, because a topic that was deleted and created again counts from 0 again.
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

/**
 * Movements of at least the limit that was set when they were read. The key keeps one that is told
 * again from being noted again.
 */
export const largeMovements = pgTable(
  'large_movements',
  {
    transactionId: key('transaction_id').primaryKey(),
    accountIdFrom: text('account_id_from').notNull(),
    accountIdTo: text('account_id_to').notNull(),
    amountMinor: bigint('amount_minor', { mode: 'bigint' }).notNull(),
    currency: text().notNull(),
    reference: text(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    index('large_movements_newest').on(table.createdAt, table.transactionId),
    index('large_movements_from').on(table.accountIdFrom),
    index('large_movements_to').on(table.accountIdTo),
  ],
)

/**
 * The last record that a reaction has read of a partition, by which it notices that the topic was
 * recreated. Where it goes on is the broker's to say.
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

/** Fictitious data that was put in, so that it is never put in again. */
export const appliedSeeds = pgTable('applied_seeds', {
  name: text().primaryKey(),
  appliedAt: time('applied_at').notNull().defaultNow(),
})
