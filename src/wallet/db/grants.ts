/** Rights of the wallet's database role, by table. Only the owner role can change or delete history. */
import type { Grants } from '../../platform/postgres/service-role'

export const grants = {
  // A new account is empty, its limit never changes, and a trigger derives its balance from entries.
  accounts: ['select', 'insert (id, client_id, currency, overdraft_limit_minor, created_at, updated_at)'],
  applied_seeds: ['select', 'insert (name)'],
  clients: ['select', 'insert'],
  deliveries: ['select', 'insert', 'delete'],
  entries: ['select', 'insert'],
  holds: ['select', 'insert', 'update (status, captured_minor, ended_by, ended_at, version_ended)'],
  // A policy of the table limits the deletion to expired keys.
  idempotency_keys: ['select', 'insert', 'delete'],
  outbox: ['select', 'insert', 'delete'],
  transactions: ['select', 'insert'],
} as const satisfies Grants
