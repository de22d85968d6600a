/**
 * What the wallet's database role may do with each table. What is not here is the owner's: above
 * all, to change or delete what happened.
 */
import type { Grants } from '../../platform/postgres/service-role'

export const grants = {
  // A new account is empty, its limit is for ever, and what it holds follows from its entries: a
  // trigger writes that.
  accounts: ['select', 'insert (id, client_id, currency, overdraft_limit_minor, created_at, updated_at)'],
  applied_seeds: ['select', 'insert (name)'],
  clients: ['select', 'insert'],
  deliveries: ['select', 'insert', 'delete'],
  entries: ['select', 'insert'],
  holds: ['select', 'insert', 'update (status, captured_minor, ended_by, ended_at, version_ended)'],
  // Of those that have expired: the rest is kept by a policy of the table.
  idempotency_keys: ['select', 'insert', 'delete'],
  outbox: ['select', 'insert', 'delete'],
  transactions: ['select', 'insert'],
} as const satisfies Grants
