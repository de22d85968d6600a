/** API keys as the database has them. */
import type { Scope } from '../platform/http/scope'
import { arrayOf, type Statements } from '../platform/postgres/statements'

export type StoredKey = {
  id: string
  name: string
  env: string
  hash: string
  hint: string
  scopes: Scope[]
  accountIds: string[] | null
  clientId: string | null
  createdAt: string
  expiresAt: string | null
  revokedAt: string | null
  lastUsedOn: string | null
  /** The database's time at which it was read: by its clock keys expire. */
  readAt: string
}

/** As JSON: the driver does not know the types of lists, and makes a time of a date. */
const selectKeys = (sql: Statements) => sql`
  select id, name, env, hash, hint, to_json(scopes) as scopes, to_json(account_ids) as "accountIds",
    client_id as "clientId", created_at as "createdAt", expires_at as "expiresAt",
    revoked_at as "revokedAt", last_used_on::text as "lastUsedOn", clock_timestamp() as "readAt"
  from api_keys`

/** All that there ever were, the oldest first. */
export const listKeys = (sql: Statements): Promise<StoredKey[]> =>
  sql<StoredKey[]>`${selectKeys(sql)} order by created_at, id`

/** The day is the database's. A day that is noted already is not written again. */
export async function noteUse(sql: Statements, ids: readonly string[]): Promise<void> {
  await sql`
    update api_keys set last_used_on = current_date
    where id = any(${arrayOf(ids)}::uuid[]) and last_used_on is distinct from current_date`
}

export type NewKey = Omit<StoredKey, 'createdAt' | 'revokedAt' | 'lastUsedOn' | 'readAt'>

export async function insertKey(sql: Statements, key: NewKey): Promise<void> {
  await sql`
    insert into api_keys (id, name, env, hash, hint, scopes, account_ids, client_id, expires_at)
    values (
      ${key.id}, ${key.name}, ${key.env}, ${key.hash}, ${key.hint}, ${arrayOf(key.scopes)}::text[],
      ${key.accountIds && arrayOf(key.accountIds)}::text[], ${key.clientId}, ${key.expiresAt}::timestamptz
    )`
}

/**
 * Keys that can still be used, by their id or their name, the newest first. Locks the table, not the rows:
 * no key of the name is made meanwhile, either.
 */
export async function lockValidKeys(tx: Statements, idOrName: string): Promise<StoredKey[]> {
  await tx`lock table api_keys in share row exclusive mode`
  return tx<StoredKey[]>`${selectKeys(tx)}
    where (id::text = ${idOrName} or name = ${idOrName})
      and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
    order by created_at desc, id desc`
}

export async function revokeKeys(tx: Statements, ids: readonly string[]): Promise<void> {
  await tx`update api_keys set revoked_at = clock_timestamp() where id = any(${arrayOf(ids)}::uuid[])`
}

/** Lets keys expire after so many milliseconds, unless they do before. */
export async function expireKeys(tx: Statements, ids: readonly string[], afterMs: number): Promise<void> {
  await tx`
    update api_keys
    set expires_at = least(expires_at, clock_timestamp() + make_interval(secs => ${afterMs / 1000}))
    where id = any(${arrayOf(ids)}::uuid[])`
}
