/** The table of API keys, which each service has in its own database. */
import { sql } from 'drizzle-orm'
import { check, date, pgTable, text, timestamp, uniqueIndex, uuid } from 'drizzle-orm/pg-core'

const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'string' })

/** Only the owner of the database writes it. No row is deleted, so that a refusal can say why. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: uuid().primaryKey(),
    /** The actor of what is done with it. A roll keeps it. */
    name: text().notNull(),
    /** The part of the token that says what it is for: `live`, `test`. */
    env: text().notNull(),
    /** SHA-256 of the token, in hex. */
    hash: text().notNull(),
    /** The start of the secret, for lists. */
    hint: text().notNull(),
    scopes: text().array().notNull(),
    /** The accounts to which it is restricted, beside those of the client. Both null: no restriction. */
    accountIds: text('account_ids').array(),
    clientId: text('client_id'),
    createdAt: time('created_at').notNull().default(sql`now()`),
    expiresAt: time('expires_at'),
    revokedAt: time('revoked_at'),
    /** No finer than a day, so that using a key is not a write. */
    lastUsedOn: date('last_used_on', { mode: 'string' }),
  },
  (table) => [
    uniqueIndex('api_keys_hash').on(table.hash),
    check('api_keys_hash_form', sql`${table.hash} ~ '^[0-9a-f]{64}$'`),
    check('api_keys_name', sql`${table.name} ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$'`),
    check(
      'api_keys_scopes',
      sql`cardinality(${table.scopes}) > 0 and ${table.scopes} <@ array['read', 'write', 'admin', 'metrics']`,
    ),
  ],
)
