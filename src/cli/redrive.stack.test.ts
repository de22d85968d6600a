import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { applyProjection } from '../balances/projection/apply-store'
import { openDatabase } from '../platform/postgres/database'
import { backing } from '../testing/backing'

const opened = {
  Name: 'AccountOpened',
  Payload: {
    id: 'eva',
    client_id: 'client-of-eva',
    currency: 'BRL',
    overdraft_limit: 0,
    created_at: '2024-01-27T17:00:00Z',
  },
}

test('redrive lists causes, tries without changing anything, applies, and reports what is kept', async () => {
  const { url } = await (await backing()).createDatabase('balances', 'balances')
  const database = openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'test' })
  const letterOf = (topic: string, value: string, recordOffset: bigint) => ({
    ...{ clusterId: 'cluster', topic, partition: 0, recordOffset, lastOffset: null, recordAt: null },
    ...{ cause: 'not_json' as const, detail: 'not JSON', key: null, value: Buffer.from(value), headers: [] },
  })
  const deadLetters = [letterOf('accounts', JSON.stringify(opened), 0n), letterOf('balances', 'nonsense', 1n)]
  const nothing = { balances: [], entries: [], clients: [] }
  await applyProjection(database.sql, (sql) => sql`select true`, { ...nothing, deadLetters })
  const count = async () => (await database.sql`select from dead_letters`).length

  const run = async (...args: string[]) => {
    const command = [process.execPath, join(import.meta.dir, 'main.ts'), 'redrive', ...args]
    const child = Bun.spawn(command, { env: { DATABASE_URL: url }, stdout: 'pipe', stderr: 'pipe' })
    return { out: await new Response(child.stdout).text(), code: await child.exited }
  }
  try {
    const listed = await run('--list')
    expect(listed.out).toMatch(/^1 not_json on accounts, from \S+ to \S+\n1 not_json on balances, from .*\n$/)
    expect(listed.code).toBe(0)

    const kept = /^dead letter 2: still_failing: not_json: .*\n/
    const tried = await run('--dry-run')
    expect(tried.out).toMatch(kept)
    expect(tried.out).toEndWith('1 applied, 1 still_failing (dry run: nothing was changed)\n')
    expect([tried.code, await count()]).toEqual([1, 2])

    expect(await run('--topic', 'accounts')).toEqual({ out: '1 applied\n', code: 0 })
    expect(await run('--cause', 'unknown_event')).toEqual({ out: 'No dead letters.\n', code: 0 })
    const last = await run()
    expect([last.out.replace(kept, ''), last.code, await count()]).toEqual(['1 still_failing\n', 1, 1])
    expect((await run('--list', '--dry-run')).code).toBe(2)
  } finally {
    await database.close()
  }
})
