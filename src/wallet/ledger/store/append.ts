/** Writes what was decided: everything that belongs to a batch, in one statement. */

import { Fault } from '../../../platform/fault'
import type { Database } from '../../../platform/postgres/database'
import { databaseFailure, violation } from '../../../platform/postgres/failures'
import { advisoryLocks } from '../../../platform/postgres/locks'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import type { Hold } from '../../domain/hold'
import type { Fact, Transaction } from '../../domain/movement'
import { insertOutbox, type OutboxRow } from '../../outbox/outbox-store'
import { insertKeys, type KeyRow, storedOutcome } from './idempotency-keys'

export type Changes = { facts: Fact[]; keys: KeyRow[]; outbox: OutboxRow[]; createdAt: Date }

/** What became of an append that did not succeed. */
export type AppendFailure =
  /** Another writer was first. Nothing was written: read and decide again. */
  | 'version_taken'
  /** The connection went away before the answer came. Everything was written, or nothing. */
  | 'outcome_unknown'
  /**
   * The database cannot do its work: a full disk, a right that is gone. Nothing was written, nor
   * will be until somebody helps it.
   */
  | 'unavailable'

/**
 * Appends entries, transactions, holds, used keys and outbox rows, or nothing at all, and a trigger
 * moves the snapshots: as one statement it is atomic whatever becomes of the connection, and holds
 * no lock while anybody thinks. Two writers that read the same version of an account collide on the
 * primary key of `entries`. Throws what `classifyAppendFailure` tells apart.
 */
export async function append(sql: Statements, { facts, keys, outbox, createdAt }: Changes): Promise<void> {
  if (facts.length === 0 && keys.length === 0) return
  const at = createdAt.toISOString()

  // Sorted, so that writers who want the same rows ask for them in the same order and wait rather
  // than deadlock.
  const entries = facts
    .flatMap((fact) => fact.entries.map((entry) => ({ ...entry, transactionId: fact.id })))
    .sort((a, b) =>
      a.accountId < b.accountId ? -1 : a.accountId > b.accountId ? 1 : Number(a.version - b.version),
    )
  const transactions = facts.flatMap(({ transaction }) => transaction ?? [])
  const holds = new Map(facts.flatMap(({ hold }) => (hold ? [[hold.id, hold] as const] : [])))

  await sql`
    with appended_entries as (
      insert into entries (account_id, version, transaction_id, amount_minor, balance_minor, held_minor, created_at)
      select account_id, version, transaction_id, amount_minor, balance_minor, held_minor, ${at}::timestamptz
      from unnest(
        ${arrayOf(entries.map((entry) => entry.accountId))}::uuid[],
        ${arrayOf(entries.map((entry) => entry.version))}::bigint[],
        ${arrayOf(entries.map((entry) => entry.transactionId))}::uuid[],
        ${arrayOf(entries.map((entry) => entry.amountMinor))}::bigint[],
        ${arrayOf(entries.map((entry) => entry.balanceMinor))}::bigint[],
        ${arrayOf(entries.map((entry) => entry.heldMinor))}::bigint[]
      ) as entry (account_id, version, transaction_id, amount_minor, balance_minor, held_minor)
    )
    ${transactions.length > 0 ? appendTransactions(sql, transactions, at) : sql``}
    ${holds.size > 0 ? appendHolds(sql, [...holds.values()]) : sql``}
    ${keys.length > 0 ? appendKeys(sql, keys) : sql``}
    ${insertOutbox(sql, outbox)}`
}

// The parts below are left out where they have nothing to do: each would cost a lone transfer a
// tenth of its time.

const appendTransactions = (sql: Statements, rows: Transaction[], at: string) => sql`
  , appended_transactions as (
    insert into transactions (
      id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, currency, reference, metadata,
      reverses, hold_id, effective_at, created_at
    )
    select
      id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, currency, reference, metadata::json,
      reverses, hold_id, coalesce(effective_at::timestamptz, ${at}::timestamptz), ${at}::timestamptz
    from unnest(
      ${arrayOf(rows.map((row) => row.id))}::uuid[],
      ${arrayOf(rows.map((row) => row.kind))}::text[],
      ${arrayOf(rows.map((row) => row.accountIdFrom))}::uuid[],
      ${arrayOf(rows.map((row) => row.accountIdTo))}::uuid[],
      ${arrayOf(rows.map((row) => row.versionFrom))}::bigint[],
      ${arrayOf(rows.map((row) => row.versionTo))}::bigint[],
      ${arrayOf(rows.map((row) => row.amountMinor))}::bigint[],
      ${arrayOf(rows.map((row) => row.currency))}::text[],
      ${arrayOf(rows.map((row) => row.reference))}::text[],
      ${arrayOf(rows.map((row) => jsonOf(row.metadata)))}::text[],
      ${arrayOf(rows.map((row) => row.reverses))}::uuid[],
      ${arrayOf(rows.map((row) => row.holdId))}::uuid[],
      ${arrayOf(rows.map((row) => timeOf(row.effectiveAt, row.createdAt)))}::text[]
    ) as transaction (
      id, kind, account_id_from, account_id_to, version_from, version_to, amount_minor, currency, reference, metadata,
      reverses, hold_id, effective_at
    )
  )`

/** As they stand: one that is there already has ended by now. */
const appendHolds = (sql: Statements, rows: Hold[]) => sql`
  , appended_holds as (
    insert into holds (
      id, account_id_from, account_id_to, amount_minor, currency, reference, metadata, expires_at, created_at, version_placed,
      status, captured_minor, ended_by, ended_at, version_ended
    )
    select
      id, account_id_from, account_id_to, amount_minor, currency, reference, metadata::json, expires_at::timestamptz,
      created_at::timestamptz, version_placed, status, captured_minor, ended_by, ended_at::timestamptz, version_ended
    from unnest(
      ${arrayOf(rows.map((row) => row.id))}::uuid[],
      ${arrayOf(rows.map((row) => row.accountIdFrom))}::uuid[],
      ${arrayOf(rows.map((row) => row.accountIdTo))}::uuid[],
      ${arrayOf(rows.map((row) => row.amountMinor))}::bigint[],
      ${arrayOf(rows.map((row) => row.currency))}::text[],
      ${arrayOf(rows.map((row) => row.reference))}::text[],
      ${arrayOf(rows.map((row) => jsonOf(row.metadata)))}::text[],
      ${arrayOf(rows.map((row) => row.expiresAt.toISOString()))}::text[],
      ${arrayOf(rows.map((row) => row.createdAt.toISOString()))}::text[],
      ${arrayOf(rows.map((row) => row.versionPlaced))}::bigint[],
      ${arrayOf(rows.map((row) => row.status))}::text[],
      ${arrayOf(rows.map((row) => row.capturedMinor))}::bigint[],
      ${arrayOf(rows.map((row) => row.endedBy))}::uuid[],
      ${arrayOf(rows.map((row) => row.endedAt?.toISOString()))}::text[],
      ${arrayOf(rows.map((row) => row.versionEnded))}::bigint[]
    ) as hold (
      id, account_id_from, account_id_to, amount_minor, currency, reference, metadata, expires_at, created_at, version_placed,
      status, captured_minor, ended_by, ended_at, version_ended
    )
    on conflict (id) do update set
      status = excluded.status, captured_minor = excluded.captured_minor, ended_by = excluded.ended_by,
      ended_at = excluded.ended_at, version_ended = excluded.version_ended
  )`

const appendKeys = (sql: Statements, keys: KeyRow[]) => sql`
  , used_keys as (${insertKeys(
    sql,
    keys.map((row) => ({ ...row, stored: row.outcomes.map(storedOutcome) })),
  )})`

const jsonOf = (metadata: object | null): string | null => (metadata ? JSON.stringify(metadata) : null)

/** Null where it goes without saying. */
const timeOf = (time: Date, unless: Date): string | null =>
  time.getTime() === unless.getTime() ? null : time.toISOString()

const takenByAnother = new Set([
  'entries_pkey',
  // Of a batch whose first try did succeed after all.
  'transactions_pkey',
  // The same key, at the same time, at another wallet.
  'idempotency_keys_pkey',
])

/**
 * Tells whether reading and deciding again can help. Undefined for anything else, which is a bug or
 * a broken ledger.
 */
export function classifyAppendFailure(error: unknown): AppendFailure | undefined {
  if (error instanceof Fault && error.code === 'outcome_unknown') return 'outcome_unknown'
  const { sqlState, constraint } = violation(error) ?? {}
  if (sqlState === '23505' && constraint && takenByAnother.has(constraint)) return 'version_taken'
  switch (databaseFailure(error)) {
    case 'connection_lost':
      return 'outcome_unknown'
    // Two batches that wait for each other's keys, or somebody has been waited for too long. The
    // server ended the wait.
    case 'contention':
      return 'version_taken'
    case 'unavailable':
      return 'unavailable'
    default:
      return undefined
  }
}

/**
 * Waits until nobody else of this database has the turn. It belongs to the session: whoever loses
 * the connection loses the turn.
 */
export async function takeTurn(sql: Statements): Promise<void> {
  await sql`select pg_advisory_lock(${advisoryLocks.contention})`
}

/** However often it was taken. */
export async function endTurn(sql: Statements): Promise<void> {
  await sql`select pg_advisory_unlock_all()`.catch(() => undefined)
}

/** Writes, and takes it back. */
export async function appendInVain({ sql }: Pick<Database, 'sql'>, changes: Changes): Promise<void> {
  const over = new Error('taken back')
  await sql
    .begin(async (tx) => {
      await append(tx, changes)
      throw over
    })
    .catch((error) => {
      if (error !== over) throw error
    })
}
