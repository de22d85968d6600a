/** What a backup says of its database, and what a restore does to one beside PostgreSQL's own tools. */
import type { Sql } from 'postgres'
import type { ServiceName } from '../config/config'
import type { Database } from '../platform/postgres/database'
import { appliedMigrations } from '../platform/postgres/migrate'
import type { Statements } from '../platform/postgres/statements'

/** What a restored database has to agree with. Sums are minor units, as text, by currency. */
export type Contents = {
  /** Of the ledger. */
  epoch: number
  /** How many migrations were applied. */
  migrations: number
  counts: Record<string, number>
  sums: Record<string, string>
  /** Rows that contradict each other. None, unless the database was damaged. */
  faults: Record<string, number>
}

const countedTables = {
  wallet: ['clients', 'accounts', 'entries', 'transactions', 'holds', 'outbox'],
  balances: ['clients', 'balances', 'entries', 'dead_letters'],
} as const satisfies Record<ServiceName, readonly string[]>

export async function readContents(sql: Statements, service: ServiceName): Promise<Contents> {
  const [head] = await sql<{ epoch: number }[]>`select coalesce(max(epoch), 1) as epoch from ledger_epochs`
  const migrations = (await appliedMigrations(sql as unknown as Sql)).length
  const counts: Record<string, number> = {}
  for (const table of countedTables[service]) {
    const [row] = await sql<{ count: number }[]>`select count(*)::float8 as count from ${sql(table)}`
    counts[table] = row?.count ?? 0
  }
  const holders = sql(service === 'wallet' ? 'accounts' : 'balances')
  const sums = await sql<{ currency: string; sum: string }[]>`
    select currency, sum(balance_minor)::text as sum from ${holders} group by currency order by currency`
  return {
    ...{ epoch: head?.epoch ?? 1, migrations, counts },
    sums: Object.fromEntries(sums.map(({ currency, sum }) => [currency, sum])),
    faults: service === 'wallet' ? await faultsOfLedger(sql) : await faultsOfModel(sql),
  }
}

/** Currencies that do not sum to zero, and accounts that are not what their newest entry says. */
async function faultsOfLedger(sql: Statements): Promise<Record<string, number>> {
  const [row] = await sql<Record<string, number>[]>`
    select
      (
        select count(*)::int from (
          select from accounts group by currency having sum(balance_minor) <> 0
        ) as unbalanced
      ) as "unbalancedCurrencies",
      (
        select count(*)::int from accounts left join entries
          on entries.account_id = accounts.id and entries.version = accounts.version
        where (accounts.balance_minor, accounts.held_minor)
          is distinct from (coalesce(entries.balance_minor, 0), coalesce(entries.held_minor, 0))
      ) as "accountsUnlikeTheirEntries"`
  return row ?? {}
}

/** Entries beyond the balance of their account. */
async function faultsOfModel(sql: Statements): Promise<Record<string, number>> {
  const [row] = await sql<Record<string, number>[]>`
    select count(*)::int as "entriesBeyondTheirBalance"
    from entries left join balances using (account_id)
    where balances.version is null or entries.version > balances.version`
  return row ?? {}
}

/** The server's version, such as 180004, the size of the database in bytes, and who else is connected. */
export async function inspect(sql: Statements) {
  const [row] = await sql<{ version: number; bytes: number; others: number; tables: number; name: string }[]>`
    select current_setting('server_version_num')::int as version, current_database() as name,
      pg_database_size(current_database())::float8 as bytes,
      (
        select count(*)::int from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and usesysid is not null
      ) as others,
      (
        select count(*)::int from pg_class
        where relkind = 'r' and relnamespace in (
          select oid from pg_namespace where nspname in ('public', 'drizzle', 'shadow', 'previous')
        )
      ) as tables`
  if (!row) throw new Error('empty result from PostgreSQL')
  return row
}

/** The contents, and a snapshot of exactly these for `pg_dump`, for as long as `dump` runs. */
export const withSnapshot = (
  { sql }: Pick<Database, 'sql'>,
  service: ServiceName,
  dump: (snapshot: string) => Promise<void>,
): Promise<Contents> =>
  sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`set local idle_in_transaction_session_timeout = 0`
    const [row] = await tx<{ snapshot: string }[]>`select pg_export_snapshot() as snapshot`
    const contents = await readContents(tx, service)
    await dump(row?.snapshot ?? '')
    return contents
  }) as Promise<Contents>

/** Deletes all that a service has in its database. As the owner. */
export async function emptyDatabase({ sql }: Pick<Database, 'sql'>): Promise<void> {
  await sql.begin(async (tx) => {
    for (const schema of ['shadow', 'previous', 'drizzle', 'public'])
      await tx`drop schema if exists ${tx(schema)} cascade`
    await tx`create schema public`
  })
}

/** Rights are not in a backup. Functions run as triggers alone; the service's role gets its rights later. */
export async function closeFunctions({ sql }: Pick<Database, 'sql'>): Promise<void> {
  await sql`revoke execute on all functions in schema public from public`
}

export async function createScratch({ sql }: Pick<Database, 'sql'>, name: string): Promise<void> {
  await sql`create database ${sql(name)} template template0`
}

export async function dropScratch({ sql }: Pick<Database, 'sql'>, name: string): Promise<void> {
  await sql`drop database if exists ${sql(name)} with (force)`
}
