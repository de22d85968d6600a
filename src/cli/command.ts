/** What commands share: their shape, and a migrated database with a remedy where it cannot be reached. */
import { join } from 'node:path'
import type { Environment } from '../config/config'
import { Fault, SetupError } from '../platform/fault'
import { type Database, openDatabase } from '../platform/postgres/database'
import { withUnavailableFault } from '../platform/postgres/failures'
import { type Preparation, prepareDatabase } from '../platform/postgres/migrate'
import { createLog, type Log } from '../platform/telemetry/log'

export type Command = {
  usage: string
  about: string
  /**
   * Returns the exit code. Stops in good order when the signal aborts. Throws `UsageError`, or what
   * `parseArgs` throws, for bad arguments, before doing anything.
   */
  run(args: string[], env: Environment, signal: AbortSignal): Promise<number>
}

/** How long to wait for a database that does not answer, in milliseconds. */
const connectTimeoutMs = 5000

export const migrationsOf = (service: 'wallet' | 'balances'): string =>
  join(import.meta.dir, '../../migrations', service)

type DatabaseCommand = Pick<Preparation, 'url'> & {
  name: string
  service: 'wallet' | 'balances'
  prepare?: boolean
  /** Migrates; without it the schema is only checked. */
  migration?: Pick<Preparation, 'ownerUrl' | 'grants' | 'grantMore'>
  /** When the database, or anything else that `work` uses, cannot be reached. */
  remedy: string
  signal: AbortSignal
}

/** Throws `SetupError`, with a remedy, when the database or the broker cannot be reached. */
export async function withDatabase<T>(
  { name, service, url, prepare = true, migration, remedy, signal }: DatabaseCommand,
  work: (database: Database, log: Log) => Promise<T>,
): Promise<T> {
  const log = createLog({ service: name, level: 'error', format: 'pretty' })
  const database = openDatabase({ url, prepare, poolMax: 2, applicationName: `saldo-${name}` })
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(connectTimeoutMs)])
  try {
    const folder = migrationsOf(service)
    const preparation = { url, folder, migrate: migration !== undefined, log, signal: timeout, ...migration }
    return await withUnavailableFault(prepareDatabase(preparation).then(() => work(database, log)))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new SetupError(`${error.message}. ${remedy}`)
  } finally {
    await database.close()
  }
}
