/** `keys`: the API keys of a service. A new token is shown once, alone on standard output. */
import { appendFileSync } from 'node:fs'
import { listKeys, type StoredKey } from '../access/keys-store'
import { type CreatedKey, createKey, type KeyTerms, newKey, revokeKey, rollKey } from '../access/manage'
import { envPattern, namePattern } from '../access/token'
import { environmentOf, readOwnerUrl, remedyOf, type ServiceName } from '../config/config'
import { canonicalId } from '../contract/id'
import { parseInstant } from '../contract/time'
import { messageOf, SetupError } from '../platform/fault'
import { isScope, type Scope, scopes } from '../platform/http/scope'
import type { Database } from '../platform/postgres/database'
import { violation } from '../platform/postgres/failures'
import { type Command, type Context, defineCommand, serviceOf, serviceOption, withDatabase } from './command'
import { anyText, refuse, value, valueOr, values } from './options'

const timeExample = '2026-01-31T00:00:00.000Z'
const keyExample = {
  id: '0190163d-8694-739b-aea5-966c26f8ad91',
  name: 'shop',
  key: 'saldo_live_AbCd…',
  scopes: ['read', 'write'],
  accounts: null,
  client: null,
  expires_at: null,
}
const nameRule = 'is the actor: 1 to 64 letters, digits and . _ @ -, beginning with one'
const scopesRule = `is one or more of ${scopes.join(',')}`

const service = serviceOption
const expires = value(
  '90d|TIME',
  'ends after so many minutes, hours or days (30m, 24h, 90d), or at a time',
  expiryOf,
)

const create = defineCommand({
  about: 'makes a key, and prints its token once',
  options: {
    service,
    name: value('NAME', 'the actor; required', parseName),
    scopes: value('SCOPES', `one or more of ${scopes.join(',')}; required`, scopesOf),
    account: values('ID', 'only requests about this account', idOf),
    client: value('ID', 'only requests about this client and its accounts', idOf),
    expires,
    env: valueOr('live', 'ENV', 'the part of the token after saldo_', parseEnv),
    'entry-file': value('FILE', 'appends the key to a file for API_KEYS_FILE; no database is used', anyText),
  },
  exclusive: [['service', 'entry-file']],
  examples: [
    'saldo keys create --service wallet --name shop --scopes read,write',
    'docker compose exec wallet saldo keys create --name dashboard --scopes read --expires 90d',
  ],
  json: { example: { token: 'saldo_live_…', ...keyExample } },
  interrupted: 'The key was made if its token was printed. `saldo keys list` shows it.',
  async run(options, context) {
    const terms = termsOf(options)
    const file = options['entry-file']
    if (file !== undefined) {
      const created = newKey(terms)
      appendEntry(file, created)
      return showToken(created, context)
    }
    refuseWhereUnchecked(options.service, context)
    const [key, isFirst] = await withKeys(options.service, context, async (sql) => {
      const made = await createKey(sql, terms)
      return [made, (await listKeys(sql)).length === 1] as const
    })
    await showToken(key, context)
    if (isFirst) console.error(firstKey)
    return 0
  },
})

const list = defineCommand({
  about: 'shows all keys, without their tokens',
  options: { service },
  json: {
    example: [
      {
        ...keyExample,
        state: 'valid',
        created_at: timeExample,
        revoked_at: null,
        last_used_on: '2026-01-31',
      },
    ],
  },
  async run(options, context) {
    const all = await withKeys(options.service, context, (sql) => listKeys(sql))
    if (context.json) await context.print(JSON.stringify(all.map(presentKey)))
    else for (const line of tableOf(all)) await context.print(line)
    return 0
  },
})

const target = [{ name: 'NAME|ID', about: 'the name of a key, or its id' }]

const revoke = defineCommand({
  about: 'ends a key, or all of a name',
  options: { service },
  positionals: target,
  examples: ['saldo keys revoke --service wallet shop'],
  json: { example: { revoked: [{ id: keyExample.id, name: keyExample.name }] } },
  interrupted: 'The key was revoked if it was said. `saldo keys list` shows it.',
  async run(options, context) {
    const [key = ''] = context.positionals
    const revoked = await withKeys(options.service, context, (sql) => revokeKey(sql, key))
    for (const { name, id } of revoked)
      console.error(`Key ${name} (${id}) is revoked. Services refuse it within five seconds.`)
    const shown = revoked.map(({ id, name }) => ({ id, name }))
    if (context.json) await context.print(JSON.stringify({ revoked: shown }))
    return 0
  },
})

const roll = defineCommand({
  about: 'makes a new key on the terms of another, which stays valid for a while',
  options: {
    service,
    overlap: valueOr(
      '24h',
      'DURATION',
      'how long the former key stays valid: 30m, 24h, 90d; 0m ends it',
      parseOverlap,
    ),
    expires,
  },
  positionals: target,
  examples: ['saldo keys roll --service wallet shop --overlap 1h'],
  json: create.json,
  interrupted: 'The key was made if its token was printed. `saldo keys list` shows it.',
  async run({ service, overlap, expires }, context) {
    const [key = ''] = context.positionals
    const { text, ms: overlapMs } = overlap
    const created = await withKeys(service, context, (sql) =>
      rollKey(sql, key, { overlapMs, expiresAt: expires }),
    )
    await showToken(created, context)
    console.error(
      overlapMs === 0
        ? 'The former key has ended. Services refuse it within five seconds.'
        : `The former key stays valid for ${text}.`,
    )
    return 0
  },
})

export const keys: Command = {
  about: 'creates, lists, rolls and revokes the API keys of a service',
  details: [
    'Only the owner of the database may: MIGRATION_DATABASE_URL. docs/security.md#api-keys.',
    'With AUTH=off, as in compose.yaml, none is made: the service would not check it, nor start again.',
  ],
  verbs: { create, list, revoke, roll },
}

const firstKey =
  'It is the first key of this service, which from now on refuses requests without one: ' +
  'docs/security.md says when, and what AUTH changes.'

/** Throws `SetupError`. With a key, also a revoked one, a service with `AUTH=off` does not start again. */
function refuseWhereUnchecked(named: ServiceName | undefined, { env }: Context): void {
  if (environmentOf(env, serviceOf(named, env)).AUTH !== 'off') return
  throw new SetupError(
    'No key was made. AUTH is off: keys are not checked, and the service refuses to start once there ' +
      'is one. Set AUTH=keys and start the service with it first.',
  )
}

async function withKeys<T>(
  named: ServiceName | undefined,
  { env, signal }: Context,
  work: (sql: Database['sql']) => Promise<T>,
): Promise<T> {
  const service = serviceOf(named, env)
  const own = environmentOf(env, service)
  const [url, remedy] = [readOwnerUrl(own, service), remedyOf(own, ['DATABASE_URL'])]
  return withDatabase({ name: 'keys', service, url, remedy, signal }, async ({ sql }) => {
    try {
      return await work(sql)
    } catch (error) {
      if (violation(error)?.sqlState !== '42501') throw error
      throw new SetupError('Only the owner of the database makes keys: set MIGRATION_DATABASE_URL to it.')
    }
  })
}

type TermsOptions = {
  name: string | undefined
  scopes: Scope[] | undefined
  account: string[]
  client: string | undefined
  expires: string | undefined
  env: string
}

/** Throws `UsageError`. */
function termsOf({ name, scopes, account, client, expires, env }: TermsOptions): KeyTerms {
  if (name === undefined) refuse('name', `is missing: ${nameRule}`)
  if (scopes === undefined) refuse('scopes', `is missing: ${scopesRule}`)
  return {
    ...{ name, env, scopes },
    accountIds: account.length > 0 ? account : null,
    clientId: client ?? null,
    expiresAt: expires ?? null,
  }
}

function parseName(name: string): string {
  if (!namePattern.test(name)) throw new Error(nameRule)
  return name
}

function parseEnv(env: string): string {
  if (!envPattern.test(env)) throw new Error('is 1 to 12 small letters and digits')
  return env
}

function scopesOf(list: string): Scope[] {
  const named = list.split(',').map((one) => one.trim())
  if (!named.every(isScope)) throw new Error(scopesRule)
  return scopes.filter((scope) => named.includes(scope))
}

function idOf(id: string): string {
  if (!/^\S{1,255}$/.test(id)) throw new Error('must be an id')
  return canonicalId(id)
}

const unitsMs = { m: 60_000, h: 3_600_000, d: 86_400_000 }

function durationOf(duration: string): number {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(duration) ?? []
  if (unit === undefined) throw new Error('is a number of minutes, hours or days: 30m, 24h, 90d')
  return Number(count) * unitsMs[unit as keyof typeof unitsMs]
}

function parseOverlap(text: string): { text: string; ms: number } {
  return { text, ms: durationOf(text) }
}

function expiryOf(expires: string): string {
  const instant = parseInstant(expires)
  const atMs = instant?.ms ?? Date.now() + durationOf(expires)
  if (atMs <= Date.now()) throw new Error('is in the past')
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
async function showToken({ token, key }: CreatedKey, { json, print }: Context): Promise<number> {
  await print(json ? JSON.stringify({ token, ...presentTerms(key) }) : token)
  console.error(`Key ${key.name} (${key.id}): ${describe(key)}. The token is not shown again.`)
  return 0
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
