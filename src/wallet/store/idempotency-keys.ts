/** Keys that callers have used, and what came of them. They are written by `append`, beside what they answer for. */
import { arrayOf, type Statements } from '../../platform/database'
import { type IdempotencyKey, nameOf } from '../domain/idempotency'
import type { Rejection } from '../domain/transfer'
import type { StoredTransaction } from './transactions'

/** For this long a key is remembered, in hours. After that it is new. Published in the documentation. */
export const keyHours = 24

export type KeyAnswer = { accepted: true; transaction: StoredTransaction } | { accepted: false; rejection: Rejection }
export type KeyRow = IdempotencyKey & { answer: KeyAnswer }
export type StoredKey = { fingerprint: string; answer: KeyAnswer }

/** Those of the keys that are in use, by name. Expired ones are removed on the way, so that their names can be taken again. */
export async function loadKeys(sql: Statements, keys: IdempotencyKey[]): Promise<Map<string, StoredKey>> {
  if (keys.length === 0) return new Map()
  const asked = sql`unnest(
    ${arrayOf(keys.map((key) => key.scope))}::text[], ${arrayOf(keys.map((key) => key.key))}::text[]
  ) as asked (scope, key)`
  const rows = await sql`
    with expired as (
      delete from idempotency_keys using ${asked}
      where idempotency_keys.scope = asked.scope and idempotency_keys.key = asked.key
        and idempotency_keys.created_at < now() - make_interval(hours => ${keyHours})
    )
    select used.scope, used.key, used.fingerprint, used.rejection, transactions.*
    from ${asked}
    join idempotency_keys as used on used.scope = asked.scope and used.key = asked.key
    left join transactions on transactions.id = used.transaction_id
    where used.created_at >= now() - make_interval(hours => ${keyHours})`
  return new Map(
    rows.map((row) => [
      nameOf({ scope: row.scope, key: row.key }),
      {
        fingerprint: row.fingerprint,
        answer: row.rejection
          ? { accepted: false, rejection: row.rejection }
          : {
              accepted: true,
              transaction: {
                id: row.id,
                kind: row.kind,
                accountIdFrom: row.account_id_from,
                accountIdTo: row.account_id_to,
                versionFrom: row.version_from,
                versionTo: row.version_to,
                amountMinor: row.amount_minor,
                currency: row.currency,
                reference: row.reference,
                effectiveAt: new Date(row.effective_at),
                createdAt: new Date(row.created_at),
              },
            },
      },
    ]),
  )
}

/** Removes keys that are past their time, a bounded number at once. Answers how many. */
export async function removeExpiredKeys(sql: Statements, limit: number): Promise<number> {
  const { count } = await sql`
    delete from idempotency_keys where (scope, key) in (
      select scope, key from idempotency_keys
      where created_at < now() - make_interval(hours => ${keyHours})
      order by created_at
      limit ${limit}
    )`
  return count
}
