import { expect, test } from 'bun:test'
import { join } from 'node:path'
import postgres from 'postgres'
import { advisoryLocks } from '../platform/postgres/locks'
import { backing } from '../testing/backing'
import { eventually } from '../testing/eventually'

async function migrate(variables: Record<string, string | undefined>, ...args: string[]) {
  const command = [process.execPath, join(import.meta.dir, 'main.ts'), 'migrate', ...args]
  const env = { KAFKA_BROKERS: '127.0.0.1:1', ...variables }
  const child = Bun.spawn(command, { env, stdout: 'pipe', stderr: 'pipe' })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { out, err, code: await child.exited }
}

test.concurrent.each([
  ['wallet', 'outbox'],
  ['balances', 'dead_letters'],
] as const)('migrate brings the %s database to this version, once', async (SERVICE, table) => {
  const { url, serviceUrl } = await (await backing()).createDatabase(SERVICE)
  const role =
    SERVICE === 'wallet' ? { DATABASE_URL: serviceUrl, MIGRATION_DATABASE_URL: url } : { DATABASE_URL: url }
  for (let run = 0; run < 2; run++)
    expect(await migrate({ SERVICE, ...role })).toEqual({
      out: `The ${SERVICE} database has the schema of this version.\n`,
      err: '',
      code: 0,
    })
  const sql = postgres(role.DATABASE_URL, { max: 1 })
  try {
    expect(await sql`select from ${sql(table)}`).toHaveLength(0)
  } finally {
    await sql.end()
  }
})

test.concurrent('a database that cannot be reached is a setup error with its remedy', async () => {
  const { err, code } = await migrate({
    SERVICE: 'balances',
    DATABASE_URL: 'postgres://a:b@127.0.0.1:1/balances',
  })
  expect(err).toContain('Check DATABASE_URL and MIGRATION_DATABASE_URL.')
  expect(code).toBe(1)
})

/** A session that works on an empty database, as somebody at a prompt does. */
async function openPrompt() {
  const { url } = await (await backing()).createDatabase('wallet')
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: 'psql' } })
  const [own] = await sql`select pg_backend_pid() as pid`
  return { url, sql, pid: Number(own?.pid), [Symbol.asyncDispose]: () => sql.end() }
}

test.concurrent('it waits for a lock, says for whose, and goes on', async () => {
  await using prompt = await openPrompt()
  await using watcher = {
    sql: postgres(prompt.url, { max: 1 }),
    [Symbol.asyncDispose]: () => watcher.sql.end(),
  }
  const undone = new Error('undone')
  let migrating: ReturnType<typeof migrate> | undefined
  await prompt.sql
    .begin(async (tx) => {
      // The first migration makes this table.
      await tx`create table accounts ()`
      migrating = migrate({ SERVICE: 'wallet', DATABASE_URL: prompt.url })
      // Two attempts, of two seconds each.
      const tries = new Set<string>()
      await eventually(async () => {
        const [row] = await watcher.sql`
          select xact_start::text as began from pg_stat_activity
          where ${prompt.pid} = any(pg_blocking_pids(pid))`
        if (row) tries.add(row.began)
        expect(tries.size).toBe(2)
      })
      throw undone
    })
    .catch((error) => expect(error).toBe(undone))
  const { code, out, err } = await (migrating as ReturnType<typeof migrate>)
  expect([code, out]).toEqual([0, 'The wallet database has the schema of this version.\n'])
  expect(err).toMatch(
    new RegExp(
      `^Waiting, for \\d+ s of 60, for a lock that migration 1 needs: session ${prompt.pid} ` +
        '\\(psql, idle in transaction, \\d+ s\\)$',
      'm',
    ),
  )
})

test.concurrent('after --wait it ends with a code of its own, the holder, and the remedy', async () => {
  await using prompt = await openPrompt()
  await prompt.sql`select pg_advisory_lock(${advisoryLocks.preparation})`
  const { code, out, err } = await migrate({ SERVICE: 'wallet', DATABASE_URL: prompt.url }, '--wait', '1')
  expect([code, out]).toEqual([3, ''])
  const holder = `another migration or seed: session ${prompt.pid} \\(psql, idle, \\d+ s\\)`
  expect(err).toMatch(new RegExp(`^Waiting, for \\d+ s of 1, for ${holder}$`, 'm'))
  expect(err).toMatch(
    new RegExp(`^Not migrated: after 1 s it still waits for ${holder}\\. End that session`, 'm'),
  )
})
