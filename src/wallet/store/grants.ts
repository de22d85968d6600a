/** What the wallet's database role may do with each table. What is not here is the owner's: above all, to change or delete what happened. */
import type { Grants } from '../../platform/service-role'

export const grants = {
  accounts: ['select', 'insert', 'update'],
  applied_seeds: ['select', 'insert'],
  clients: ['select', 'insert'],
  deliveries: ['select', 'insert', 'delete'],
  entries: ['select', 'insert'],
  holds: ['select', 'insert', 'update'],
  idempotency_keys: ['select', 'insert', 'delete'],
  outbox: ['select', 'insert', 'delete'],
  transactions: ['select', 'insert'],
} as const satisfies Grants
