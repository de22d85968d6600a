import { expect, spyOn, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isWellFormed } from '../access/token'
import { keyEntries } from '../config/api-keys'
import { SetupError, UsageError } from '../platform/fault'
import { backing } from '../testing/backing'
import { runCommand } from '../testing/command'
import { eventually } from '../testing/eventually'
import { type Caller, startStack } from '../testing/stack'
import { keys } from './keys'

/** What it prints, and the exit code or the error. */
async function run(env: Record<string, string | undefined>, ...args: string[]) {
  const err: string[] = []
  const spy = spyOn(console, 'error').mockImplementation((text) => void err.push(text))
  try {
    const { code, out } = await runCommand(keys, args, env)
    return { code, out, err: err.join('\n'), error: undefined }
  } catch (error) {
    return { code: undefined, out: [], err: err.join('\n'), error: error as Error }
  } finally {
    spy.mockRestore()
  }
}

const statusOf = async (caller: Caller, token: string | undefined, path = '/accounts') =>
  (await caller.get(path, token === undefined ? {} : { authorization: `Bearer ${token}` })).status

test('a key from its creation to its end, with the service that runs meanwhile', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const { wallet } = stack
  const env = { DATABASE_URL: stack.databases.wallet.url }
  const key = (...args: string[]) => run(env, ...args, '--service', 'wallet')
  expect(await statusOf(wallet, undefined)).toBe(200)
  expect((await key('list')).out).toEqual(['No keys.'])

  const created = await key('create', '--name', 'dashboard', '--scopes', 'read', '--env', 'test')
  const [first = '', ...more] = created.out
  expect([isWellFormed(first), first.slice(0, 11), more, created.code]).toEqual([true, 'saldo_test_', [], 0])
  const [about, firstKey] = created.err.split('\n')
  expect(about).toMatch(/^Key dashboard \(\S+\): read; does not expire\. .*not shown again\.$/)
  expect(firstKey).toMatch(
    /^It is the first key of this service, which from now on refuses requests without one/,
  )
  // At once, although the service has not read its keys since; and the others are locked out.
  expect(await statusOf(wallet, first)).toBe(200)
  await eventually(async () => expect(await statusOf(wallet, undefined)).toBe(401))
  const write = await wallet.post('/clients', {}, { authorization: `Bearer ${first}` })
  expect([write.status, write.body.code]).toEqual([403, 'INSUFFICIENT_SCOPE'])
  expect((await key('create', '--name', 'dashboard', '--scopes', 'read')).error).toBeInstanceOf(SetupError)

  const rolled = await key('roll', 'dashboard', '--json', '--expires', '30d')
  const { token: second, ...terms } = JSON.parse(rolled.out[0] ?? '')
  expect(terms).toMatchObject({ name: 'dashboard', scopes: ['read'], expires_at: expect.any(String) })
  expect(await Promise.all([first, second].map((token) => statusOf(wallet, token)))).toEqual([200, 200])
  expect((await key('roll', 'dashboard', '--overlap', '0m')).err).toContain('The former key has ended.')
  await eventually(async () => expect(await statusOf(wallet, first)).toBe(401))

  const list = async () => JSON.parse((await key('list', '--json')).out[0] ?? '') as Record<string, string>[]
  // The day of the last use is written by the service, which may do nothing else with keys.
  const today = new Date().toISOString().slice(0, 10)
  await eventually(async () => expect((await list())[0]?.last_used_on).toBe(today))
  expect((await list()).map(({ name, state }) => [name, state])).toEqual([
    ['dashboard', 'expired'],
    ['dashboard', 'expired'],
    ['dashboard', 'valid'],
  ])
  const lines = (await key('list')).out
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatch(/^dashboard {2}saldo_test_\w{4}… {2}expired {2}last used \S+ {2}read; expires /)
  expect(lines.join()).not.toContain(first)

  const another = await key('create', '--name', 'other', '--scopes', 'read,write')
  expect(another.err).not.toContain('first key')
  const fourth = another.out[0] as string
  expect(await statusOf(wallet, fourth)).toBe(200)
  expect((await key('revoke', 'other')).err).toMatch(/^Key other \(\S+\) is revoked\./)
  await eventually(async () => expect(await statusOf(wallet, fourth)).toBe(401))
  expect((await key('revoke', 'other')).error).toBeInstanceOf(SetupError)
})

test('only the owner of the database makes keys', async () => {
  await using stack = await startStack({ start: ['wallet'] })
  const env = { DATABASE_URL: stack.databases.wallet.serviceUrl }
  const create = ['create', '--service', 'wallet', '--name', 'a', '--scopes', 'admin']
  expect((await run(env, ...create)).error?.message).toMatch(/owner of the database.*MIGRATION_DATABASE_URL/)
  const owner = { ...env, MIGRATION_DATABASE_URL: stack.databases.wallet.url }
  expect((await run(owner, ...create)).code).toBe(0)
})

test('where AUTH is off no key is made, since the service would not start with one', async () => {
  const create = ['create', '--name', 'a', '--scopes', 'read']
  // Before any database is asked: there is none.
  const { error, out } = await run(
    { SERVICE: 'wallet', AUTH: 'off', DATABASE_URL: 'postgres://a@127.0.0.1:1/a' },
    ...create,
  )
  expect([error?.message, out]).toEqual([
    expect.stringMatching(/^No key was made\. AUTH is off.*AUTH=keys/),
    [],
  ])
  expect(error).toBeInstanceOf(SetupError)
})

test('an entry in a file has everything but the token, and needs no database', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-keys-'))
  const file = join(folder, 'keys.jsonl')
  try {
    const create = (...args: string[]) =>
      run({}, 'create', '--scopes', 'write', ...args, '--entry-file', file)
    const account = 'D6A41403-BBD0-11EE-8A24-0242AC120003'
    const [token = ''] = (await create('--name', 'a', '--account', account, '--client', 'c')).out
    await create('--name', 'b', '--expires', '2030-01-31T00:00:00Z')
    const text = await Bun.file(file).text()
    expect(keyEntries(text)).toMatchObject([
      { name: 'a', scopes: ['write'], accountIds: [account.toLowerCase()], clientId: 'c', expiresAt: null },
      { name: 'b', accountIds: null, clientId: null, expiresAt: '2030-01-31T00:00:00.000Z' },
    ])
    expect([isWellFormed(token), text.includes(token), statSync(file).mode & 0o777]).toEqual([
      true,
      false,
      0o600,
    ])
    const nowhere = await run({}, 'create', '--name', 'a', '--scopes', 'read', '--entry-file', folder)
    expect(nowhere.error?.message).toMatch(/^The entry cannot be written: EISDIR/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

const named = ['--service', 'wallet', '--name', 'a']
test.each([
  [['create', '--service', 'wallet', '--scopes', 'read'], /--name/],
  [['create', '--service', 'wallet', '--scopes', 'read', '--name', 'a b'], /--name is the actor/],
  [['create', ...named], /--scopes/],
  [['create', ...named, '--scopes', 'read,'], /--scopes/],
  [['create', ...named, '--scopes', 'all'], /--scopes/],
  [['create', ...named, '--scopes', 'read', '--env', 'LIVE'], /--env/],
  [['create', ...named, '--scopes', 'read', '--expires', 'soon'], /--expires is a number/],
  [['create', ...named, '--scopes', 'read', '--expires', '2020-01-01T00:00:00Z'], /--expires is in the past/],
  [['create', ...named, '--scopes', 'read', '--account', 'a b'], /--account must be an id/],
  [['create', '--name', 'a', '--scopes', 'read'], /Say --service wallet or --service balances/],
  [['create', '--name', 'a', '--scopes', 'read', '--service', 'ledger'], /--service must be one of/],
  [['create', '--name', 'a', '--name', 'b'], /--name is given twice/],
  [['revoke', '--service', 'wallet'], /NAME\|ID is missing/],
  [['revoke', '--service', 'wallet', 'a', '--json=no'], /--json takes no value/],
  [['create', ...named, '--scopes', 'read', '--entry-file', 'keys'], /--service and --entry-file contradict/],
  [['roll', '--service', 'wallet', 'a', 'b'], /Unexpected argument "b"/],
  [['roll', '--service', 'wallet', 'a', '--overlap', '1w'], /--overlap is a number/],
])('%j is not understood', async (args, reason) => {
  const { error } = await run({}, ...args)
  expect(error).toBeInstanceOf(UsageError)
  expect(error?.message).toMatch(reason)
})

test('a database that is not there, or has no keys yet, is named with the remedy', async () => {
  const absent = await run({ POSTGRES_PORT: '1' }, 'list', '--service', 'balances')
  expect(absent.error?.message).toMatch(/npm start/)
  const { url } = await (await backing()).createDatabase('empty')
  const empty = await run({ DATABASE_URL: url }, 'list', '--service', 'wallet')
  expect(empty.error?.message).toMatch(/MIGRATE_ON_START/)
})
