/** Migrations of one version after another, and of versions that are older than the database. */
import { expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import postgres from 'postgres'
import { backing } from '../../testing/backing'
import { eventually } from '../../testing/eventually'
import { prepareDatabase } from './migrate'

/** A version of a program that has these migrations: the first is of 0.1.0, the others are later. */
function versionWith(...statements: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'saldo-migrations-'))
  const entries = statements.map((_, idx) => ({
    ...{ idx, version: '7', tag: `000${idx}`, breakpoints: true },
    when: Date.UTC(2026, 10, 27 + idx),
  }))
  mkdirSync(join(folder, 'meta'))
  writeFileSync(join(folder, 'meta/_journal.json'), JSON.stringify({ entries }))
  for (const [idx, statement] of statements.entries()) writeFileSync(join(folder, `000${idx}.sql`), statement)
  return folder
}

const created = 'create table places (id int primary key)'
const widened = 'alter table places add column name text'
const indexed = 'create index places_name on places (name)'
const contracted = '-- Needs 0002: it no longer writes the names.\nalter table places drop column name'

async function freshDatabase() {
  const { url } = await (await backing()).createDatabase('migrate')
  const sql = postgres(url, { max: 2, onnotice: () => {} })
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => lines.push(line) })
  return {
    sql,
    logged: () => lines.join(''),
    start: (folder: string, migrate = true) =>
      prepareDatabase({ url, folder, migrate, log, signal: AbortSignal.timeout(30_000) }),
    [Symbol.asyncDispose]: () => sql.end(),
  }
}

test('a version runs on a later schema, and 0.1.0 sees only the migrations that it knows', async () => {
  await using database = await freshDatabase()
  const former = versionWith(created)
  await database.start(former)
  await database.start(versionWith(created, widened, indexed))
  for (const migrate of [true, false]) await database.start(former, migrate)
  expect(database.logged()).toContain('database has migrations of a newer version')
  expect(await database.sql`select hash from drizzle.__drizzle_migrations`).toHaveLength(1)
  const later = await database.sql`select number from drizzle.later_migrations order by number`
  expect(later.map(({ number }) => number)).toEqual([2, 3])

  // Forward again: nothing is migrated twice.
  await database.start(versionWith(created, widened, indexed))
})

test('a version that a migration leaves behind is refused, with the reason', async () => {
  await using database = await freshDatabase()
  await database.start(versionWith(created, widened, indexed, contracted))
  await database.start(versionWith(created, widened, indexed))
  const leftBehind = versionWith(created, widened)
  for (const migrate of [true, false])
    await expect(database.start(leftBehind, migrate)).rejects.toThrow(
      'The database has 4 migrations, and one of them needs a version that knows the first 3; ' +
        'this one knows 2. Start a newer version.',
    )
})

test('a migration that has to wait for a lock lets the others pass, and comes again', async () => {
  await using database = await freshDatabase()
  await database.start(versionWith(created))
  let starting: Promise<void> = Promise.resolve()
  await database.sql.begin(async (reader) => {
    await reader`select from places`
    starting = database.start(versionWith(created, widened))
    const waiting = () => reader`select from pg_locks where not granted and mode = 'AccessExclusiveLock'`
    await eventually(async () => expect(await waiting()).toHaveLength(1))
    // Queued behind the migration, until that gives up.
    await database.sql`select from places`
    await eventually(() => expect(database.logged()).toContain('lock timeout'))
  })
  await starting
  expect(await database.sql`select name from places`).toEqual([] as never)
})

test('migrations before one that fails stay', async () => {
  await using database = await freshDatabase()
  await expect(database.start(versionWith(created, widened, 'select 1 / 0'))).rejects.toThrow(/by zero/)
  expect(await database.sql`select number from drizzle.later_migrations`).toHaveLength(1)
  await database.start(versionWith(created, widened, indexed))
})
