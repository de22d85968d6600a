/** API keys in the environment, as `saldo keys create --entry-file` writes them: lines, or a list. */
import type { Parser } from './parsers'

const scopes = ['read', 'write', 'admin', 'metrics'] as const

export type KeyEntry = {
  id: string
  name: string
  /** SHA-256 of the token, in hex. The token itself is nowhere but at its holder. */
  hash: string
  scopes: (typeof scopes)[number][]
  accountIds: string[] | null
  clientId: string | null
  expiresAt: string | null
}

/** No message repeats a value: a token may have been put where its hash belongs. */
export const keyEntries: Parser<KeyEntry[]> = (value) => {
  const entries = valuesOf(value).map((entry, index) => {
    const fault = faultOf(entry)
    if (fault !== undefined) throw new Error(`${expected}, but entry ${index + 1} ${fault}`)
    return entryOf(entry as Written)
  })
  for (const member of ['id', 'hash'] as const)
    if (new Set(entries.map((entry) => entry[member])).size < entries.length)
      throw new Error(`${expected}, but two of them have the same ${member}`)
  return entries
}

const expected = 'must be API keys as "saldo keys create --entry-file" writes them'

function valuesOf(value: string): unknown[] {
  const text = value.trim()
  try {
    if (text.startsWith('[')) return JSON.parse(text)
    return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [JSON.parse(line)]))
  } catch {
    throw new Error(`${expected}: a JSON object in each line, or a list of them`)
  }
}

type Written = {
  id: string
  name: string
  hash: string
  scopes: KeyEntry['scopes']
  accounts?: string[] | null
  client?: string | null
  expires_at?: string | null
}

/** What is wrong with an entry. A member that is not known may have been meant as a limit. */
function faultOf(entry: unknown): string | undefined {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return 'is not an object'
  const given = entry as Record<string, unknown>
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(members, name))
  // Not by name, which may be a token.
  if (unknown !== undefined) return `has a member other than ${Object.keys(members).join(', ')}`
  const bad = Object.entries(members).find(([name, isValid]) => !isValid(given[name] ?? null))
  return bad && `has no valid ${bad[0]}`
}

const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value)
const orNull = (isValid: (value: unknown) => boolean) => (value: unknown) => value === null || isValid(value)
const listOf = (isValid: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length > 0 && value.every(isValid)
const id = matches(/^\S{1,255}$/)

/** Without a zone it would be the time of this machine, and a day that is none would be a later one. */
const isUtcTime = (value: unknown): boolean =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value) &&
  !Number.isNaN(Date.parse(value)) &&
  new Date(value).toISOString().startsWith(value.slice(0, 19))

const members: Record<keyof Written, (value: unknown) => boolean> = {
  id: matches(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  name: matches(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/),
  hash: matches(/^[0-9a-f]{64}$/),
  scopes: listOf((value) => scopes.some((scope) => scope === value)),
  accounts: orNull(listOf(id)),
  client: orNull(id),
  expires_at: orNull(isUtcTime),
}

const entryOf = ({ accounts = null, client = null, expires_at = null, ...entry }: Written): KeyEntry => ({
  ...entry,
  accountIds: accounts,
  clientId: client,
  expiresAt: expires_at,
})
