/**
 * Appends a batch in one statement: all of it or nothing, even when the connection is lost. It holds
 * no lock across round trips. Two writers that read the same version of an account collide on the
 * primary key of `entries`.
 */
import { Fault } from '../../../platform/fault'
import type { Database } from '../../../platform/postgres/database'
import { databaseFailure, violation } from '../../../platform/postgres/failures'
import { advisoryLocks } from '../../../platform/postgres/locks'
import { keysOf, rowStatements } from '../../../platform/postgres/rows'
import type { Statements } from '../../../platform/postgres/statements'
import * as tables from '../../db/schema'
import type { Change, Fact, Hold, Movement, Transaction } from '../../domain/types'
import type { OutboxEvent } from '../../outbox/lines'
import { insertOutbox, type PendingAppend } from '../../outbox/outbox-store'
import { insertKeys, type KeyRow } from './idempotency-keys'

/** `events`: of the facts. */
export type Changes = { facts: Fact[]; keys: KeyRow[]; events: OutboxEvent[]; createdAt: Date }

/** Why an append failed. */
export type AppendFailure =
  /** Another writer was first. Nothing was written: load and decide again. */
  | 'version_taken'
  /** The connection was lost before the answer. Everything was written, or nothing. */
  | 'outcome_unknown'
  /** The database cannot write: a full disk, a revoked right. Nothing was written; an operator has to act. */
  | 'unavailable'

/**
 * Clients, accounts, entries, transactions, holds, changes, used keys and the events; triggers update
 * the snapshots. Resolves with the events if all of them are in the outbox now, for the relay. See
 * `classifyAppendFailure` for the errors.
 */
export async function append(
  sql: Statements,
  { facts, keys, events, createdAt }: Changes,
): Promise<PendingAppend | undefined> {
  if (facts.length === 0 && keys.length === 0) return undefined

  const movements = facts.filter((fact) => 'entries' in fact)
  // Sorted, so that concurrent writers cannot deadlock.
  const entries = movements
    .flatMap((fact) => fact.entries.map((entry) => ({ ...entry, transactionId: fact.id })))
    .sort((a, b) =>
      a.accountId < b.accountId ? -1 : a.accountId > b.accountId ? 1 : Number(a.version - b.version),
    )
  const transactions = movements.flatMap(({ transaction }) => transaction ?? [])
  const holds = holdsToWrite(movements)
  const changes = movements.flatMap((fact) => ('change' in fact ? fact.change : []))

  const [row] = await sql<{ id: bigint; event_count: number }[]>`
    with appended_entries as (${entryRows.insert(sql, entries, { createdAt })})
    ${movements.length < facts.length ? appendCreations(sql, facts) : sql``}
    ${transactions.length > 0 ? appendTransactions(sql, transactions, createdAt) : sql``}
    ${holds.length > 0 ? appendHolds(sql, holds) : sql``}
    ${changes.length > 0 ? appendChanges(sql, changes, createdAt) : sql``}
    ${keys.length > 0 ? sql`, used_keys as (${insertKeys(sql, keys)})` : sql``}
    ${events.length > 0 ? insertOutbox(sql, events) : sql`select where false`}`
  return row?.event_count === events.length ? { id: row.id, events } : undefined
}

// Triggers write the rest of clients, accounts and holds.
const clientRows = rowStatements(
  tables.clients,
  keysOf(tables.clients, ['version', 'changedActor', 'erasedAt']),
)
const personalRows = rowStatements(tables.personalData, keysOf(tables.personalData))
const clientVersionRows = rowStatements(tables.clientVersions, keysOf(tables.clientVersions))
const accountRows = rowStatements(
  tables.accounts,
  keysOf(tables.accounts, [
    ...(['balanceMinor', 'heldMinor', 'version', 'status', 'openingLimitMinor', 'changedActor'] as const),
  ]),
)
const shared = ['createdAt'] as const
const entryRows = rowStatements(tables.entries, keysOf(tables.entries, shared), { shared })
const transactionRows = rowStatements(tables.transactions, keysOf(tables.transactions, shared), { shared })
const holdRows = rowStatements(
  tables.holds,
  keysOf(tables.holds, ['expiresAtPlaced', 'versionExtended', 'extendedActor']),
)
const changeRows = rowStatements(tables.changes, keysOf(tables.changes, shared), { shared })

// The parts below are left out when they are empty: each would add a tenth to the cost of a single
// transfer.

const appendCreations = (sql: Statements, facts: Fact[]) => {
  const clients = facts.flatMap((fact) => (fact.type === 'registration' ? fact.client : []))
  const updates = facts.flatMap(({ id, ...fact }) => {
    if (fact.type !== 'update' && fact.type !== 'erasure') return []
    const { id: clientId, version, changedActor: actor, updatedAt: createdAt } = fact.client
    return { id, clientId, version, actor, createdAt, isErasure: fact.type === 'erasure' }
  })
  const personal = facts.flatMap((fact) => {
    if (fact.type !== 'registration' && fact.type !== 'update') return []
    const { id: clientId, version, name, email } = fact.client
    return { clientId, version, name, email }
  })
  const accounts = facts.flatMap((fact) => (fact.type === 'opening' ? fact.accounts : []))
  return sql`
    , appended_clients as (${clientRows.insert(sql, clients)})
    , appended_personal_data as (${personalRows.insert(sql, personal)})
    , appended_versions as (${clientVersionRows.insert(sql, updates)})
    , appended_accounts as (${accountRows.insert(sql, accounts)})`
}

const appendTransactions = (sql: Statements, rows: Transaction[], createdAt: Date) => sql`
  , appended_transactions as (${transactionRows.insert(sql, rows, { createdAt })})`

const appendChanges = (sql: Statements, rows: Change[], createdAt: Date) => sql`
  , appended_changes as (${changeRows.insert(sql, rows, { createdAt })})`

/**
 * Holds that were placed or have ended, as they are after the last fact, with the expiry that they were
 * placed with: a trigger extends them.
 */
function holdsToWrite(movements: Movement[]): Hold[] {
  const holds = new Map<string, Hold>()
  for (const { type, hold } of movements)
    if (hold && (type !== 'extension' || holds.has(hold.id)))
      holds.set(hold.id, { ...hold, expiresAt: hold.expiresAtPlaced ?? hold.expiresAt })
  return [...holds.values()]
}

/** A hold that exists has ended by now: only how is updated. */
const appendHolds = (sql: Statements, rows: Hold[]) => sql`
  , appended_holds as (
    ${holdRows.insert(sql, rows)}
    on conflict (id) do update set
      status = excluded.status, captured_minor = excluded.captured_minor, ended_by = excluded.ended_by,
      ended_at = excluded.ended_at, version_ended = excluded.version_ended,
      ended_actor = excluded.ended_actor
  )`

const conflicts = new Set([
  'entries_pkey',
  // An earlier try of the batch succeeded after all.
  'transactions_pkey',
  'clients_pkey',
  'client_versions_pkey',
  'client_versions_id',
  'personal_data_pkey',
  // Both before the entry that collides as well.
  'changes_pkey',
  'changes_version',
  // Or another wallet opened the first account of a currency, and `world` with it, at the same time.
  'accounts_pkey',
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
