/** Writes what was decided: everything that belongs to a batch, in one statement. */

import { Fault } from '../../../platform/fault'
import type { Database } from '../../../platform/postgres/database'
import { databaseFailure, violation } from '../../../platform/postgres/failures'
import { advisoryLocks } from '../../../platform/postgres/locks'
import { rowStatements } from '../../../platform/postgres/rows'
import type { Statements } from '../../../platform/postgres/statements'
import * as tables from '../../db/schema'
import type { Fact, Hold, Transaction } from '../../domain/types'
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
    with appended_entries as (${entryRows.insert(sql, entries, { createdAt })})
    ${transactions.length > 0 ? appendTransactions(sql, transactions, createdAt) : sql``}
    ${holds.size > 0 ? appendHolds(sql, [...holds.values()]) : sql``}
    ${keys.length > 0 ? appendKeys(sql, keys) : sql``}
    ${insertOutbox(sql, outbox)}`
}

const entryRows = rowStatements(
  tables.entries,
  ['accountId', 'version', 'transactionId', 'amountMinor', 'balanceMinor', 'heldMinor'],
  { shared: ['createdAt'] },
)
const transactionRows = rowStatements(
  tables.transactions,
  [
    ...([
      'id',
      'kind',
      'accountIdFrom',
      'accountIdTo',
      'versionFrom',
      'versionTo',
      'amountMinor',
      'currency',
    ] as const),
    ...(['reference', 'metadata', 'reverses', 'holdId', 'effectiveAt'] as const),
  ],
  { shared: ['createdAt'] },
)
const holdRows = rowStatements(tables.holds, [
  ...(['id', 'accountIdFrom', 'accountIdTo', 'amountMinor', 'currency', 'reference', 'metadata'] as const),
  ...(['expiresAt', 'createdAt', 'status', 'versionPlaced'] as const),
  ...(['capturedMinor', 'endedBy', 'endedAt', 'versionEnded'] as const),
])

// The parts below are left out where they have nothing to do: each would cost a lone transfer a
// tenth of its time.

const appendTransactions = (sql: Statements, rows: Transaction[], createdAt: Date) => sql`
  , appended_transactions as (${transactionRows.insert(sql, rows, { createdAt })})`

/** A hold that exists has ended by now: only how is updated. */
const appendHolds = (sql: Statements, rows: Hold[]) => sql`
  , appended_holds as (
    ${holdRows.insert(sql, rows)}
    on conflict (id) do update set
      status = excluded.status, captured_minor = excluded.captured_minor, ended_by = excluded.ended_by,
      ended_at = excluded.ended_at, version_ended = excluded.version_ended
  )`

const appendKeys = (sql: Statements, keys: KeyRow[]) => sql`
  , used_keys as (${insertKeys(
    sql,
    keys.map((row) => ({ ...row, stored: row.results.map(storedOutcome) })),
  )})`

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
export async function acquireContentionLock(sql: Statements): Promise<void> {
  await sql`select pg_advisory_lock(${advisoryLocks.contention})`
}

/** However often it was taken. */
export async function releaseContentionLock(sql: Statements): Promise<void> {
  await sql`select pg_advisory_unlock_all()`.catch(() => undefined)
}

/** Writes, and takes it back. */
export async function dryRunAppend({ sql }: Pick<Database, 'sql'>, changes: Changes): Promise<void> {
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
