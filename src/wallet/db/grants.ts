/** Rights of the wallet's database role, by table. Only the owner role can change or delete history. */
import type { Grants } from '../../platform/postgres/service-role'

export const grants = {
  // A new account is empty and open. A trigger derives the rest from entries and changes.
  accounts: [
    'select',
    'insert (id, client_id, currency, overdraft_limit_minor, actor, created_at, updated_at)',
  ],
  // Only the owner makes and ends keys.
  api_keys: ['select', 'update (last_used_on)'],
  append_deliveries: ['select', 'insert', 'delete'],
  applied_seeds: ['select', 'insert (name)'],
  changes: ['select', 'insert'],
  client_versions: ['select', 'insert'],
  // Triggers write the first version of a client, and copy later ones from there.
  clients: ['select', 'insert (id, actor, created_at, updated_at)'],
  // Nothing is added any more.
  deliveries: ['select', 'delete'],
  entries: ['select', 'insert'],
  // A trigger of an erasure inserts the row.
  erasures: ['select', 'update (purged_at)'],
  // Epochs are counted up, and never deleted.
  ledger_epochs: ['select', 'insert', 'update'],
  // A hold is extended by its changes alone.
  holds: [
    'select',
    `insert (${[
      ...['id', 'account_id_from', 'account_id_to', 'amount_minor', 'currency', 'reference', 'metadata'],
      ...['expires_at', 'created_at', 'status', 'captured_minor', 'ended_by', 'ended_at'],
      ...['version_placed', 'version_ended', 'actor', 'ended_actor'],
    ].join(', ')})`,
    'update (status, captured_minor, ended_by, ended_at, version_ended, ended_actor)',
  ],
  // A policy of the table limits the deletion to expired keys.
  idempotency_keys: ['select', 'insert', 'delete'],
  outbox: ['select', 'insert', 'delete'],
  // Written by a trigger, as the owner.
  outbox_events: ['select'],
  // A trigger of an erasure deletes the rows.
  personal_data: ['select', 'insert'],
  transactions: ['select', 'insert'],
} as const satisfies Grants
