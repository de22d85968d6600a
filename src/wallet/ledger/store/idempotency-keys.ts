/** Used idempotency keys and their outcomes, each written in the statement that it stands for. */
import { type IdempotencyKey, keyHours, nameOf, type UsedKey } from '../../../platform/idempotency'
import type { Database } from '../../../platform/postgres/database'
import { rowStatements } from '../../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import { idempotencyKeys } from '../../db/schema'
import type { CommandResult } from '../../domain/book'
import { asPlaced } from '../../domain/hold'
import type { Rejection } from '../../domain/rejection'
import { loadPastAccounts, loadPastClients, loadPastHolds, nameOfPast } from './past-rows'
import { loadHolds, loadTransactions } from './rows'

export type KeyRow = IdempotencyKey & { results: CommandResult[] }

/**
 * A result as it is stored: by reference to an immutable row. `version` is that of a client, an account
 * or an extended hold; without it, of a client 1 and of an account 0.
 */
type StoredOutcome = {
  [Kind in 'client' | 'account' | 'transaction' | 'placed' | 'ended' | 'version']?: string
} & { rejection?: Rejection; leg?: number }

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
  if (result.kind === 'rejected') {
    const { kind: _, ...rejected } = result
    return rejected
  }
  if (result.kind === 'transaction') return { transaction: result.legs[0].id }
  if (result.kind === 'client') {
    const { id, version } = result.client
    return { client: id, ...(version > 1n && { version: String(version) }) }
  }
  if (result.kind === 'account') {
    const { id, version } = result.account
    return { account: id, ...(version > 0n && { version: String(version) }) }
  }
  const { id, status, versionExtended } = result.hold
  if (status !== 'placed') return { ended: id }
  return { placed: id, ...(versionExtended !== null && { version: String(versionExtended) }) }
}

/** What `storedOutcome` stored, as it was answered. */
async function loadResults(database: Database, stored: StoredOutcome[]) {
  const idsOf = (kind: 'transaction' | 'placed' | 'ended') => stored.flatMap((outcome) => outcome[kind] ?? [])
  const past = (kind: 'client' | 'account' | 'placed') =>
    stored.flatMap((outcome) => {
      const id = outcome[kind]
      const version = outcome.version ?? first[kind]
      return id && version ? { id, version } : []
    })
  const { sql } = database
  const [clients, accounts, transactions, holds] = await Promise.all([
    loadPastClients(sql, past('client')),
    loadPastAccounts(sql, past('account')),
    loadTransactions(database, idsOf('transaction')),
    loadHolds(database, [...idsOf('placed'), ...idsOf('ended')]),
  ])
  const extended = await loadPastHolds(sql, past('placed'), holds)
  return (outcome: StoredOutcome): CommandResult => {
    const { rejection, leg, client, account, transaction, placed, ended, version } = outcome
    const at = (id: string, otherwise = '') => nameOfPast({ id, version: version ?? otherwise })
    if (rejection) return { kind: 'rejected', rejection, ...(leg !== undefined && { leg }) }
    if (client) return { kind: 'client', client: found(clients, at(client, first.client)) }
    if (account) return { kind: 'account', account: found(accounts, at(account, first.account)) }
    if (transaction) return { kind: 'transaction', legs: found(transactions, transaction) }
    if (placed && version) return { kind: 'hold', hold: found(extended, at(placed)) }
    if (placed) return { kind: 'hold', hold: asPlaced(found(holds, placed)) }
    return { kind: 'hold', hold: found(holds, ended ?? '') }
  }
}

const first = { client: '1', account: '0', placed: undefined }

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
