/**
 * A second set of the read model's tables, in schema `shadow`, and the swap with the live ones. The
 * same migrations create them under the same names, so the statements that write the live tables
 * write these on a connection whose search_path is `shadow`.
 */
import { type Database, type DatabaseOptions, openDatabase } from '../../platform/postgres/database'
import { violation } from '../../platform/postgres/failures'
import { migrationStatements } from '../../platform/postgres/migrate'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { cleanEntries } from '../projection/epochs-store'
import { divergingAccounts, isLiveAhead, readOffsets, type Source } from './comparison-store'
import { createRebuild, isUndefinedTable, type Rebuild, withRebuildLock } from './rebuild-store'

/** What is rebuilt, in lock order: as readers and writers lock them, to avoid deadlocks. */
const tables = [
  ...(['consumed_offsets', 'balances', 'clients', 'entries', 'changes', 'dead_letters'] as const),
  'ledger_epochs',
] as const
/** What a rollback brings back. Names are not kept after a swap: one that is erased would be left there. */
const restored = tables.filter((table) => table !== 'clients')

/** Connections that write the shadow. No wait for the disk: what a crash loses is read again. */
export const openShadow = (options: Omit<DatabaseOptions, 'settings'>): Database =>
  openDatabase({ ...options, settings: { search_path: 'shadow', synchronous_commit: 'off' } })

/**
 * Empty tables, in place of those of an unfinished rebuild. Entries get their primary key at the end,
 * which is faster than maintaining an index. Accounts keep their source: partitions are now read in
 * another order than they were written in.
 */
export async function createShadow(
  tx: Statements,
  migrationsFolder: string,
  options: Pick<Rebuild, 'manual' | 'force'>,
): Promise<void> {
  await tx`drop schema if exists shadow cascade`
  await tx`create schema shadow`
  await tx`set local search_path = shadow`
  for (const statement of migrationStatements(migrationsFolder)) await tx.unsafe(statement)
  await tx`
    insert into balances
      (account_id, currency, balance_minor, version, source, opened, created_at, updated_at)
    select account_id, currency, 0, 0, source, false, created_at, created_at
    from public.balances where source is not null`
  await tx`alter table entries drop constraint entries_pkey`
  await tx`drop index entries_backdated`
  await createRebuild(tx, options)
  await grantAsLive(tx, 'shadow')
}

/** For a rebuild that began, or ended, before a role had its rights. */
export const grantAllAsLive = (owner: Database['sql']): Promise<void> =>
  withRebuildLock(owner, async (tx) => {
    for (const schema of ['shadow', 'previous'] as const) await grantAsLive(tx, schema)
  })

/**
 * Rights belong to a table, and would go with it in a swap. So the roles that may do something with a live
 * table may do it with the one in `schema`, and see the state of the rebuild there.
 */
async function grantAsLive(tx: Statements, schema: 'shadow' | 'previous'): Promise<void> {
  const statements = await tx<{ statement: string }[]>`
    with live as (
      select relname, rolname, privilege_type from pg_class
      cross join lateral aclexplode(relacl) as granted join pg_roles on pg_roles.oid = grantee
      where relnamespace = 'public'::regnamespace and relname = any(${arrayOf(tables)}::text[])
        and grantee <> relowner
    ), there as (
      select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = ${schema} and relkind = 'r'
    )
    select format('grant %s on %I.%I to %I', privilege_type, ${schema}::text, relname, rolname) as statement
    from live join there using (relname)
    union all
    select distinct format('grant usage on schema %1$I to %2$I; grant select on %1$I.rebuild to %2$I',
      ${schema}::text, rolname)
    from live where exists (select from there where relname = 'rebuild')`
  for (const { statement } of statements) await tx.unsafe(statement)
}

/** Drops the tables of a cancelled rebuild, except its offsets, which show how far it came. */
export async function dropCancelled(sql: Database['sql']): Promise<void> {
  await withRebuildLock(sql, async (tx) => {
    const [cancelled] = await tx`select from shadow.rebuild where state = 'cancelled'`
    const filled = tables.filter((table) => table !== 'consumed_offsets')
    if (cancelled) for (const table of filled) await tx`drop table if exists shadow.${tx(table)} cascade`
  }).catch((error) => {
    // Another process was faster.
    if (!isUndefinedTable(error)) throw error
  })
}

/** False for a cancelled rebuild whose tables were dropped. */
export async function hasShadowTables(sql: Statements): Promise<boolean> {
  const [row] = await sql<{ has: boolean }[]>`select to_regclass('shadow.balances') is not null as has`
  return row?.has ?? false
}

/** Adds the primary key, unless it exists. On duplicates the first row wins, as in live tables. */
export async function indexShadow(sql: Database['sql']): Promise<void> {
  const [row] = await sql<{ has: boolean }[]>`select to_regclass('shadow.entries_pkey') is not null as has`
  if (row?.has) return
  // Accounts whose records are gone.
  await sql`delete from shadow.balances where version = 0 and source is not null`
  await addPrimaryKey(sql, { deduplicate: false }).catch((error) => {
    if (violation(error)?.sqlState !== '23505') throw error
    return addPrimaryKey(sql, { deduplicate: true })
  })
  await sql`analyze shadow.balances, shadow.entries, shadow.clients`
}

async function addPrimaryKey(sql: Database['sql'], { deduplicate }: { deduplicate: boolean }): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`set local search_path = shadow`
    await tx`set local maintenance_work_mem = '256MB'`
    await tx`lock table entries in access exclusive mode`
    await cleanEntries(tx)
    if (deduplicate)
      await tx`
        delete from entries using (
          select ctid as address, row_number() over (partition by account_id, version order by ctid) as number
          from entries
        ) as numbered
        where entries.ctid = numbered.address and numbered.number > 1`
    await tx`alter table entries add constraint entries_pkey primary key (account_id, version)`
    await tx`
      create index entries_backdated on entries (account_id, effective_at) where effective_at is not null`
  })
}

/**
 * Replaces the live tables with the shadow, in one transaction, and keeps them as `previous`. Readers
 * see the one or the other; writers wait, then find the offsets of the new tables. False, and nothing
 * is done, while the shadow is behind anywhere, or when an account diverges that did not before.
 */
export async function swapShadow(
  sql: Database['sql'],
  source: Source,
  { force, startedAt }: Pick<Rebuild, 'force' | 'startedAt'>,
  recreated: readonly string[],
): Promise<boolean> {
  return withRebuildLock(sql, async (tx) => {
    const [current] = await tx`
      select from shadow.rebuild
      where state = 'building' and started_at = ${startedAt}::text::timestamptz`
    if (!current) return false
    await lockLive(tx)
    if (isLiveAhead(await readOffsets(tx, source), recreated)) return false
    if (!force && (await tx`${divergingAccounts(tx)} limit 1`).length > 0) return false
    // A record that both have dead-lettered may be published already.
    await tx`
      update shadow.dead_letters as shadow set sent_at = live.sent_at, attempts = live.attempts
      from public.dead_letters as live
      where (live.cluster_id, live.topic, live.partition, live.record_offset)
        = (shadow.cluster_id, shadow.topic, shadow.partition, shadow.record_offset)
        and (live.record_at, live.value) is not distinct from (shadow.record_at, shadow.value)`
    // Also where the topic has lost it.
    await tx`
      insert into shadow.clients as rebuilt select * from public.clients where name is null
      on conflict (id) do update set name = null, version = greatest(rebuilt.version, excluded.version)`
    await grantAsLive(tx, 'shadow')
    await tx`update shadow.rebuild set state = 'swapped', ended_at = now()`
    await tx`drop schema if exists previous cascade`
    await tx`create schema previous`
    await moveTables(tx, restored, { from: 'public', to: 'previous' })
    await tx`drop table public.clients`
    await moveTables(tx, tables, { from: 'shadow', to: 'public' })
    await tx`alter table shadow.rebuild set schema previous`
    await tx`drop schema shadow cascade`
    await grantAsLive(tx, 'previous')
    return true
  })
}

/**
 * Notifies consumers that offsets have gone back. One that misses it finds out with the next record of
 * each partition.
 */
export const tablesChannel = 'saldo_tables'

/**
 * Puts the tables of before the last swap back; consumers catch them up. False when there are none
 * with the columns of this version.
 */
export async function rollBack(tx: Statements): Promise<boolean> {
  if (!(await hasLiveColumns(tx, 'previous'))) return false
  await lockLive(tx)
  await grantAsLive(tx, 'previous')
  await tx`drop schema if exists shadow cascade`
  await tx`create schema shadow`
  await moveTables(tx, restored, { from: 'public', to: 'shadow' })
  await moveTables(tx, restored, { from: 'previous', to: 'public' })
  await tx`drop schema shadow cascade`
  await tx`update previous.rebuild set state = 'rolled_back', ended_at = now()`
  await tx`select pg_notify(${tablesChannel}, '')`
  return true
}

/** Whether a schema has the columns of the live tables. A migration since then changes only those. */
export async function hasLiveColumns(sql: Statements, schema: 'shadow' | 'previous'): Promise<boolean> {
  const compared = schema === 'previous' ? restored : tables
  const columnsOf = (name: string) => sql`
    select table_name, column_name, data_type, is_nullable from information_schema.columns
    where table_schema = ${name} and table_name = any(${arrayOf(compared)}::text[])`
  const [found] = await sql<{ same: boolean }[]>`
    select not exists ((${columnsOf('public')}) except (${columnsOf(schema)}))
      and not exists ((${columnsOf(schema)}) except (${columnsOf('public')})) as same`
  return found?.same ?? false
}

async function lockLive(tx: Statements): Promise<void> {
  await tx`set local lock_timeout = '5s'`
  for (const table of tables) await tx`lock table public.${tx(table)} in access exclusive mode`
}

async function moveTables(
  tx: Statements,
  moved: readonly (typeof tables)[number][],
  { from, to }: { from: string; to: string },
): Promise<void> {
  for (const table of moved) await tx`alter table ${tx(from)}.${tx(table)} set schema ${tx(to)}`
}
