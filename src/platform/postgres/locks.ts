import { openSession } from './database'

/**
 * All advisory lock numbers, in one place so that they differ: PostgreSQL has a single space of
 * numbers per database, for session and transaction locks alike. A released number keeps its meaning,
 * since replicas of two versions run side by side.
 */
export const advisoryLocks = {
  /** Migrations and seeds, in either database. */
  preparation: 7_236_015_001,
  /** The leader that publishes the wallet's outbox. */
  relay: 7_236_015_002,
  /** Wallet batches that lost too many races. */
  contention: 7_236_015_003,
  /** Assigns versions to events without one. */
  projection: 7_236_015_004,
  /** The process that runs a rebuild. */
  rebuild: 7_236_015_005,
  /** The process that publishes dead letters. */
  deadLetterPublisher: 7_236_015_006,
  /** Starting, swapping, rolling back or cancelling a rebuild. */
  rebuildRequest: 7_236_015_007,
} as const

/**
 * Runs `work` unless another session holds the lock: undefined then. The lock ends with its session, so a
 * process that is killed leaves none.
 */
export async function whileHolding<T>(
  lock: number | bigint,
  { url, applicationName }: { url: string; applicationName: string },
  work: () => Promise<T>,
): Promise<T | undefined> {
  const sql = openSession({ url, applicationName })
  try {
    const [row] = await sql<{ acquired: boolean }[]>`
      select pg_try_advisory_lock(${String(lock)}::bigint) as acquired`
    return row?.acquired ? await work() : undefined
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/**
 * The same for any name, on 64 bits of its hash: no number above is likely to be one. The lock is that of a
 * transaction, which a pooler releases, too. `work` uses other connections, and does not end with the lock.
 */
export async function whileHoldingName<T>(
  name: string,
  session: { url: string; prepare: boolean; applicationName: string },
  work: () => Promise<T>,
): Promise<T | undefined> {
  const lock = new Bun.CryptoHasher('sha256').update(name).digest().readBigInt64BE()
  const sql = openSession(session)
  let working: Promise<T> | undefined
  const held = sql.begin(async (tx) => {
    await tx`set local idle_in_transaction_session_timeout = 0`
    const [row] = await tx<{ acquired: boolean }[]>`
      select pg_try_advisory_xact_lock(${String(lock)}::bigint) as acquired`
    if (row?.acquired) working = work()
    await working
  })
  try {
    await held.catch((error) => {
      if (!working) throw error
    })
    return await working
  } finally {
    await sql.end({ timeout: 1 })
  }
}
