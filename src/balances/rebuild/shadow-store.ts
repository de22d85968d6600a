/**
 * The tables of the read side a second time, in a schema of their own, and the moment at which the
 * two change places. The same migrations make them, so they have the same names; a connection whose
 * search_path is `shadow` writes them with the statements that write the others.
 */
import type { Sql } from 'postgres'
import { Fault } from '../../platform/fault'
import {
  type Database,
  type DatabaseOptions,
  openDatabase,
  openSession,
} from '../../platform/postgres/database'
import { violation } from '../../platform/postgres/failures'
import { advisoryLocks } from '../../platform/postgres/locks'
import { migrationStatements } from '../../platform/postgres/migrate'
import { arrayOf, type Statements } from '../../platform/postgres/statements'

/**
 * What is made again from the topics. In the order in which readers and writers ask for them, so
 * that nobody waits in a circle.
 */
const tables = ['consumed_offsets', 'balances', 'clients', 'entries', 'changes', 'dead_letters'] as const

export const rebuildStates = ['building', 'ready', 'refused', 'swapped', 'rolled_back', 'cancelled'] as const
export type RebuildState = (typeof rebuildStates)[number]

/** Offsets by `topic/partition`. */
export type Bounds = Record<string, { first: string; end: string }>

/** What stands in the tables that serve and not, or otherwise, in those that were made again. */
export type Divergence = {
  accounts: number
  entries: number
  clients: number
  accountsAdded: number
  entriesAdded: number
  examples: string[]
}

export type Rebuild = {
  state: RebuildState
  /** Wait to be told before the tables change places. */
  manual: boolean
  /** Change places whatever is different. */
  force: boolean
  /** The topics as they were when it began: what has to be read at least. Null until the broker has told. */
  bounds: Bounds | null
  divergence: Divergence | null
  message: string | null
  startedAt: string
  endedAt: string | null
}

/**
 * Connections that write the shadow. What a crash takes of it is read from the topics again, so
 * nobody waits for the disk.
 */
export const openShadow = (options: Omit<DatabaseOptions, 'settings'>): Database =>
  openDatabase({ ...options, settings: { search_path: 'shadow', synchronous_commit: 'off' } })

/** Runs `work`, unless another process leads. The lock ends with its session, however that ends. */
export async function whileLeading(url: string, work: () => Promise<void>): Promise<void> {
  const sql = openSession({ url, applicationName: 'saldo-balances-rebuild' })
  try {
    const [row] = await sql<
      { leads: boolean }[]
    >`select pg_try_advisory_lock(${advisoryLocks.rebuild}) as leads`
    if (row?.leads) await work()
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/**
 * Runs `work` while no other process changes what there is of a rebuild, in one transaction. What
 * it decides on still holds when it is committed. A competing statement that had to be given up is
 * tried again; tables that stay locked are a `Fault`.
 */
export async function changingRebuild<T>(
  sql: Database['sql'],
  work: (tx: Statements) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return (await sql.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(${advisoryLocks.rebuildRequest})`
        return work(tx)
      })) as T
    } catch (error) {
      const { sqlState } = violation(error) ?? {}
      if (sqlState === deadlockDetected && tries < 5) continue
      if (sqlState === deadlockDetected || sqlState === lockNotAvailable)
        throw new Fault('database_unavailable', 'the tables of the rebuild are in use: try again', {
          cause: error,
        })
      throw error
    }
  }
}

const deadlockDetected = '40P01'
const lockNotAvailable = '55P03'

/**
 * Empty tables, in place of those of an earlier rebuild that never came to its end. Entries get
 * their key when all are there, which is faster than keeping an index up to date. Who moves an
 * account stays as it was decided: partitions are read in another order than they were written in.
 */
export async function createShadow(
  tx: Statements,
  migrationsFolder: string,
  request: Pick<Rebuild, 'manual' | 'force'>,
): Promise<void> {
  await tx`drop schema if exists shadow cascade`
  await tx`create schema shadow`
  await tx`set local search_path = shadow`
  for (const statement of migrationStatements(migrationsFolder)) await tx.unsafe(statement)
  await tx`
    insert into balances (account_id, currency, balance_minor, version, source, opened, created_at, updated_at)
    select account_id, currency, 0, 0, source, false, created_at, created_at from public.balances where source is not null`
  await tx`alter table entries drop constraint entries_pkey`
  await tx`drop index entries_backdated`
  await tx`
    create table rebuild (
      state text not null default 'building', manual boolean not null, force boolean not null, bounds json, divergence json, message text,
      started_at timestamptz not null default clock_timestamp(), ended_at timestamptz
    )`
  await tx`insert into rebuild (manual, force) values (${request.manual}, ${request.force})`
}

/** The rebuild that goes on, or the last one there was. */
export async function findRebuild(sql: Statements): Promise<Rebuild | undefined> {
  // From the catalogue: to_regclass would answer from a cache, which does not know yet what was
  // committed while a lock was waited for.
  const [where] = await sql<{ schema: 'shadow' | 'previous' }[]>`
    select nspname as schema from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relname = 'rebuild' and nspname in ('shadow', 'previous') order by nspname desc limit 1`
  if (!where) return undefined
  const found = sql<Rebuild[]>`
    select state, manual, force, bounds, divergence, message,
      to_json(started_at at time zone 'utc')#>>'{}' || 'Z' as "startedAt", to_json(ended_at at time zone 'utc')#>>'{}' || 'Z' as "endedAt"
    from ${sql(where.schema)}.rebuild`
  try {
    return (await found)[0]
  } catch (error) {
    // It moved on between the two questions.
    if (violation(error)?.sqlState === undefinedTable) return findRebuild(sql)
    throw error
  }
}

/**
 * Changes a rebuild that is still the one that was looked at, and in the same state: false when it
 * was cancelled or begun again meanwhile.
 */
export async function updateRebuild(
  sql: Statements,
  { startedAt, state }: Pick<Rebuild, 'startedAt' | 'state'>,
  changes: Partial<Omit<Rebuild, 'startedAt' | 'endedAt'>>,
): Promise<boolean> {
  const { bounds, divergence, ...plain } = changes
  const { count } = await sql`
    update shadow.rebuild set ${sql({
      ...plain,
      ...(bounds === undefined ? {} : { bounds: JSON.stringify(bounds) }),
      ...(divergence === undefined ? {} : { divergence: JSON.stringify(divergence) }),
    } as never)}
    where state = ${state} and started_at = ${startedAt}::text::timestamptz`
  return count > 0
}

/**
 * Ends a rebuild before its tables serve. Its row stays, to say so; the tables go as soon as
 * nothing uses them.
 */
export async function cancelRebuild(tx: Statements): Promise<void> {
  await tx`update shadow.rebuild set state = 'cancelled', ended_at = now()`
}

/**
 * Drops the tables of a rebuild that was cancelled, all but how far it came. Nothing is done when
 * there are none.
 */
export async function dropCancelled(sql: Database['sql']): Promise<void> {
  await changingRebuild(sql, async (tx) => {
    const [cancelled] = await tx`select from shadow.rebuild where state = 'cancelled'`
    const filled = tables.filter((table) => table !== 'consumed_offsets')
    if (cancelled) for (const table of filled) await tx`drop table if exists shadow.${tx(table)} cascade`
  }).catch((error) => {
    // Somebody else was faster.
    if (violation(error)?.sqlState !== undefinedTable) throw error
  })
}

const undefinedTable = '42P01'

/** Whether a rebuild has tables: one that was cancelled loses them, and keeps its row. */
export async function hasShadowTables(sql: Statements): Promise<boolean> {
  const [row] = await sql<{ has: boolean }[]>`select to_regclass('shadow.balances') is not null as has`
  return row?.has ?? false
}

/** What is read. Positions on other topics, of which the tables may still have some, are nobody's concern. */
export type Source = { clusterId: string; topics: readonly string[] }

/**
 * How far the shadow is, and how far the tables that serve are, in one look. Those that serve come
 * first, as in the swap, so that whoever looks in the middle of one waits for it and holds nothing
 * that it wants.
 */
export async function readPositions(
  sql: Statements,
  { clusterId, topics }: Source,
): Promise<{ shadow: Map<string, bigint>; serving: Map<string, bigint> }> {
  const rows = await sql<{ place: string; made: bigint | null; served: bigint | null }[]>`
    select topic || '/' || partition as place, made.next_offset as made, served.next_offset as served
    from (select * from public.consumed_offsets where cluster_id = ${clusterId}) as served
    full join (select * from shadow.consumed_offsets where cluster_id = ${clusterId}) as made using (topic, partition)
    where topic = any(${arrayOf(topics)}::text[])`
  const of = (side: 'made' | 'served') => new Map(rows.map((row) => [row.place, row[side] ?? 0n]))
  return { shadow: of('made'), serving: of('served') }
}

/**
 * Gives the entries their key, once: of those told twice the first is kept, as it is where they are
 * written one by one.
 */
export async function indexShadow(sql: Sql<{ bigint: bigint }>): Promise<void> {
  const [indexed] = await sql<
    { done: boolean }[]
  >`select to_regclass('shadow.entries_pkey') is not null as done`
  if (indexed?.done) return
  // Of what moved these there is no record any more.
  await sql`delete from shadow.balances where version = 0 and source is not null`
  await giveKey(sql, { toldTwice: false }).catch((error) => {
    if (violation(error)?.sqlState !== '23505') throw error
    return giveKey(sql, { toldTwice: true })
  })
  await sql`analyze shadow.balances, shadow.entries, shadow.clients`
}

async function giveKey(sql: Sql<{ bigint: bigint }>, { toldTwice }: { toldTwice: boolean }): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`set local search_path = shadow`
    await tx`set local maintenance_work_mem = '256MB'`
    await tx`lock table entries in access exclusive mode`
    if (toldTwice)
      await tx`
        delete from entries using (
          select ctid as place, row_number() over (partition by account_id, version order by ctid) as turn from entries
        ) as told
        where entries.ctid = told.place and told.turn > 1`
    await tx`alter table entries add constraint entries_pkey primary key (account_id, version)`
    await tx`create index entries_backdated on entries (account_id, effective_at) where effective_at is not null`
  })
}

const accountsApart = (sql: Statements) => sql`
  select served.account_id from public.balances as served left join shadow.balances as made using (account_id)
  where made.account_id is null or made.version < served.version or served.opened > made.opened
    or (made.version = served.version and (made.balance_minor, made.held_minor, made.currency)
      is distinct from (served.balance_minor, served.held_minor, served.currency))`

const entriesApart = (sql: Statements) => sql`
  select served.account_id, version from public.entries as served left join shadow.entries as made using (account_id, version)
  where made.account_id is null
    or (made.balance_minor, made.held_minor) is distinct from (served.balance_minor, served.held_minor)
    or (served.amount_minor is not null and made.amount_minor is distinct from served.amount_minor)
    or (served.transaction_id is not null and made.transaction_id is distinct from served.transaction_id)`

/**
 * Compares in one snapshot. Undefined when the tables that serve are ahead of the shadow somewhere
 * in it, so that a difference would mean nothing. What the shadow has beyond them is no divergence.
 * In topics that were recreated the live positions are of the former one, and mean nothing.
 */
export function compareShadow(
  sql: Sql<{ bigint: bigint }>,
  source: Source,
  recreated: readonly string[],
): Promise<Divergence | undefined> {
  return sql.begin('isolation level repeatable read read only', async (tx) => {
    await tx`set local statement_timeout = 0`
    if (isAhead(await readPositions(tx, source), recreated)) return undefined
    const [row] = await tx<
      (Omit<Divergence, 'examples'> & { accountExamples: string[] | null; entryExamples: string[] | null })[]
    >`
      with accounts as (${accountsApart(tx)}), entries as (${entriesApart(tx)})
      select (select count(*)::integer from accounts) as accounts, (select count(*)::integer from entries) as entries,
        (select count(*)::integer from public.clients as served where not exists (select from shadow.clients where id = served.id)) as clients,
        (select count(*)::integer from shadow.balances) - (select count(*)::integer from public.balances)
          + (select count(*)::integer from public.balances as served where not exists (select from shadow.balances as made where made.account_id = served.account_id)) as "accountsAdded",
        (select count(*)::integer from shadow.entries) - (select count(*)::integer from public.entries)
          + (select count(*)::integer from entries) as "entriesAdded",
        (select json_agg('account ' || account_id) from (select * from accounts order by 1 limit 10) as sample) as "accountExamples",
        (select json_agg('account ' || account_id || ' version ' || version) from (select * from entries order by 1, 2 limit 10) as sample) as "entryExamples"`
    if (!row) throw new Error('counting answers with a row')
    const { accountExamples, entryExamples, ...counts } = row
    return { ...counts, examples: [...(accountExamples ?? []), ...(entryExamples ?? [])] }
  }) as Promise<Divergence | undefined>
}

const isAhead = (
  { shadow, serving }: { shadow: Map<string, bigint>; serving: Map<string, bigint> },
  recreated: readonly string[],
): boolean =>
  [...serving].some(([place, next]) => next > (shadow.get(place) ?? 0n) && !recreated.includes(place))

/**
 * Puts the shadow in place of the tables that serve, which are kept as `previous`. All at once: who
 * reads sees the one or the other, and who writes waits meanwhile and finds the positions of the
 * new tables. False, and nothing is done, when the shadow is behind anywhere, or an account that
 * was equal before is not any more.
 */
export async function swapShadow(
  sql: Sql<{ bigint: bigint }>,
  source: Source,
  { force, startedAt }: Pick<Rebuild, 'force' | 'startedAt'>,
  recreated: readonly string[],
): Promise<boolean> {
  return changingRebuild(sql, async (tx) => {
    const [current] =
      await tx`select from shadow.rebuild where state = 'building' and started_at = ${startedAt}::text::timestamptz`
    if (!current) return false
    await lockServing(tx)
    if (isAhead(await readPositions(tx, source), recreated)) return false
    if (!force && (await tx`${accountsApart(tx)} limit 1`).length > 0) return false
    // What the dead-letter topic has of a record it has, whichever table kept it aside.
    await tx`
      update shadow.dead_letters as made set sent_at = served.sent_at, attempts = served.attempts from public.dead_letters as served
      where (served.cluster_id, served.topic, served.partition, served.record_offset)
        = (made.cluster_id, made.topic, made.partition, made.record_offset)
        and (served.record_at, served.value) is not distinct from (made.record_at, made.value)`
    await tx`update shadow.rebuild set state = 'swapped', ended_at = now()`
    await tx`drop schema if exists previous cascade`
    await tx`create schema previous`
    await change(tx, 'public', 'previous')
    await change(tx, 'shadow', 'public')
    await tx`alter table shadow.rebuild set schema previous`
    await tx`drop schema shadow cascade`
    return true
  })
}

/**
 * Who applies records listens here: the positions are older than they were. Who misses it finds out
 * with the next record of each partition.
 */
export const tablesChannel = 'saldo_tables'

/**
 * Puts the tables back that served before the last swap. What came since is applied again from the
 * topics. False when there are none of this version.
 */
export async function rollBack(tx: Statements): Promise<boolean> {
  if (!(await isOfThisVersion(tx, 'previous'))) return false
  await lockServing(tx)
  await tx`drop schema if exists shadow cascade`
  await tx`create schema shadow`
  await change(tx, 'public', 'shadow')
  await change(tx, 'previous', 'public')
  await tx`drop schema shadow cascade`
  await tx`update previous.rebuild set state = 'rolled_back', ended_at = now()`
  await tx`select pg_notify(${tablesChannel}, '')`
  return true
}

/**
 * Whether the tables of a schema are those that serve, column by column: a migration in between
 * changes these alone.
 */
export async function isOfThisVersion(sql: Statements, schema: 'shadow' | 'previous'): Promise<boolean> {
  const columnsOf = (name: string) => sql`
    select table_name, column_name, data_type, is_nullable from information_schema.columns
    where table_schema = ${name} and table_name = any(${arrayOf(tables)}::text[])`
  const [compared] = await sql<{ same: boolean }[]>`
    select not exists ((${columnsOf('public')}) except (${columnsOf(schema)}))
      and not exists ((${columnsOf(schema)}) except (${columnsOf('public')})) as same`
  return compared?.same ?? false
}

async function lockServing(tx: Statements): Promise<void> {
  await tx`set local lock_timeout = '5s'`
  for (const table of tables) await tx`lock table public.${tx(table)} in access exclusive mode`
}

async function change(tx: Statements, from: string, to: string): Promise<void> {
  for (const table of tables) await tx`alter table ${tx(from)}.${tx(table)} set schema ${tx(to)}`
}
