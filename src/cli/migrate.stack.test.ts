import { expect, test } from 'bun:test'
import { join } from 'node:path'
import postgres from 'postgres'
import { backing } from '../testing/backing'

async function migrate(variables: Record<string, string | undefined>) {
  const command = [process.execPath, join(import.meta.dir, 'main.ts'), 'migrate']
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
