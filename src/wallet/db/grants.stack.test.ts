import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import pino from 'pino'
import postgres from 'postgres'
import type { ServiceConfig } from '../../config/config'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { comparable, privilegesOf } from '../../testing/privileges'
import { callerOf, serviceConfig } from '../../testing/stack'
import { eva, expectSoundLedger, frank, log, startWallets, type Wallets } from '../../testing/wallets'
import { startWallet } from '../service'
import { grants } from './grants'

const connect = (url: string) => {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end() })
}

/** The SQLSTATE that a statement is answered with. */
const codeOf = (query: PromiseLike<unknown>): Promise<string> =>
  Promise.resolve(query).then(
    () => 'accepted',
    (error) => error.code,
  )

const withDatabase = (config: ServiceConfig, database: Partial<ServiceConfig['database']>, more = {}) => ({
  ...config,
  ...more,
  database: { ...config.database, ...database },
})

/** Starts a wallet, transfers once, stops it, and answers what it logged from `level` on. */
async function visit(
  config: ServiceConfig,
  level: 'info' | 'warn' = 'info',
): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const service = await startWallet(
    config,
    pino({ level }, { write: (line: string) => lines.push(JSON.parse(line)) }),
  )
  try {
    const transfer = { account_id_from: eva, account_id_to: frank, amount: 1 }
    expect((await callerOf('wallet', service.port).post('/transactions', transfer)).status).toBe(201)
  } finally {
    await service.stop()
  }
  return lines
}

async function freshConfig(): Promise<ServiceConfig> {
  const shared = await backing()
  const database = await shared.createDatabase('grants')
  return serviceConfig('wallet', {
    database,
    brokers: shared.brokers,
    topicPrefix: shared.topicPrefix(),
    seed: true,
  })
}

test('the service reads and adds to what happened; the server lets it do nothing else with it', async () => {
  await using wallets = await startWallets()
  await using service = connect(wallets.config.database.url)
  const transfer = { account_id_from: eva, account_id_to: frank, amount: 100 }
  expect((await wallets.wallet.post('/transactions', transfer)).status).toBe(201)

  // To grant it to itself is not refused, and has no effect.
  await service`grant update, delete on entries, transactions to current_user`
  for (const statement of [
    'update entries set amount_minor = 1',
    'delete from entries',
    'truncate entries',
    'update transactions set amount_minor = 1',
    'delete from transactions',
    'truncate transactions',
    'update changes set version = 1',
    'truncate client_versions',
    // Change data capture treats an update as an error.
    'update outbox set events = events',
    'alter table entries disable trigger all',
    'alter table transactions disable trigger transactions_append_only',
    'drop trigger entries_append_only on entries',
    `create or replace function refuse_change() returns trigger language plpgsql
    as $$ begin return null; end $$`,
    'drop table entries',
    'create table more (id int)',
    'set session_replication_role = replica',
    "update drizzle.__drizzle_migrations set hash = 'another'",
  ])
    expect([statement, await codeOf(service.unsafe(statement))]).toEqual([statement, '42501'])
  expect(Number((await service`select count(*) from entries`)[0]?.count)).toBe(2 * 18)
  await expectSoundLedger(wallets)
})

test('the service role has exactly the rights in grants.ts, also after an upgrade', async () => {
  await using wallets = await startWallets()
  await using service = connect(wallets.config.database.url)
  const [role] = await service`select quote_ident(current_user) as name`
  const granted = () => privilegesOf(wallets.config.database.migrationUrl ?? '', role?.name)
  const wanted = comparable(grants)
  expect(await granted()).toEqual(wanted)

  await wallets.sql.unsafe(
    `grant update, delete on entries to ${role?.name}; revoke insert on outbox from ${role?.name}`,
  )
  const unmigrated = { ...wallets.config, migrateOnStart: false }
  await expect(startWallet(unmigrated, log)).rejects.toThrow(
    /may not: insert outbox\. .*MIGRATION_DATABASE_URL/,
  )
  expect(await visit(wallets.config, 'warn')).toEqual([])
  expect(await granted()).toEqual(wanted)
  await visit(withDatabase(unmigrated, { migrationUrl: undefined }))

  // Column rights as well, and those of PUBLIC.
  await wallets.sql.unsafe(
    `grant update (overdraft_limit_minor) on accounts to ${role?.name};
    revoke update (ended_at) on holds from ${role?.name};
    grant temporary on database ${new URL(wallets.config.database.url).pathname.slice(1)} to public;
    grant create on schema public to public;
    grant execute on function assert_hold to public`,
  )
  await service`alter role current_user set search_path = elsewhere`
  await expect(startWallet(unmigrated, log)).rejects.toThrow(/may not: update holds \(ended_at\)\. /)
  await wallets.sql.unsafe(`grant update (ended_at) on holds to ${role?.name}`)
  const [warning] = await visit(unmigrated, 'warn')
  expect(warning).toMatchObject({
    beyond: [
      'begin its sessions with search_path=elsewhere',
      'call assert_hold',
      'create tables',
      'create temporary tables',
      'update accounts (overdraft_limit_minor)',
    ].join(', '),
  })
  await service`alter role current_user reset search_path`
  await wallets.sql.unsafe('revoke execute on function assert_hold from public')
  expect(await visit(wallets.config, 'warn')).toEqual([])
  expect(await granted()).toEqual(wanted)
})

// A role may set all of these for itself, and the next session begins with them.
const settings = [
  'extra_float_digits = -15',
  'array_nulls = off',
  'row_security = off',
  "DateStyle = 'German, DMY'",
  "TimeZone = 'Asia/Kathmandu'",
  'standard_conforming_strings = off',
  'transform_null_equals = on',
  "bytea_output = 'escape'",
  'default_transaction_isolation = serializable',
  'default_transaction_read_only = on',
  'search_path = elsewhere',
  'statement_timeout = 1',
  'lock_timeout = 1',
  'idle_session_timeout = 100',
]
describe('a role that begins its sessions with', () => {
  // Each has its turn on one database, with a wallet of its own.
  let wallets: Wallets
  beforeAll(async () => {
    wallets = await startWallets()
  })
  afterAll(() => wallets[Symbol.asyncDispose]())

  test.each(settings)('%s moves, dates and reads the same', async (setting) => {
    await using service = connect(wallets.config.database.url)
    const before = await wallets.made()
    await service.unsafe(`alter role current_user set ${setting}`)
    await using _set = {
      [Symbol.asyncDispose]: async () => void (await service`alter role current_user reset all`),
    }
    const started = await startWallet(wallets.config, log)
    try {
      const caller = callerOf('wallet', started.port)
      const key = { 'idempotency-key': `after ${before}` }
      const [fromMs, transfer] = [Date.now(), { account_id_from: eva, account_id_to: frank, amount: 1.25 }]
      const paid = await caller.post('/transactions', transfer, key)
      expect([paid.status, paid.body.code]).toEqual([201, undefined])
      expect((await caller.post('/transactions', transfer, key)).body).toEqual(paid.body)
      expect(Math.abs(Date.parse(paid.body.created_at as string) - fromMs)).toBeLessThan(30_000)
      expect((await caller.get(`/transactions/${paid.body.id}`)).body).toMatchObject(paid.body)
      expect((await caller.get('/readyz')).body).toMatchObject({ checks: { writer: { status: 'pass' } } })
      expect(await wallets.made()).toBe(before + 1)
    } finally {
      await started.stop()
    }
    await expectSoundLedger(wallets)
  })
})

test('one address is enough: the service works as the owner, and says so', async () => {
  const { database, ...rest } = await freshConfig()
  const alone = {
    ...rest,
    database: { ...database, url: database.migrationUrl ?? '', migrationUrl: undefined },
  }
  const lines = await visit(alone)
  expect(lines.filter(({ msg }) => /MIGRATION_DATABASE_URL/.test(String(msg)))).toMatchObject([
    { level: 30, beyond: 'everything, as an owner of the tables' },
  ])
  // A later version takes the rights away from the service, and leaves the owner its own.
  expect(await visit({ ...rest, database }, 'warn')).toEqual([])
  expect(await visit(alone, 'warn')).toEqual([])
})

test('a service that is a superuser or the owner after all is warned of', async () => {
  const config = await freshConfig()
  const lines = await visit(withDatabase(config, { url: config.database.migrationUrl }))
  expect(lines.filter(({ level }) => Number(level) >= 40)).toMatchObject([
    {
      level: 40,
      beyond: 'everything, as an owner of the tables',
      msg: expect.stringContaining('DATABASE_URL'),
    },
  ])
  expect(await visit(withDatabase(config, {}), 'warn')).toEqual([])
})

test('two databases may share a role, and create it at the same time', async () => {
  const [one, two] = [await freshConfig(), await freshConfig()]
  const url = new URL(one.database.url)
  const password = decodeURIComponent(url.password).replace("'", "''")
  url.pathname = new URL(two.database.url).pathname
  const configs = [one, one, withDatabase(two, { url: url.href }), withDatabase(two, { url: url.href })]

  // Another session is creating it, uncommitted.
  await using owner = connect(one.database.migrationUrl ?? '')
  const services = await owner.begin(async (tx) => {
    await tx.unsafe(`create role "${url.username}" login password '${password}'`)
    const starting = configs.map((config) => startWallet(config, log))
    const waiting = () => tx`
      select from pg_locks where transactionid = pg_current_xact_id()::xid and not granted`
    await eventually(async () => expect((await waiting()).length).toBe(2))
    return { starting: Promise.all(starting) }
  })
  for (const service of await services.starting) await service.stop()
})

test('a startup that fails on roles, databases or privileges says what to do', async () => {
  const config = await freshConfig()
  await visit(config)
  const { url, migrationUrl } = config.database
  const absent = (await freshConfig()).database.url.replace(/[^/]*$/, new URL(url).pathname.slice(1))
  await expect(startWallet(withDatabase(config, { url: absent, migrationUrl: url }), log)).rejects.toThrow(
    new RegExp(
      'The role ".*-service" of DATABASE_URL does not exist, ' +
        'and .*-service may not create it\\. Run "create role',
    ),
  )

  await expect(startWallet(withDatabase(await freshConfig(), { migrationUrl }), log)).rejects.toThrow(
    /has 0 migrations, .* DATABASE_URL and MIGRATION_DATABASE_URL must name the same database/,
  )

  await using owner = connect(migrationUrl ?? '')
  await owner.unsafe('truncate drizzle.__drizzle_migrations, drizzle.later_migrations')
  await expect(startWallet(withDatabase(config, { migrationUrl: undefined }), log)).rejects.toThrow(
    /permission denied .* Check DATABASE_URL and the privileges of its role/,
  )
})
