/** Creates, revokes and rolls API keys: by the owner of the database, from a terminal. */
import { randomUUIDv7 } from 'bun'
import { SetupError } from '../platform/fault'
import type { Scope } from '../platform/http/scope'
import type { Database } from '../platform/postgres/database'
import type { Statements } from '../platform/postgres/statements'
import { expireKeys, insertKey, lockValidKeys, type NewKey, revokeKeys, type StoredKey } from './keys-store'
import { createToken } from './token'

export type KeyTerms = {
  name: string
  env: string
  scopes: Scope[]
  accountIds: string[] | null
  clientId: string | null
  expiresAt: string | null
}

/** The token is in no other place. */
export type CreatedKey = { token: string; key: NewKey }

export function newKey(terms: KeyTerms): CreatedKey {
  const { token, hash, hint } = createToken(terms.env)
  return { token, key: { ...terms, id: randomUUIDv7(), hash, hint } }
}

type Sql = Database['sql']

/** Throws `SetupError` where the name is taken by a valid key: one actor, one key. */
export async function createKey(sql: Sql, terms: KeyTerms): Promise<CreatedKey> {
  const created = newKey(terms)
  await sql.begin(async (tx) => {
    const [taken] = await lockValidKeys(tx, terms.name)
    if (taken)
      throw new SetupError(`There is a valid key ${terms.name} (${taken.id}). Roll it, or use another name.`)
    await insertKey(tx, created.key)
  })
  return created
}

/** Those that are revoked: the key of an id, or all of a name. Throws `SetupError` where there is none. */
export async function revokeKey(sql: Sql, idOrName: string): Promise<StoredKey[]> {
  return (await sql.begin(async (tx) => {
    const keys = await findValid(tx, idOrName)
    await revokeKeys(tx, idsOf(keys))
    return keys
  })) as StoredKey[]
}

export type RollOptions = {
  /** How long the former keys stay valid. */
  overlapMs: number
  /** Of the new key. Undefined: as long as the former one was to be valid. */
  expiresAt: string | undefined
}

/** A new key of the same terms. The former ones of its name end after the overlap. */
export async function rollKey(
  sql: Sql,
  idOrName: string,
  { overlapMs, expiresAt }: RollOptions,
): Promise<CreatedKey> {
  return (await sql.begin(async (tx) => {
    const [former] = await findValid(tx, idOrName)
    const created = newKey({ ...former, expiresAt: expiresAt ?? renewed(former) })
    await expireKeys(tx, idsOf(await lockValidKeys(tx, former.name)), overlapMs)
    await insertKey(tx, created.key)
    return created
  })) as CreatedKey
}

async function findValid(tx: Statements, idOrName: string): Promise<[StoredKey, ...StoredKey[]]> {
  const [first, ...others] = await lockValidKeys(tx, idOrName)
  if (!first) throw new SetupError(`There is no valid key ${idOrName}: saldo keys list shows all.`)
  return [first, ...others]
}

const idsOf = (keys: readonly StoredKey[]): string[] => keys.map(({ id }) => id)

function renewed({ createdAt, expiresAt, readAt }: StoredKey): string | null {
  if (expiresAt === null) return null
  const lifetimeMs = Date.parse(expiresAt) - Date.parse(createdAt)
  return new Date(Date.parse(readAt) + lifetimeMs).toISOString()
}
