/**
 * Appends a batch in one statement: all of it or nothing, even when the connection is lost. It holds
 * no lock across round trips. Two writers that read the same version of an account collide on the
 * primary key of `entries`.
 */
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

/** Why an append failed. */
export type AppendFailure =
  /** Another writer was first. Nothing was written: load and decide again. */
  | 'version_taken'
  /** The connection was lost before the answer. Everything was written, or nothing. */
  | 'outcome_unknown'
  /** The database cannot write: a full disk, a revoked right. Nothing was written; an operator has to act. */
  | 'unavailable'

/**
 * Entries, transactions, holds, used keys and outbox rows; a trigger updates the account snapshots.
 * See `classifyAppendFailure` for the errors.
 */
export async function append(sql: Statements, { facts, keys, outbox, createdAt }: Changes): Promise<void> {
  if (facts.length === 0 && keys.length === 0) return

  // Sorted, so that concurrent writers cannot deadlock.
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

// The parts below are left out when they are empty: each would add a tenth to the cost of a single
// transfer.

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

const conflicts = new Set([
  'entries_pkey',
  // An earlier try of the batch succeeded after all.
  'transactions_pkey',
  // Another wallet executed a request under the same key at the same time.
  'idempotency_keys_pkey',
])

/** Undefined when trying again cannot help: a bug, or a corrupt ledger. */
export function classifyAppendFailure(error: unknown): AppendFailure | undefined {
  if (error instanceof Fault && error.code === 'outcome_unknown') return 'outcome_unknown'
  const { sqlState, constraint } = violation(error) ?? {}
  if (sqlState === '23505' && constraint && conflicts.has(constraint)) return 'version_taken'
  switch (databaseFailure(error)) {
    case 'connection_lost':
      return 'outcome_unknown'
    // A deadlock over idempotency keys, or a lock timeout: the server cancelled the statement.
    case 'contention':
      return 'version_taken'
    case 'unavailable':
      return 'unavailable'
    default:
      return undefined
  }
}

/** Blocks for a session-level advisory lock, released when the connection is lost. */
export async function acquireContentionLock(sql: Statements): Promise<void> {
  await sql`select pg_advisory_lock(${advisoryLocks.contention})`
}

/** However often it was acquired. */
export async function releaseContentionLock(sql: Statements): Promise<void> {
  await sql`select pg_advisory_unlock_all()`.catch(() => undefined)
}

/** Appends and rolls back. */
export async function dryRunAppend({ sql }: Pick<Database, 'sql'>, changes: Changes): Promise<void> {
  const rollback = new Error('dry run: rolled back')
  await sql
    .begin(async (tx) => {
      await append(tx, changes)
      throw rollback
    })
    .catch((error) => {
      if (error !== rollback) throw error
    })
}
