/** Writes decided transfers: everything that belongs to a batch, in one statement. */
import { arrayOf, isConnectionLost, type Statements, violation } from '../../platform/database'
import type { Transfer } from '../domain/transfer'
import type { KeyRow } from './idempotency-keys'
import { insertOutbox, type OutboxRow } from './outbox'

export type Changes = { transfers: Transfer[]; keys: KeyRow[]; outbox: OutboxRow[]; createdAt: string }

/** What became of an append that did not succeed. */
export type AppendFailure =
  /** Another writer was first. Nothing was written: read and decide again. */
  | 'version_taken'
  /** The connection went away before the answer came. Everything was written, or nothing. */
  | 'outcome_unknown'

/**
 * Appends entries, snapshots, transactions, used keys and outbox rows, or nothing at all: as one statement it is atomic whatever becomes of the
 * connection, and holds no lock while anybody thinks. Two writers that read the same version of an account collide on the primary key of
 * `entries`. Throws what `classifyAppendFailure` tells apart.
 */
export async function append(sql: Statements, changes: Changes): Promise<void> {
  const { transfers, keys, createdAt } = changes
  if (transfers.length === 0 && keys.length === 0) return

  // Sorted, so that writers who want the same rows ask for them in the same order and wait rather than deadlock.
  const entries = transfers
    .flatMap(({ transactionId, entryFrom, entryTo }) => [
      { ...entryFrom, transactionId },
      { ...entryTo, transactionId },
    ])
    .sort((a, b) => (a.accountId < b.accountId ? -1 : a.accountId > b.accountId ? 1 : Number(a.version - b.version)))
  const latest = entries.filter((entry, index) => entries[index + 1]?.accountId !== entry.accountId)

  await sql`
    with appended_entries as (
      insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, created_at)
      select account_id, version, transaction_id, amount_minor, balance_minor, ${createdAt}::timestamptz
      from unnest(
        ${arrayOf(entries.map((entry) => entry.accountId))}::uuid[],
        ${arrayOf(entries.map((entry) => entry.version))}::bigint[],
        ${arrayOf(entries.map((entry) => entry.transactionId))}::uuid[],
        ${arrayOf(entries.map((entry) => entry.amountMinor))}::bigint[],
        ${arrayOf(entries.map((entry) => entry.balanceMinor))}::bigint[]
      ) as entry (account_id, version, transaction_id, amount_minor, balance_minor)
    ), moved_snapshots as (
      update accounts
      set balance_minor = latest.balance_minor, version = latest.version, updated_at = ${createdAt}::timestamptz
      from unnest(
        ${arrayOf(latest.map((entry) => entry.accountId))}::uuid[],
        ${arrayOf(latest.map((entry) => entry.version))}::bigint[],
        ${arrayOf(latest.map((entry) => entry.balanceMinor))}::bigint[]
      ) as latest (account_id, version, balance_minor)
      where accounts.id = latest.account_id
    ), appended_transactions as (
      insert into transactions (
        id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, currency, reference, effective_at, created_at
      )
      select
        id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, currency, reference,
        ${createdAt}::timestamptz, ${createdAt}::timestamptz
      from unnest(
        ${arrayOf(transfers.map((transfer) => transfer.transactionId))}::uuid[],
        ${arrayOf(transfers.map((transfer) => transfer.kind))}::text[],
        ${arrayOf(transfers.map((transfer) => transfer.accountIdFrom))}::uuid[],
        ${arrayOf(transfers.map((transfer) => transfer.accountIdTo))}::uuid[],
        ${arrayOf(transfers.map((transfer) => transfer.entryFrom.version))}::bigint[],
        ${arrayOf(transfers.map((transfer) => transfer.entryTo.version))}::bigint[],
        ${arrayOf(transfers.map((transfer) => transfer.amountMinor))}::bigint[],
        ${arrayOf(transfers.map((transfer) => transfer.currency))}::text[],
        ${arrayOf(transfers.map((transfer) => transfer.reference))}::text[]
      ) as transfer (
        id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, currency, reference
      )
    ), used_keys as (
      insert into idempotency_keys (scope, key, fingerprint, transaction_id, rejection, created_at)
      select scope, key, fingerprint, transaction_id, rejection, ${createdAt}::timestamptz
      from unnest(
        ${arrayOf(keys.map((row) => row.scope))}::text[],
        ${arrayOf(keys.map((row) => row.key))}::text[],
        ${arrayOf(keys.map((row) => row.fingerprint))}::text[],
        ${arrayOf(keys.map(({ answer }) => (answer.accepted ? answer.transaction.id : null)))}::uuid[],
        ${arrayOf(keys.map(({ answer }) => (answer.accepted ? null : answer.rejection)))}::text[]
      ) as used (scope, key, fingerprint, transaction_id, rejection)
    )
    ${insertOutbox(sql, changes.outbox)}`
}

const takenByAnother = new Set([
  'entries_pkey',
  // Of a batch whose first try did succeed after all.
  'transactions_pkey',
  // The same key, at the same time, at another wallet.
  'idempotency_keys_pkey',
])

/** Tells whether reading and deciding again can help. Undefined for anything else, which is a bug or a broken ledger. */
export function classifyAppendFailure(error: unknown): AppendFailure | undefined {
  if (isConnectionLost(error)) return 'outcome_unknown'
  const { sqlState, constraint } = violation(error) ?? {}
  if (sqlState === '23505' && constraint && takenByAnother.has(constraint)) return 'version_taken'
  // Two batches that wait for each other's keys. The server ended one of them.
  if (sqlState === '40P01') return 'version_taken'
  return undefined
}
