/** The migration that takes names and e-mail addresses out of the append-only tables. */
import { expect, test } from 'bun:test'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSession } from '../../platform/postgres/database'
import { prepareDatabase } from '../../platform/postgres/migrate'
import { backing, log } from '../../testing/backing'
import { eventsIn } from '../../testing/outbox'

const migrations = join(import.meta.dir, '../../../migrations/wallet')

test('personal data of before is moved with all versions, and is to be published', async () => {
  const before = mkdtempSync(join(tmpdir(), 'migrations-'))
  cpSync(migrations, before, { recursive: true })
  const journal = JSON.parse(readFileSync(join(before, 'meta/_journal.json'), 'utf8'))
  journal.entries = journal.entries.filter(({ tag }: { tag: string }) => tag < '0018')
  writeFileSync(join(before, 'meta/_journal.json'), JSON.stringify(journal))
  const { url } = await (await backing()).createDatabase('migrated')
  const { signal } = new AbortController()
  await prepareDatabase({ url, folder: before, migrate: true, log, signal })
  const sql = openSession({ url, applicationName: 'test' })
  try {
    const [eva, frank] = [crypto.randomUUID(), crypto.randomUUID()]
    for (const id of [eva, frank])
      await sql`
        insert into clients (id, name, email, created_at, updated_at)
        values (${id}, 'Mallory Before', 'before@example.com', now(), now())`
    const change = crypto.randomUUID()
    await sql`
      insert into client_versions (client_id, version, id, name, email, created_at)
      values (${eva}, 2, ${change}, 'Mallory After', 'after@example.com', now())`
    const happened = '2026-01-31T00:00:00.120Z'
    const event = { topic: 'balances', key: eva, name: 'BalanceUpdated', subject: `${change}/1` } as const
    const { topic, key, name, subject } = event
    await sql`
      insert into outbox (aggregatetype, aggregateid, type, payload, subject, traceparent, occurred_at)
      values (${topic}, ${key}, ${name}, '{"a": 1}', ${subject}, '00-1-2-01', ${happened})`
    const filesOf = () => sql`
      select relname, pg_relation_filenode(oid) as file from pg_class
      where relname in ('clients', 'client_versions')`
    const files = await filesOf()
    await prepareDatabase({ url, folder: migrations, migrate: true, log, signal })

    const known = await sql`
      select client_id as id, version::int, name, email from personal_data order by version, name`
    expect([...known]).toEqual(
      expect.arrayContaining([
        { id: eva, version: 1, name: 'Mallory Before', email: 'before@example.com' },
        { id: frank, version: 1, name: 'Mallory Before', email: 'before@example.com' },
        { id: eva, version: 2, name: 'Mallory After', email: 'after@example.com' },
      ]),
    )
    const waiting = eventsIn(await sql`select events from outbox`)
    const personal = { topic: 'personal-data', name: 'PersonalDataRecorded', value: '{}' }
    for (const [key, subject] of [
      [eva, change],
      [frank, frank],
    ] as const)
      expect(waiting).toContainEqual(
        expect.objectContaining({ ...personal, key, subject, traceparent: null }),
      )
    // What waited before that, with all there is to know of it.
    const waited = { ...event, value: '{"a": 1}', traceparent: '00-1-2-01', time: happened }
    expect(waiting[0]).toEqual(waited)
    // A dropped column stays in the rows until they are written again.
    for (const { relname, file } of await filesOf())
      expect(files.find((one) => one.relname === relname)?.file).not.toBe(file)
  } finally {
    await sql.end()
    rmSync(before, { recursive: true })
  }
})
