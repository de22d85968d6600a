/** The wallet's tables. What drizzle cannot say (the statement trigger that checks the double entry) is in `migrations/wallet`. */
import { sql } from 'drizzle-orm'
import { bigint, check, index, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'

// Defaults of bigint columns are written as SQL, because drizzle-kit cannot serialize a bigint.
const minor = (name: string) => bigint(name, { mode: 'bigint' })
const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })

export const clients = pgTable('clients', {
  id: uuid().primaryKey(),
  name: text().notNull(),
  email: text().notNull(),
  createdAt: time('created_at').notNull(),
})

/** The latest state of each account: a snapshot of what its entries add up to. */
export const accounts = pgTable(
  'accounts',
  {
    id: uuid().primaryKey(),
    /** Null for `world`. */
    clientId: uuid('client_id').references(() => clients.id),
    currency: text().notNull(),
    balanceMinor: minor('balance_minor').notNull().default(sql`0`),
    version: bigint({ mode: 'bigint' }).notNull().default(sql`0`),
    /** Null for `world`: without limit. */
    overdraftLimitMinor: minor('overdraft_limit_minor').default(sql`0`),
    createdAt: time('created_at').notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [
    index('accounts_client_id').on(table.clientId),
    check('accounts_currency', sql`${table.currency} ~ '^[A-Z]{3}$'`),
    check('accounts_overdraft', sql`${table.balanceMinor} >= -${table.overdraftLimitMinor}`),
    check('accounts_digits', sql`abs(${table.balanceMinor}) <= 999999999999999`),
  ],
)

/** Which money moved, and the number of the entry that each account got by it. */
export const transactions = pgTable(
  'transactions',
  {
    id: uuid().primaryKey(),
    kind: text().notNull(),
    accountIdFrom: uuid('account_id_from').notNull(),
    accountIdTo: uuid('account_id_to').notNull(),
    versionFrom: bigint('version_from', { mode: 'bigint' }).notNull(),
    versionTo: bigint('version_to', { mode: 'bigint' }).notNull(),
    amountMinor: minor('amount_minor').notNull(),
    currency: text().notNull(),
    reference: text(),
    effectiveAt: time('effective_at').notNull(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    check('transactions_amount', sql`${table.amountMinor} > 0`),
    check('transactions_accounts', sql`${table.accountIdFrom} <> ${table.accountIdTo}`),
    check('transactions_kind', sql`${table.kind} in ('transfer', 'deposit', 'withdrawal')`),
  ],
)

/** The ledger itself. Two writers that read the same version of an account collide on the primary key. */
export const entries = pgTable(
  'entries',
  {
    accountId: uuid('account_id').notNull(),
    version: bigint({ mode: 'bigint' }).notNull(),
    transactionId: uuid('transaction_id').notNull(),
    amountMinor: minor('amount_minor').notNull(),
    balanceMinor: minor('balance_minor').notNull(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'entries_pkey', columns: [table.accountId, table.version] }),
    check('entries_amount', sql`${table.amountMinor} <> 0`),
  ],
)

/** Keys that callers have used, each with what came of it: a transaction, or a refusal. Kept for a day. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    scope: text().notNull(),
    key: text().notNull(),
    /** SHA-256 of what was asked for, in hex. */
    fingerprint: text().notNull(),
    transactionId: uuid('transaction_id'),
    rejection: text(),
    createdAt: time('created_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'idempotency_keys_pkey', columns: [table.scope, table.key] }),
    index('idempotency_keys_created_at').on(table.createdAt),
    check('idempotency_keys_answer', sql`(${table.transactionId} is null) <> (${table.rejection} is null)`),
  ],
)

/** Events that are committed and not yet known to be on the broker, in the columns that Debezium's outbox router reads. Never updated. */
export const outbox = pgTable('outbox', {
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
  createdAt: time('created_at').notNull().defaultNow(),
})

/** Fictitious data that was put in, so that it is never put in again. */
export const appliedSeeds = pgTable('applied_seeds', {
  name: text().primaryKey(),
  appliedAt: time('applied_at').notNull().defaultNow(),
})
