/** `keys`: the API keys of a service. A new token is shown once, alone on standard output. */
import { appendFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { listKeys, type StoredKey } from '../access/keys-store'
import { type CreatedKey, createKey, type KeyTerms, newKey, revokeKey, rollKey } from '../access/manage'
import { envPattern, namePattern } from '../access/token'
import { type Environment, readOwnerUrl, remedyOf, serviceNames } from '../config/config'
import { canonicalId } from '../contract/id'
import { parseInstant } from '../contract/time'
import { messageOf, SetupError, UsageError } from '../platform/fault'
import { isScope, type Scope, scopes } from '../platform/http/scope'
import type { Database } from '../platform/postgres/database'
import { violation } from '../platform/postgres/failures'
import { type Command, withDatabase } from './command'

export const keys: Command = {
  usage: 'keys create|list|revoke|roll …',
  about: `creates, lists, revokes and rolls the API keys of a service: docs/security.md
      create --service S --name NAME --scopes read,write,admin [--account ID …] [--client ID]
             [--expires 90d|TIME] [--env live] [--entry-file FILE] [--json]
      list   --service S [--json]
      revoke --service S NAME|ID
      roll   --service S NAME|ID [--overlap 24h] [--expires 90d|TIME] [--json]
      S is wallet or balances. --entry-file appends the key to a file for API_KEYS_FILE, without a database.`,
  async run([verb = '', ...args], env, signal) {
    const run = Object.hasOwn(verbs, verb) ? verbs[verb as keyof typeof verbs] : undefined
    if (!run) throw new UsageError('Say one of create, list, revoke and roll.')
    await run(args, (service, work) => withKeys(env, service, signal, work))
    return 0
  },
}

type WithKeys = <T>(service: string | undefined, work: (sql: Database['sql']) => Promise<T>) => Promise<T>

const [text, flag] = [{ type: 'string' }, { type: 'boolean', default: false }] as const
const common = { service: text, json: flag }

const verbs = {
  async create(args: string[], withKeys: WithKeys) {
    const many = { type: 'string', multiple: true } as const
    const { values } = parseArgs({
      args,
      options: {
        ...{ ...common, name: text, scopes: text, account: many, client: text },
        ...{ expires: text, env: text, 'entry-file': text },
      },
    })
    const { service, json, 'entry-file': file } = values
    const terms = termsOf(values)
    if (file === undefined) {
      const [key, isFirst] = await withKeys(service, async (sql) => {
        const made = await createKey(sql, terms)
        return [made, (await listKeys(sql)).length === 1] as const
      })
      showToken(key, json)
      if (isFirst) console.error(firstKey)
      return
    }
    const created = newKey(terms)
    appendEntry(file, created)
    showToken(created, json)
  },

  async list(args: string[], withKeys: WithKeys) {
    const { service, json } = parseArgs({ args, options: common }).values
    const all = await withKeys(service, (sql) => listKeys(sql))
    if (json) console.log(JSON.stringify(all.map(presentKey)))
    else for (const line of tableOf(all)) console.log(line)
  },

  async revoke(args: string[], withKeys: WithKeys) {
    const { values, positionals } = parseArgs({ args, options: common, allowPositionals: true })
    const target = targetOf(positionals)
    const revoked = await withKeys(values.service, (sql) => revokeKey(sql, target))
    for (const { name, id } of revoked)
      console.error(`Key ${name} (${id}) is revoked. Services refuse it within five seconds.`)
  },

  async roll(args: string[], withKeys: WithKeys) {
    const options = { ...common, overlap: text, expires: text }
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    const { service, json, overlap = '24h', expires } = values
    const [target, overlapMs] = [targetOf(positionals), durationOf('--overlap', overlap)]
    const expiresAt = expires === undefined ? undefined : expiryOf(expires)
    const created = await withKeys(service, (sql) => rollKey(sql, target, { overlapMs, expiresAt }))
    showToken(created, json)
    const isAtOnce = overlapMs === 0
    console.error(
      isAtOnce
        ? 'The former key has ended. Services refuse it within five seconds.'
        : `The former key stays valid for ${overlap}.`,
    )
  },
}

const firstKey =
  'It is the first key of this service, which from now on refuses requests without one: ' +
  'docs/security.md says when, and what AUTH changes.'

function targetOf(positionals: string[]): string {
  const [first, ...others] = positionals
  if (first === undefined || others.length > 0) throw new UsageError('Say one key, by its name or its id.')
  return first
}

async function withKeys<T>(
  env: Environment,
  service: string | undefined,
  signal: AbortSignal,
  work: (sql: Database['sql']) => Promise<T>,
): Promise<T> {
  const name = serviceNames.find((one) => one === (service ?? env.SERVICE))
  if (!name) throw new UsageError(`Say --service ${serviceNames.join(' or --service ')}.`)
  const url = readOwnerUrl(env, name)
  const remedy = remedyOf(env, ['DATABASE_URL'])
  return withDatabase({ name: 'keys', service: name, url, remedy, signal }, async ({ sql }) => {
    try {
      return await work(sql)
    } catch (error) {
      if (violation(error)?.sqlState !== '42501') throw error
      throw new SetupError('Only the owner of the database makes keys: set MIGRATION_DATABASE_URL to it.')
    }
  })
}

type TermsOptions = {
  name?: string | undefined
  scopes?: string | undefined
  account?: string[] | undefined
  client?: string | undefined
  expires?: string | undefined
  env?: string | undefined
}

/** Throws `UsageError`. */
function termsOf({ name, scopes: list, account, client, expires, env = 'live' }: TermsOptions): KeyTerms {
  if (name === undefined || !namePattern.test(name))
    throw new UsageError('--name is the actor: 1 to 64 letters, digits and . _ @ -, beginning with one.')
  if (!envPattern.test(env)) throw new UsageError('--env is 1 to 12 small letters and digits.')
  return {
    name,
    env,
    scopes: scopesOf(list),
    accountIds: account?.map(idOf) ?? null,
    clientId: client === undefined ? null : idOf(client),
    expiresAt: expires === undefined ? null : expiryOf(expires),
  }
}

function scopesOf(list = ''): Scope[] {
  const named = list.split(',').map((one) => one.trim())
  if (!named.every(isScope)) throw new UsageError(`--scopes is one or more of ${scopes.join(',')}.`)
  return scopes.filter((scope) => named.includes(scope))
}

function idOf(id: string): string {
  if (!/^\S{1,255}$/.test(id)) throw new UsageError('--account and --client are ids.')
  return canonicalId(id)
}

const unitsMs = { m: 60_000, h: 3_600_000, d: 86_400_000 }

function durationOf(option: string, duration: string): number {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(duration) ?? []
  if (unit === undefined)
    throw new UsageError(`${option} is a number of minutes, hours or days: 30m, 24h, 90d.`)
  return Number(count) * unitsMs[unit as keyof typeof unitsMs]
}

function expiryOf(expires: string): string {
  const instant = parseInstant(expires)
  const atMs = instant?.ms ?? Date.now() + durationOf('--expires', expires)
  if (atMs <= Date.now()) throw new UsageError('--expires is in the past.')
  return new Date(atMs).toISOString()
}

function appendEntry(file: string, { key }: CreatedKey): void {
  const { id, name, hash, scopes, accountIds, clientId, expiresAt } = key
  const entry = {
    ...{ id, name, hash, scopes },
    ...(accountIds && { accounts: accountIds }),
    ...(clientId !== null && { client: clientId }),
    ...(expiresAt !== null && { expires_at: expiresAt }),
  }
  try {
    appendFileSync(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 })
  } catch (error) {
    throw new SetupError(`The entry cannot be written: ${messageOf(error)}.`)
  }
}

/** The token alone on standard output, for scripts. */
function showToken({ token, key }: CreatedKey, json: boolean): void {
  console.log(json ? JSON.stringify({ token, ...presentTerms(key) }) : token)
  console.error(`Key ${key.name} (${key.id}): ${describe(key)}. The token is not shown again.`)
}

const describe = ({ scopes, accountIds, clientId, expiresAt }: Omit<KeyTerms, 'env'>): string =>
  [
    scopes.join(', '),
    ...(accountIds ? [`accounts ${accountIds.join(' and ')} only`] : []),
    ...(clientId === null ? [] : [`client ${clientId} only`]),
    expiresAt === null ? 'does not expire' : `expires ${expiresAt}`,
  ].join('; ')

const presentTerms = (key: Omit<CreatedKey['key'], 'hash'>) => ({
  id: key.id,
  name: key.name,
  key: `saldo_${key.env}_${key.hint}…`,
  scopes: key.scopes,
  accounts: key.accountIds,
  client: key.clientId,
  expires_at: key.expiresAt,
})

const presentKey = (key: StoredKey) => ({
  ...presentTerms(key),
  state: stateOf(key),
  created_at: key.createdAt,
  revoked_at: key.revokedAt,
  last_used_on: key.lastUsedOn,
})

function stateOf({ revokedAt, expiresAt, readAt }: StoredKey): 'valid' | 'revoked' | 'expired' {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && expiresAt <= readAt ? 'expired' : 'valid'
}

function tableOf(all: readonly StoredKey[]): string[] {
  if (all.length === 0) return ['No keys.']
  const rows = all.map((key) => [
    key.name,
    `saldo_${key.env}_${key.hint}…`,
    stateOf(key),
    key.lastUsedOn === null ? 'never used' : `last used ${key.lastUsedOn}`,
    describe(key),
    key.id,
  ])
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}
