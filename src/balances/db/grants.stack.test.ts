/** The role of balances: what it may do, and that a rebuild, which its owner does, leaves it that. */
import { expect, test } from 'bun:test'
import pino from 'pino'
import { openDatabase } from '../../platform/postgres/database'
import { backing, log } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { comparable, privilegesOf } from '../../testing/privileges'
import { type Caller, callerOf, serviceConfig, startStack } from '../../testing/stack'
import { startBalances } from '../service'
import { grants } from './grants'

const open = (url: string) => {
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
  return Object.assign(database.sql, { [Symbol.asyncDispose]: () => database.close() })
}

test('the service reads and writes rows, and is refused everything else', async () => {
  await using stack = await startStack({ start: ['balances'] })
  await using service = open(stack.databases.balances.serviceUrl)
  const [role] = await service<{ name: string }[]>`select quote_ident(current_user) as name`
  expect(await privilegesOf(stack.databases.balances.url, role?.name ?? '')).toEqual(comparable(grants))
  for (const statement of [
    'update entries set balance_minor = 1',
    'truncate balances',
    'drop table balances',
    'alter table balances drop constraint balances_available',
    'insert into api_keys select * from api_keys',
    'update api_keys set revoked_at = null',
    'create schema shadow',
    'create table more (id int)',
    'create temporary table entries (id int)',
    "update drizzle.__drizzle_migrations set hash = 'another'",
  ]) {
    const outcome = await service.unsafe(statement).then(
      () => 'accepted',
      ({ code }) => code,
    )
    expect([statement, outcome]).toEqual([statement, '42501'])
  }
})

const reaches = (caller: Caller, state: string) =>
  eventually(async () => expect((await caller.get('/rebuild')).body).toMatchObject({ state }))

test('rights outlive swap and rollback; without the owner a rebuild is seen, and not started', async () => {
  const shared = await backing()
  const database = await shared.createDatabase('balances', 'balances', true)
  const topicPrefix = shared.topicPrefix()
  const settings = { database, brokers: shared.brokers, topicPrefix, seed: true }
  const config = serviceConfig('balances', settings)
  await using owner = open(database.url)

  // As before there was a role: the owner alone.
  const alone = { ...config, database: { ...config.database, url: database.url, migrationUrl: undefined } }
  const lines: string[] = []
  const first = await startBalances(alone, pino({}, { write: (line: string) => lines.push(line) }))
  expect(lines.join('\n')).toContain('set DATABASE_URL to a role of its own')
  await callerOf('balances', first.port).post('/rebuild', {})
  await reaches(callerOf('balances', first.port), 'swapped')
  await first.stop()

  const second = await startBalances(config, log)
  const unprivileged = { ...config.database, migrationUrl: undefined }
  const third = await startBalances({ ...config, database: unprivileged, migrateOnStart: false }, log)
  try {
    const role = decodeURIComponent(new URL(database.serviceUrl).username)
    const [caller, other] = [callerOf('balances', second.port), callerOf('balances', third.port)]
    const expectRights = async () => {
      expect(await privilegesOf(database.url, `"${role}"`)).toEqual(comparable(grants))
      expect((await privilegesOf(database.url, 'pg_monitor')).entries).toEqual(['select'])
      for (const one of [caller, other]) expect((await one.get('/balances')).status).toBe(200)
    }
    // The rights of others, such as for reports, are kept as well.
    await owner`grant select on entries to pg_monitor`
    await reaches(other, 'swapped')
    expect(await other.post('/rebuild', {})).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('set MIGRATION_DATABASE_URL') },
    })
    expect((await caller.post('/rebuild', { action: 'rollback' })).status).toBe(202)
    await expectRights()
    expect((await caller.post('/rebuild', {})).status).toBe(202)
    await reaches(other, 'swapped')
    await expectRights()
    expect((await caller.post('/rebuild', { action: 'rollback' })).status).toBe(202)
    await reaches(other, 'rolled_back')
    await expectRights()
  } finally {
    await Promise.all([second.stop(), third.stop()])
  }
})
