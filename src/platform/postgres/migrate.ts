/** Brings a database to the schema of this version, or refuses to start. Replicas may do so concurrently. */
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator'
import type postgres from 'postgres'
import type { Sql } from 'postgres'
import { messageOf, SetupError } from '../fault'
import { keepTrying, pause } from '../process/retry'
import type { Log } from '../telemetry/log'
import { openMigrationSession } from './database'
import { isRetryable, violation } from './failures'
import { advisoryLocks } from './locks'
import { checkRole, type Grants, provisionRole } from './service-role'
import type { Types } from './statements'
import { explainTls } from './tls'

export type Preparation = {
  /** The service's own connection. */
  url: string
  /** The owner of the tables, unless the service is. Used only to migrate. */
  ownerUrl?: string | undefined
  /** Privileges of the service's role, for when it does not own the tables. */
  grants?: Grants
  /** Grants what `grants` cannot name, as the owner, once the role has those. */
  grantMore?: (owner: Sql<Types>) => Promise<void>
  folder: string
  migrate: boolean
  log: Log
  signal: AbortSignal
}

/**
 * Waits for the database without limit, then migrates it or checks that it is migrated. Throws
 * `SetupError` when waiting is useless: refused login, missing database, schema of another version,
 * missing privileges.
 */
export async function prepareDatabase({ log, signal, ...preparation }: Preparation): Promise<void> {
  const { url, ownerUrl, grants, grantMore, folder } = preparation
  const remedy =
    preparation.migrate && ownerUrl
      ? 'DATABASE_URL and MIGRATION_DATABASE_URL must name the same database.'
      : 'Set MIGRATE_ON_START=true, or run the command migrate first.'
  const prepare = async () => {
    if (preparation.migrate)
      await namingVariable(ownerUrl ? 'MIGRATION_DATABASE_URL' : 'DATABASE_URL', ownerUrl ?? url, () =>
        withPreparationLock(ownerUrl ?? url, async (sql) => {
          await migrate(sql, folder, log)
          if (ownerUrl && grants) await provisionRole(sql, url, grants)
          if (ownerUrl) await grantMore?.(sql)
        }),
      )
    return namingVariable('DATABASE_URL', url, () =>
      withSession(url, async (sql) => {
        await assertMigrated(sql, folder, remedy)
        return grants && checkRole(sql, grants)
      }),
    )
  }
  const examined = await keepTrying(prepare, {
    backoff: { firstMs: 200, limitMs: 5000 },
    signal,
    isRetryable,
    onFailure: (error, failures) => log.warn({ failures }, `waiting for database: ${messageOf(error)}`),
  })
  if (examined?.beyond)
    log[ownerUrl ? 'warn' : 'info'](
      examined,
      'database role has more privileges than needed: set DATABASE_URL to a role of its own, ' +
        'and MIGRATION_DATABASE_URL to the owner',
    )
}

/** Turns a refusal, by the server or of its certificate, into an error that names the variable to check. */
async function namingVariable<T>(variable: string, url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const tls = explainTls(error, url)
    if (tls) throw new SetupError(`No TLS connection to PostgreSQL at ${tls} (${variable}).`)
    const { sqlState = '' } = violation(error) ?? {}
    // Refused login, unknown database, missing privilege. The server's message contains no secret.
    const privileges = sqlState === '42501' ? ' and the privileges of its role' : ''
    const mode = /, no encryption$/.test(messageOf(error)) ? ': the server may accept TLS only (sslmode)' : ''
    if (/^(28|3D000|42501)/.test(sqlState))
      throw new SetupError(
        `PostgreSQL refuses the service: ${messageOf(error)}. Check ${variable}${privileges}${mode}.`,
      )
    throw error
  }
}

/** Runs `work` under the preparation lock of this database, in the session that holds it. */
export function withPreparationLock<T>(url: string, work: (sql: Sql<Types>) => Promise<T>): Promise<T> {
  return withSession(url, async (sql) => {
    // Polled, so that a silently lost connection is not mistaken for a waiting one.
    const isLocked = async () =>
      (await sql`select pg_try_advisory_lock(${advisoryLocks.preparation}) as locked`)[0]?.locked
    while (!(await isLocked())) await pause(lockPollMs)
    return work(sql)
  })
}

const lockPollMs = 200

async function withSession<T>(url: string, work: (sql: Sql<Types>) => Promise<T>): Promise<T> {
  const sql = openMigrationSession(url)
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/**
 * Applies the missing migrations of `folder`. Throws `SetupError` when the database has migrations that
 * this version does not know: of a newer version, or changed after they were applied.
 */
async function migrate(sql: postgres.Sql, folder: string, log: Log): Promise<void> {
  const expected = readMigrationFiles({ migrationsFolder: folder })
  assertAscending(expected.map((migration) => migration.folderMillis))

  const before = await appliedMigrations(sql)
  for (const [index, hash] of before.entries()) {
    if (expected[index]?.hash === hash) continue
    throw new SetupError(
      `Migration ${index + 1} of the database differs: it was migrated by another version. ` +
        'Start that version or a newer one, or point DATABASE_URL at another database. Nothing was changed.',
    )
  }
  if (before.length === expected.length) return
  await runMigrations(drizzle(sql), { migrationsFolder: folder }).catch((error) => {
    // drizzle wraps the server's error, which decides whether to retry.
    throw error.cause ?? error
  })

  // drizzle silently skips migrations that are dated before the newest applied one.
  const after = await appliedMigrations(sql)
  if (after.length !== expected.length || after.some((hash, index) => hash !== expected[index]?.hash))
    throw new SetupError(
      `After migrating, the database has ${after.length} of ${expected.length} migrations.`,
    )
  log.info({ from: before.length, to: after.length }, 'database migrated')
}

async function assertMigrated(sql: postgres.Sql, folder: string, remedy: string): Promise<void> {
  const expected = readMigrationFiles({ migrationsFolder: folder })
  const applied = await appliedMigrations(sql)
  if (applied.length === expected.length && applied.every((hash, index) => hash === expected[index]?.hash))
    return
  throw new SetupError(
    `The database has ${applied.length} migrations, this version needs its own ${expected.length}. ${remedy}`,
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
  throw new SetupError('The dates of the migrations do not ascend: later ones would be skipped.')
}

/** All statements of a migration folder, in order, for tables that are created outside the history. */
export const migrationStatements = (folder: string): string[] =>
  readMigrationFiles({ migrationsFolder: folder }).flatMap((migration) => migration.sql)
