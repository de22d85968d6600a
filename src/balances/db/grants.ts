/** Rights of the database role of balances, by table. Only the owner can create, alter or drop one. */
import type { Grants } from '../../platform/postgres/service-role'

export const grants = {
  // Only the owner makes and ends keys.
  api_keys: ['select', 'update (last_used_on)'],
  applied_seeds: ['select', 'insert (name)'],
  // What a restored ledger has lost is deleted, here and from the entries.
  balances: ['select', 'insert', 'update', 'delete'],
  changes: ['select', 'insert', 'delete'],
  clients: ['select', 'insert', 'update', 'delete'],
  consumed_offsets: ['select', 'insert', 'update'],
  dead_letters: ['select', 'insert', 'update', 'delete'],
  // Derived once, from the event of its version.
  entries: ['select', 'insert', 'delete'],
  idempotency_keys: ['select', 'insert', 'update', 'delete'],
  ledger_epochs: ['select', 'insert', 'update'],
  large_movements: ['select', 'insert'],
  reaction_last_records: ['select', 'insert', 'update', 'delete'],
  // Evidence: what was found stays found.
  reconciliations: ['select', 'insert'],
  signed_events: ['select', 'insert', 'delete'],
} as const satisfies Grants
