/** Used idempotency keys and their outcomes, each written in the statement that it stands for. */
import type { Database } from '../../../platform/postgres/database'
import { rowStatements } from '../../../platform/postgres/rows'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import { idempotencyKeys } from '../../db/schema'
import type { CommandResult } from '../../domain/book'
import { asPlaced } from '../../domain/hold'
import { type IdempotencyKey, nameOf, type UsedKey } from '../../domain/idempotency'
import type { Rejection } from '../../domain/rejection'
import { loadHolds } from './holds'
import { loadTransactions } from './transactions'

/** Retention. After that a key is new again. Published in the documentation. */
export const keyHours = 24

export type KeyRow = IdempotencyKey & { results: CommandResult[] }
export type StoredKey = IdempotencyKey & { stored: StoredOutcome[] }

/** A result as it is stored: by reference to an immutable row. */
export type StoredOutcome =
  | { transaction: string }
  | { placed: string }
  | { ended: string }
  | { client: string }
  | { account: string }
  | { rejection: Rejection | 'client_not_found' }

const keyRows = rowStatements(idempotencyKeys, ['scope', 'key', 'fingerprint', 'outcomes'])

/** Dated by the clock by which they expire. */
export const insertKeys = (sql: Statements, keys: StoredKey[]) => sql`
  insert into idempotency_keys (scope, key, fingerprint, outcomes, created_at)
  select scope, key, fingerprint, outcomes, now()
  from ${keyRows.unnest(
    sql,
    keys.map((row) => ({ ...row, outcomes: row.stored })),
  )}`

type UsedRow = { scope: string; key: string; fingerprint: string; outcomes: StoredOutcome[] }

/** Reads the keys that are in use, and deletes expired ones among them, which can be used again. */
export async function loadUsedKeys(sql: Statements, keys: IdempotencyKey[]): Promise<UsedRow[]> {
  if (keys.length === 0) return []
  const requested = sql`unnest(
    ${arrayOf(keys.map((key) => key.scope))}::text[], ${arrayOf(keys.map((key) => key.key))}::text[]
  ) as requested (scope, key)`
  return sql<UsedRow[]>`
    with expired as (
      delete from idempotency_keys using ${requested}
      where idempotency_keys.scope = requested.scope and idempotency_keys.key = requested.key
        and idempotency_keys.created_at < now() - make_interval(hours => ${keyHours})
    )
    select used.scope, used.key, used.fingerprint, used.outcomes
    from ${requested}
    join idempotency_keys as used on used.scope = requested.scope and used.key = requested.key
    where used.created_at >= now() - make_interval(hours => ${keyHours})`
}

/** By name, with the results of their commands. */
export async function loadKeys(
  database: Database,
  keys: IdempotencyKey[],
): Promise<Map<string, UsedKey<CommandResult[]>>> {
  const rows = await loadUsedKeys(database.sql, keys)
  if (rows.length === 0) return new Map()

  const stored = rows.flatMap((row) => row.outcomes)
  const [transactions, holds] = await Promise.all([
    loadTransactions(
      database,
      stored.flatMap((outcome) => ('transaction' in outcome ? outcome.transaction : [])),
    ),
    loadHolds(
      database,
      stored.flatMap((outcome) =>
        'placed' in outcome ? outcome.placed : 'ended' in outcome ? outcome.ended : [],
      ),
    ),
  ])
  const resultOf = (outcome: StoredOutcome): CommandResult => {
    if ('rejection' in outcome) return { kind: 'rejected', rejection: outcome.rejection as Rejection }
    if ('transaction' in outcome)
      return { kind: 'transaction', transaction: found(transactions, outcome.transaction) }
    if ('ended' in outcome) return { kind: 'hold', hold: found(holds, outcome.ended) }
    if ('placed' in outcome) return { kind: 'hold', hold: asPlaced(found(holds, outcome.placed)) }
    throw new Error('the outcome under an idempotency key is not of a command')
  }
  return new Map(
    rows.map((row) => [nameOf(row), { fingerprint: row.fingerprint, answer: row.outcomes.map(resultOf) }]),
  )
}

export function storedOutcome(outcome: CommandResult): StoredOutcome {
  if (outcome.kind === 'rejected') return { rejection: outcome.rejection }
  if (outcome.kind === 'transaction') return { transaction: outcome.transaction.id }
  return outcome.hold.status === 'placed' ? { placed: outcome.hold.id } : { ended: outcome.hold.id }
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
