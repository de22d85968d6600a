/**
 * Brings a database to the schema this version was written for, or refuses to start. Any number of
 * replicas may do so at once.
 */
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator'
import type postgres from 'postgres'
import { messageOf, SetupError } from '../fault'
import { keepTrying, pause } from '../process/retry'
import type { Log } from '../telemetry/log'
import { openMigrationSession } from './database'
import { isRetryable, violation } from './failures'
import { advisoryLocks } from './locks'
import { checkRole, type Grants, provisionRole } from './service-role'

/**
 * One lock for everything that prepares a database. The number means nothing, but must stay the
 * same in every version.
 */

export type Preparation = {
  /** What the service works with. */
  url: string
  /** The owner of the database, when the service is not. Used here and nowhere else, and only to migrate. */
  ownerUrl?: string
  /** What the service is granted by the owner. Without it the service is the owner. */
  grants?: Grants
  folder: string
  migrate: boolean
  log: Log
  signal: AbortSignal
}

/**
 * Waits for the database as long as it takes, then migrates it, or checks that somebody did. Throws
 * `SetupError` when waiting cannot help: the login is refused, the database does not exist, it has
 * the schema of another version, or the service's role may not do its work.
 */
export async function prepareDatabase({ log, signal, ...preparation }: Preparation): Promise<void> {
  const { url, ownerUrl, grants, folder } = preparation
  const remedy =
    preparation.migrate && ownerUrl
      ? 'DATABASE_URL and MIGRATION_DATABASE_URL have to name the same database.'
      : 'Set MIGRATE_ON_START=true, or migrate first.'
  const prepare = async () => {
    if (preparation.migrate)
      await naming(ownerUrl ? 'MIGRATION_DATABASE_URL' : 'DATABASE_URL', () =>
        withPreparationLock(ownerUrl ?? url, async (sql) => {
          await migrate(sql, folder, log)
          if (ownerUrl && grants) await provisionRole(sql, url, grants)
        }),
      )
    return naming('DATABASE_URL', () =>
      withSession(url, async (sql) => {
        await assertMigrated(sql, folder, remedy)
        return grants && checkRole(sql, grants)
      }),
    )
  }
  const examined = await keepTrying(prepare, {
    backoff: { firstMs: 200, limitMs: 5000 },
    signal,
    isRetryable: isRetryable,
    onFailure: (error, failures) => log.warn({ failures }, `waiting for the database: ${messageOf(error)}`),
  })
  if (examined?.beyond)
    log[ownerUrl ? 'warn' : 'info'](
      examined,
      'the database role may do more than the service needs: give it a role of its own as DATABASE_URL, and the owner as MIGRATION_DATABASE_URL',
    )
}

/** Turns a refusal of the server into a sentence that names the variable to look at. */
async function naming<T>(variable: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { sqlState = '' } = violation(error) ?? {}
    // Refused login, unknown database, missing privilege: the server's own sentence says which, and
    // holds no secret.
    if (/^(28|3D000|42501)/.test(sqlState))
      throw new SetupError(
        `The database refuses the service: ${messageOf(error)}. Check ${variable}${sqlState === '42501' ? ', and what its role may do' : ''}.`,
      )
    throw error
  }
}

/**
 * Runs `work` while no other replica prepares this database, on a connection of its own, since the
 * lock belongs to the session.
 */
export function withPreparationLock<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  return withSession(url, async (sql) => {
    // Asked for again and again, so that a session that was cut in silence is not taken for one that waits.
    const isLocked = async () =>
      (await sql`select pg_try_advisory_lock(${advisoryLocks.preparation}) as locked`)[0]?.locked
    while (!(await isLocked())) await pause(lockPollMs)
    return work(sql)
  })
}

const lockPollMs = 200

async function withSession<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = openMigrationSession(url)
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/**
 * Applies what is missing from `folder`. Throws `SetupError` when the database has a history that
 * this version does not know: it was made by a newer version, or a migration was changed after it
 * had been applied.
 */
async function migrate(sql: postgres.Sql, folder: string, log: Log): Promise<void> {
  const known = readMigrationFiles({ migrationsFolder: folder })
  assertAscending(known.map((migration) => migration.folderMillis))

  const before = await appliedMigrations(sql)
  for (const [index, hash] of before.entries()) {
    if (known[index]?.hash === hash) continue
    throw new SetupError(
      `The database has migration ${index + 1} in a form that this version does not know. It was migrated by another version: ` +
        'start that version or a newer one, or point DATABASE_URL at another database. Nothing was changed.',
    )
  }
  if (before.length === known.length) return
  await runMigrations(drizzle(sql), { migrationsFolder: folder }).catch((error) => {
    // What the server said is what decides whether to wait. drizzle wraps it.
    throw error.cause ?? error
  })

  // drizzle skips a migration that is dated before the newest applied one, and still says it succeeded.
  const after = await appliedMigrations(sql)
  if (after.length !== known.length || after.some((hash, index) => hash !== known[index]?.hash))
    throw new SetupError(`After migrating, the database has ${after.length} of ${known.length} migrations.`)
  log.info({ from: before.length, to: after.length }, 'database migrated')
}

async function assertMigrated(sql: postgres.Sql, folder: string, remedy: string): Promise<void> {
  const known = readMigrationFiles({ migrationsFolder: folder })
  const applied = await appliedMigrations(sql)
  if (applied.length === known.length && applied.every((hash, index) => hash === known[index]?.hash)) return
  throw new SetupError(
    `The database has ${applied.length} migrations, this version needs its own ${known.length}. ${remedy}`,
  )
}

async function appliedMigrations(sql: postgres.Sql): Promise<string[]> {
  const [table] = await sql`select to_regclass('drizzle.__drizzle_migrations') as name`
  if (!table?.name) return []
  const rows = await sql<
    { hash: string }[]
  >`select hash from drizzle.__drizzle_migrations order by created_at, id`
  return rows.map((row) => row.hash)
}

function assertAscending(dates: number[]): void {
  if (dates.every((date, index) => index === 0 || date > (dates[index - 1] ?? 0))) return
  throw new SetupError('The dates of the migrations do not ascend; the later ones would be skipped.')
}

/** All statements of a folder of migrations, in order, for tables that are made outside their history. */
export const migrationStatements = (folder: string): string[] =>
  readMigrationFiles({ migrationsFolder: folder }).flatMap((migration) => migration.sql)
