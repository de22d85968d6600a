/** Brings a database to the schema of this version, or refuses to start. Replicas may do so concurrently. */
import { readMigrationFiles } from 'drizzle-orm/migrator'
import type postgres from 'postgres'
import type { Sql } from 'postgres'
import { messageOf, SetupError } from '../fault'
import { keepTrying, pause } from '../process/retry'
import type { Log } from '../telemetry/log'
import { findLockHolder, whileNamingBlockers } from './blockers'
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
  /** Called again and again while it waits for what other sessions hold, with what that is. */
  onWait?: (what: string) => void
  log: Log
  signal: AbortSignal
}

/**
 * Waits for the database without limit, then migrates it or checks that it is migrated. Throws
 * `SetupError` when waiting is useless: refused login, missing database, schema of another version,
 * missing privileges.
 */
export async function prepareDatabase({ log, signal, ...preparation }: Preparation): Promise<void> {
  const { url, ownerUrl, grants, grantMore, folder, onWait } = preparation
  const remedy =
    preparation.migrate && ownerUrl
      ? 'DATABASE_URL and MIGRATION_DATABASE_URL must name the same database.'
      : 'Set MIGRATE_ON_START=true, or run the command migrate first.'
  const prepare = async () => {
    if (preparation.migrate)
      await namingVariable(ownerUrl ? 'MIGRATION_DATABASE_URL' : 'DATABASE_URL', ownerUrl ?? url, () =>
        withPreparationLock(
          ownerUrl ?? url,
          async (sql) => {
            await migrate(sql, { url: ownerUrl ?? url, folder, log, onWait })
            if (ownerUrl && grants) await provisionRole(sql, url, grants)
            if (ownerUrl) await grantMore?.(sql)
          },
          { signal, onWait },
        ),
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

/**
 * Runs `work` under the preparation lock of this database, in the session that holds it. Waits for it, until
 * the signal is aborted.
 */
export function withPreparationLock<T>(
  url: string,
  work: (sql: Sql<Types>) => Promise<T>,
  { signal, onWait }: { signal?: AbortSignal; onWait?: Preparation['onWait'] } = {},
): Promise<T> {
  return withSession(url, async (sql) => {
    // Polled, so that a silently lost connection is not mistaken for a waiting one.
    const isLocked = async () =>
      (await sql`select pg_try_advisory_lock(${advisoryLocks.preparation}) as locked`)[0]?.locked
    while (!(await isLocked())) {
      onWait?.(`another migration or seed: ${await findLockHolder(sql, advisoryLocks.preparation)}`)
      await pause(lockPollMs, signal)
      signal?.throwIfAborted()
    }
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
 * Applies the missing migrations of `folder`, each in a transaction of its own. A database that is ahead of
 * this version is left as it is. Throws `SetupError` when this version cannot run with its migrations.
 */
async function migrate(
  sql: Sql<Types>,
  { url, folder, log, onWait = () => {} }: Pick<Preparation, 'url' | 'folder' | 'log' | 'onWait'>,
): Promise<void> {
  const expected = readMigrations(folder)
  const applied = await appliedMigrations(sql)
  const fault = findFault(applied, expected)
  if (fault) throw new SetupError(`${fault} Nothing was changed.`)
  if (applied.length > expected.length)
    log.info(
      { database: applied.length, version: expected.length },
      'database has migrations of a newer version',
    )
  const missing = expected.slice(applied.length)
  if (missing.length === 0) return
  await sql.unsafe(historyTables)
  for (const migration of missing) {
    const onBlocked = (blockers: string) =>
      onWait(`a lock that migration ${migration.number} needs: ${blockers}`)
    await whileNamingBlockers({ url, session: sql, onBlocked }, () => apply(sql, migration))
  }
  log.info({ from: applied.length, to: expected.length }, 'database migrated')
}

async function assertMigrated(sql: postgres.Sql, folder: string, remedy: string): Promise<void> {
  const expected = readMigrations(folder)
  const applied = await appliedMigrations(sql)
  const fault =
    applied.length < expected.length
      ? `The database has ${applied.length} migrations, this version needs its own ${expected.length}.`
      : findFault(applied, expected)
  if (fault) throw new SetupError(`${fault} ${remedy}`)
}

/** Why this version cannot work with the migrations of the database, those that it lacks aside. */
export function findFault(applied: readonly Applied[], expected: readonly Migration[]): string | undefined {
  const differing = expected.findIndex(({ hash }, index) => applied[index] && applied[index].hash !== hash)
  if (differing >= 0)
    return (
      `Migration ${differing + 1} of the database differs: it was migrated by another version. ` +
      'Start that version or a newer one, or point DATABASE_URL at another database.'
    )
  const needs = Math.max(0, ...applied.map((one) => one.needs))
  if (needs <= expected.length) return undefined
  return (
    `The database has ${applied.length} migrations, and one of them needs a version that knows the first ` +
    `${needs}; this one knows ${expected.length}. Start a newer version.`
  )
}

/** `needs`: how many migrations a version has to know to run with this one. */
type Applied = { hash: string; needs: number }
type Migration = Applied & { number: number; dateMs: number; statements: string[] }

/**
 * Version 0.1.0 refuses a database with a migration that it does not know. Those dated after it are therefore
 * noted in a table that it does not read, so that it runs on the schema of later versions (decision 42).
 */
const historyTables = `
  create schema if not exists drizzle;
  create table if not exists drizzle.__drizzle_migrations (
    id serial primary key, hash text not null, created_at bigint
  );
  create table if not exists drizzle.later_migrations (
    number int primary key, hash text not null, needs int not null,
    applied_at timestamptz not null default now()
  )`
/** Milliseconds since 1970, between the last migration of 0.1.0 and its release. */
const release010Ms = 1_795_813_000_000

/** How long a migration waits for a lock, while all that came after it waits behind: it is tried again. */
const lockTimeout = '2s'

async function apply(
  sql: postgres.Sql,
  { number, hash, needs, dateMs, statements }: Migration,
): Promise<void> {
  await sql.begin(async (tx) => {
    await tx.unsafe(`set local lock_timeout = '${lockTimeout}'`)
    for (const statement of statements) await tx.unsafe(statement)
    await (dateMs < release010Ms
      ? tx`insert into drizzle.__drizzle_migrations (hash, created_at) values (${hash}, ${dateMs})`
      : tx`insert into drizzle.later_migrations (number, hash, needs) values (${number}, ${hash}, ${needs})`)
  })
}

/** In the order in which they were applied, those of later versions included. */
export async function appliedMigrations(sql: postgres.Sql): Promise<Applied[]> {
  const [tables] = await sql`
    select to_regclass('drizzle.__drizzle_migrations') as former,
      to_regclass('drizzle.later_migrations') as later`
  const former = tables?.former
    ? await sql<Applied[]>`select hash, 0 as needs from drizzle.__drizzle_migrations order by created_at, id`
    : []
  const later = tables?.later
    ? await sql<Applied[]>`select hash, needs from drizzle.later_migrations order by number`
    : []
  return [...former, ...later]
}

/** The first line of a migration that a former version cannot run with says `-- Needs 0023`. */
function readMigrations(folder: string): Migration[] {
  const files = readMigrationFiles({ migrationsFolder: folder })
  assertAscending(files.map(({ folderMillis }) => folderMillis))
  return files.map(({ hash, folderMillis: dateMs, sql: statements }, index) => {
    const last = /^-- Needs (\d{4})\b/.exec(statements[0] ?? '')?.[1]
    return { number: index + 1, hash, dateMs, statements, needs: last ? Number(last) + 1 : 0 }
  })
}

function assertAscending(dates: number[]): void {
  if (dates.every((date, index) => index === 0 || date > (dates[index - 1] ?? 0))) return
  throw new SetupError('The dates of the migrations do not ascend: later ones would be skipped.')
}

/** All statements of a migration folder, in order, for tables that are created outside the history. */
export const migrationStatements = (folder: string): string[] =>
  readMigrationFiles({ migrationsFolder: folder }).flatMap((migration) => migration.sql)
