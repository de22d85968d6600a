import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { eventually } from '../../testing/eventually.ts'
import { type PostgresOptions, startPostgres } from './cluster.ts'
import { findPostmaster } from './postmaster-pid.ts'

// Private like a home directory: when root runs the tests, PostgreSQL has to reach its files all
// the same.
const root = mkdtempSync(join(tmpdir(), 'saldo-postgres-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const databases = [
  { name: 'first', user: 'first', password: "it's @ secret" },
  { name: 'second', user: 'second', password: 'other' },
]

// One cluster for the whole file: creating it takes longer than any test.
const options = (more: Partial<PostgresOptions> = {}): PostgresOptions => ({
  dataDir: join(root, 'shared'),
  durable: false,
  databases,
  ...more,
})

async function query<Row extends object>(url: string, statement: string): Promise<Row[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    return [...(await sql.unsafe<Row[]>(statement))]
  } finally {
    await sql.end({ timeout: 0 })
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('each role owns its own database and cannot connect to another', async () => {
  await using server = await startPostgres(options())
  await query(server.url('first'), 'create table kept (id int); insert into kept values (1)')

  const other = new URL(server.url('first'))
  for (const database of ['second', 'postgres', 'template1']) {
    other.pathname = `/${database}`
    await expect(query(other.href, 'select 1')).rejects.toThrow('permission denied for database')
  }
  other.pathname = '/first'
  other.password = 'wrong'
  await expect(query(other.href, 'select 1')).rejects.toThrow('password authentication failed')
  expect(() => server.url('third')).toThrow('no database third')
})

test('a database can be added while the server runs', async () => {
  await using server = await startPostgres(options())
  const url = await server.createDatabase({ name: 'late-comer', user: 'late', password: 'late' })

  expect(await query<{ name: string }>(url, 'select current_database() as name')).toEqual([
    { name: 'late-comer' },
  ])
  expect(server.url('late-comer')).toBe(url)
})

test('a second start keeps the data, and nothing runs in between', async () => {
  await using before = await startPostgres(options())
  await query(
    before.url('first'),
    'create table if not exists kept (id int); truncate kept; insert into kept values (1)',
  )
  await before.stop()
  expect(isAlive(before.pid)).toBe(false)

  await using after = await startPostgres(options())
  expect(await query<{ id: number }>(after.url('first'), 'select id from kept')).toEqual([{ id: 1 }])
  expect(statSync(join(root, 'shared/admin-password')).mode & 0o777).toBe(0o600)
})

test('a ledger has room for the log of many accounts, a test has none', async () => {
  for (const [durable, room] of [
    [true, '4GB'],
    [false, '1GB'],
  ] as const) {
    await using server = await startPostgres(options({ durable }))
    expect(await query(server.adminUrl, 'show max_wal_size')).toEqual([{ max_wal_size: room }])
  }
})

test('a killed server is noticed, and the next start recovers what was committed', async () => {
  await using killed = await startPostgres(options())
  await query(
    killed.url('first'),
    'create table if not exists kept (id int); truncate kept; insert into kept values (2)',
  )
  process.kill(killed.pid, 'SIGKILL')
  expect(await killed.exited).toBe('killed by signal 9 (SIGKILL)')

  await using after = await startPostgres(options())
  expect(await query<{ id: number }>(after.url('first'), 'select id from kept')).toEqual([{ id: 2 }])
})

test('the server does not outlive a killed owner', async () => {
  const owner = Bun.spawn(
    [
      process.execPath,
      '-e',
      `const { startPostgres } = await import(${JSON.stringify(join(import.meta.dir, 'cluster.ts'))})
       const server = await startPostgres(${JSON.stringify(options())})
       console.log(server.pid)
       await server.exited`,
    ],
    { stdout: 'pipe', stderr: 'inherit' },
  )
  const { value } = await owner.stdout.getReader().read()
  const pid = Number(new TextDecoder().decode(value))
  expect(isAlive(pid)).toBe(true)
  expect(findPostmaster(join(root, 'shared/cluster'))).toBe(pid)

  owner.kill('SIGKILL')
  await eventually(() => expect(isAlive(pid)).toBe(false))
})

test('a server that a killed run left behind is stopped first', async () => {
  await using left = await startPostgres(options())
  await using next = await startPostgres(options())

  expect(next.pid).not.toBe(left.pid)
  expect(await left.exited).toBe('ended with exit code 0')
  expect(isAlive(left.pid)).toBe(false)
})

test('a stale postmaster.pid is no obstacle, even when its process id is in use again', async () => {
  await (await startPostgres(options())).stop()
  writeFileSync(
    join(root, 'shared/cluster/postmaster.pid'),
    `${process.pid}\n/elsewhere\n1\n5432\n\n127.0.0.1\n`,
  )

  await using server = await startPostgres(options())
  expect(server.pid).not.toBe(process.pid)
})

test('a taken port is named', async () => {
  using listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })

  await expect(startPostgres(options({ port: listener.port }))).rejects.toThrow(
    `port ${listener.port} is taken by another program`,
  )
})
