/** What commands share: their shape, and a migrated database with a remedy where it cannot be reached. */
import { join } from 'node:path'
import { type Environment, type ServiceName, serviceNames } from '../config/config'
import { oneOf } from '../config/parsers'
import { Fault, SetupError, UsageError } from '../platform/fault'
import { type Database, openDatabase } from '../platform/postgres/database'
import { withUnavailableFault } from '../platform/postgres/failures'
import { type Preparation, prepareDatabase } from '../platform/postgres/migrate'
import { createLog, type Log } from '../platform/telemetry/log'
import type { exitCodes } from './exit-codes'
import { type Options, type Syntax, type ValuesOf, value } from './options'

type ExitName = keyof typeof exitCodes

/** What a command is given beside its options. */
export type Context = {
  env: Environment
  /** Aborts at SIGINT and SIGTERM: stop in good order. */
  signal: AbortSignal
  json: boolean
  positionals: string[]
  /** A line on standard output. Diagnostics and progress go to standard error. */
  print(line: string): Promise<void> | void
}

export type Command = Partial<Syntax> & {
  /** One sentence, for lists of commands. */
  about: string
  details?: readonly string[]
  /** Instead of options and `run`: commands of their own, such as `keys create`. */
  verbs?: Readonly<Record<string, Command>>
  examples?: readonly string[]
  /** The output of `--json`. Members are added, never removed or renamed. */
  json?: { example: unknown; perLine?: true }
  /** Exit codes that mean something more special than for every command. */
  exits?: Partial<Record<ExitName, string>>
  /** What Ctrl-C leaves. */
  interrupted?: string
  /**
   * Returns the exit code. Throws `UsageError` for options that are wrong together, before doing
   * anything.
   */
  // biome-ignore lint/suspicious/noExplicitAny: typed by `defineCommand`.
  run?(options: any, context: Context): Promise<number>
}

/** A command whose `run` is given the values of its own options. */
export const defineCommand = <O extends Options>(
  command: Omit<Command, 'options' | 'run' | 'verbs'> & {
    options: O
    run(options: ValuesOf<O>, context: Context): Promise<number>
  },
): Command & typeof command => command

/** The service whose database is meant, where a command works on either. */
export const serviceOption = value(
  'SERVICE',
  'wallet or balances; by default SERVICE of the environment',
  oneOf(...serviceNames),
)

/** Throws `UsageError` where neither the option nor the environment names one. */
export function serviceOf(service: ServiceName | undefined, env: Environment): ServiceName {
  const name = service ?? serviceNames.find((one) => one === env.SERVICE)
  if (name) return name
  throw new UsageError(`Say --service ${serviceNames.join(' or --service ')}.`)
}

/** How long to wait for a database that does not answer, in milliseconds. */
export const connectTimeoutMs = 5000

export const migrationsOf = (service: 'wallet' | 'balances'): string =>
  join(import.meta.dir, '../../migrations', service)

type DatabaseCommand = Pick<Preparation, 'url'> & {
  name: string
  service: 'wallet' | 'balances'
  prepare?: boolean
  /** When the database, or anything else that `work` uses, cannot be reached. */
  remedy: string
  signal: AbortSignal
}

/**
 * A database that is migrated. Throws `SetupError`, with a remedy, when it is not, or when the database or
 * the broker cannot be reached.
 */
export async function withDatabase<T>(
  { name, service, url, prepare = true, remedy, signal }: DatabaseCommand,
  work: (database: Database, log: Log) => Promise<T>,
): Promise<T> {
  const log = createLog({ service: name, level: 'error', format: 'pretty' })
  const database = openDatabase({ url, prepare, poolMax: 2, applicationName: `saldo-${name}` })
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(connectTimeoutMs)])
  try {
    const folder = migrationsOf(service)
    const preparation = { url, folder, migrate: false, log, signal: timeout }
    return await withUnavailableFault(prepareDatabase(preparation).then(() => work(database, log)))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new SetupError(`${error.message}. ${remedy}`)
  } finally {
    await database.close()
  }
}
