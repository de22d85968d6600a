/** Used idempotency keys and their outcomes, each written in the statement that it stands for. */
import type { Database } from '../../../platform/postgres/database'
import { rowStatements } from '../../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import { idempotencyKeys } from '../../db/schema'
import type { CommandResult } from '../../domain/book'
import { asOpened } from '../../domain/creation'
import { asPlaced } from '../../domain/hold'
import { type IdempotencyKey, nameOf, type UsedKey } from '../../domain/idempotency'
import type { Rejection } from '../../domain/rejection'
import { loadAccounts, loadClients, loadHolds, loadTransactions } from './rows'

/** Retention. After that a key is new again. Published in the documentation. */
export const keyHours = 24

export type KeyRow = IdempotencyKey & { results: CommandResult[] }

/** A result as it is stored: by reference to an immutable row. */
type StoredOutcome = {
  [Kind in 'client' | 'account' | 'transaction' | 'placed' | 'ended']?: string
} & { rejection?: Rejection }

const keyRows = rowStatements(idempotencyKeys, ['scope', 'key', 'fingerprint', 'outcomes'])

/** Dated by the clock by which they expire. */
export const insertKeys = (sql: Statements, keys: KeyRow[]) => sql`
  insert into idempotency_keys (scope, key, fingerprint, outcomes, created_at)
  select scope, key, fingerprint, outcomes, now()
  from ${keyRows.unnest(
    sql,
    keys.map((row) => ({ ...row, outcomes: row.results.map(storedOutcome) })),
  )}`

type UsedRow = { scope: string; key: string; fingerprint: string; outcomes: StoredOutcome[] }

/**
 * The keys that are in use, by name, with the results of their commands. Deletes expired ones among
 * them, which can be used again.
 */
export async function loadKeys(
  database: Database,
  keys: IdempotencyKey[],
): Promise<Map<string, UsedKey<CommandResult[]>>> {
  if (keys.length === 0) return new Map()
  const { sql } = database
  const requested = sql`unnest(
    ${arrayOf(keys.map((key) => key.scope))}::text[], ${arrayOf(keys.map((key) => key.key))}::text[]
  ) as requested (scope, key)`
  const rows = await sql<UsedRow[]>`
    with expired as (
      delete from idempotency_keys using ${requested}
      where idempotency_keys.scope = requested.scope and idempotency_keys.key = requested.key
        and idempotency_keys.created_at < now() - make_interval(hours => ${keyHours})
    )
    select used.scope, used.key, used.fingerprint, used.outcomes
    from ${requested}
    join idempotency_keys as used on used.scope = requested.scope and used.key = requested.key
    where used.created_at >= now() - make_interval(hours => ${keyHours})`
  const resultOf = await loadResults(
    database,
    rows.flatMap((row) => row.outcomes),
  )
  return new Map(
    rows.map((row) => [nameOf(row), { fingerprint: row.fingerprint, answer: row.outcomes.map(resultOf) }]),
  )
}

function storedOutcome(result: CommandResult): StoredOutcome {
  if (result.kind === 'rejected') return { rejection: result.rejection }
  if (result.kind === 'transaction') return { transaction: result.transaction.id }
  if (result.kind === 'client') return { client: result.client.id }
  if (result.kind === 'account') return { account: result.account.id }
  return result.hold.status === 'placed' ? { placed: result.hold.id } : { ended: result.hold.id }
}

/** What `storedOutcome` stored, as it was answered. */
async function loadResults(database: Database, stored: StoredOutcome[]) {
  const idsOf = (kind: keyof StoredOutcome) => stored.flatMap((outcome) => outcome[kind] ?? [])
  const [clients, accounts, transactions, holds] = await Promise.all([
    loadClients(database, idsOf('client')),
    loadAccounts(database.sql, idsOf('account')),
    loadTransactions(database, idsOf('transaction')),
    loadHolds(database, [...idsOf('placed'), ...idsOf('ended')]),
  ])
  return ({ rejection, client, account, transaction, placed, ended }: StoredOutcome): CommandResult => {
    if (rejection) return { kind: 'rejected', rejection }
    if (client) return { kind: 'client', client: found(clients, client) }
    if (account) return { kind: 'account', account: asOpened(found(accounts, account)) }
    if (transaction) return { kind: 'transaction', transaction: found(transactions, transaction) }
    if (placed) return { kind: 'hold', hold: asPlaced(found(holds, placed)) }
    return { kind: 'hold', hold: found(holds, ended ?? '') }
  }
}

function found<T>(loaded: Map<string, T>, id: string): T {
  const one = loaded.get(id)
  if (!one) throw new Error(`${id} is recorded under an idempotency key but missing from the ledger`)
  return one
}

/** Deletes up to `limit` expired keys, and returns how many. Planned on each call, as `measureOutbox` is. */
export async function removeExpiredKeys(sql: Statements, limit: number): Promise<number> {
  const { count } = await sql.unsafe(
    `
    delete from idempotency_keys where (scope, key) in (
      select scope, key from idempotency_keys
      where created_at < now() - make_interval(hours => ${keyHours})
      order by created_at
      limit $1
    )`,
    [limit],
  )
  return count
}
