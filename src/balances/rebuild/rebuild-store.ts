/**
 * The state of a rebuild. All of it is in the database, so any process can resume after a crash: one
 * row, in schema `shadow` until the swap and in `previous` from then on.
 */
import { Fault } from '../../platform/fault'
import type { Database } from '../../platform/postgres/database'
import { violation } from '../../platform/postgres/failures'
import { advisoryLocks, whileHolding } from '../../platform/postgres/locks'
import type { Statements } from '../../platform/postgres/statements'

export const rebuildStates = ['building', 'ready', 'refused', 'swapped', 'rolled_back', 'cancelled'] as const
export type RebuildState = (typeof rebuildStates)[number]

/** Offsets by `topic/partition`. */
export type Bounds = Record<string, { first: string; end: string }>

/** Rows that the rebuilt tables lack or have differently, and rows that only they have. */
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
  /** Swap only on request. */
  manual: boolean
  /** Swap despite differences. */
  force: boolean
  /** The topics at the start: what has to be read at least. Null until the broker has answered. */
  bounds: Bounds | null
  divergence: Divergence | null
  message: string | null
  startedAt: string
  endedAt: string | null
}

/** Runs `work` unless another process leads. */
export const whileLeading = (url: string, work: () => Promise<void>): Promise<void> =>
  whileHolding(advisoryLocks.rebuild, { url, applicationName: 'saldo-balances-rebuild' }, work)

/**
 * Runs `work` in one transaction, and alone among all that change a rebuild: what it decides on still
 * holds at the commit. Retries on a deadlock; tables that stay locked are a `Fault`.
 */
export async function withRebuildLock<T>(
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

/** Whether these connections may change the tables themselves, and not only their rows. */
export async function ownsTables(sql: Statements): Promise<boolean> {
  const [row] = await sql<{ owns: boolean }[]>`
    select pg_has_role(relowner, 'member') as owns from pg_class where oid = 'public.balances'::regclass`
  return row?.owns ?? false
}

/** In the schema of the search path. */
export async function createRebuild(
  tx: Statements,
  { manual, force }: Pick<Rebuild, 'manual' | 'force'>,
): Promise<void> {
  await tx`
    create table rebuild (
      state text not null default 'building', manual boolean not null, force boolean not null,
      bounds json, divergence json, message text,
      started_at timestamptz not null default clock_timestamp(), ended_at timestamptz
    )`
  await tx`insert into rebuild (manual, force) values (${manual}, ${force})`
}

/** The current rebuild, or the last one. */
export async function findRebuild(sql: Statements): Promise<Rebuild | undefined> {
  // From the catalogue: the cache of to_regclass may lack what was committed while we waited for a lock.
  const [where] = await sql<{ schema: 'shadow' | 'previous' }[]>`
    select nspname as schema from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relname = 'rebuild' and nspname in ('shadow', 'previous') order by nspname desc limit 1`
  if (!where) return undefined
  const found = sql<Rebuild[]>`
    select state, manual, force, bounds, divergence, message,
      started_at as "startedAt", ended_at as "endedAt"
    from ${sql(where.schema)}.rebuild`
  try {
    return (await found)[0]
  } catch (error) {
    // It moved to the other schema between the two queries.
    if (isUndefinedTable(error)) return findRebuild(sql)
    throw error
  }
}

/** Updates a rebuild unless it was restarted, cancelled or otherwise changed since: false then. */
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

/** Before the swap. The row stays, to show that; the tables are dropped once they are unused. */
export async function cancelRebuild(tx: Statements): Promise<void> {
  await tx`update shadow.rebuild set state = 'cancelled', ended_at = now()`
}

export const isUndefinedTable = (error: unknown): boolean => violation(error)?.sqlState === '42P01'
