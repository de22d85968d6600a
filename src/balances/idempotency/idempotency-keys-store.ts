/** Used idempotency keys and the answers to their requests. Never part of a rebuild. */
import { type IdempotencyKey, keyHours, type UsedKey } from '../../platform/idempotency'
import type { Statements } from '../../platform/postgres/statements'

export async function findAnswer<Answer>(
  sql: Statements,
  { scope, key }: IdempotencyKey,
): Promise<UsedKey<Answer> | undefined> {
  const [used] = await sql<UsedKey<Answer>[]>`
    select fingerprint, answer from idempotency_keys
    where scope = ${scope} and key = ${key} and created_at >= now() - make_interval(hours => ${keyHours})`
  return used
}

/**
 * False, and nothing is stored, when the key is in use. It names its schema, because a transaction that
 * creates a shadow leaves the search path there.
 */
export async function insertAnswer(
  sql: Statements,
  { scope, key, fingerprint }: IdempotencyKey,
  answer: object,
): Promise<boolean> {
  const { count } = await sql`
    insert into public.idempotency_keys as used (scope, key, fingerprint, answer, created_at)
    values (${scope}, ${key}, ${fingerprint}, ${JSON.stringify(answer)}::text::json, now())
    on conflict (scope, key) do update set
      fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
    where used.created_at < now() - make_interval(hours => ${keyHours})`
  return count > 0
}

/** At once, more than are stored in a minute. */
const removedMax = 100_000

/** Deletes expired keys. */
export async function removeExpiredKeys(sql: Statements): Promise<void> {
  await sql`
    delete from idempotency_keys where (scope, key) in (
      select scope, key from idempotency_keys
      where created_at < now() - make_interval(hours => ${keyHours})
      order by created_at limit ${removedMax}
      for update skip locked
    )`
}
