/**
 * `rebuild` for people at a terminal: asks for what POST /rebuild asks for, shows how far it is, and carries it out when no service does.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  type RebuildCoordinator,
  type RebuildProgress,
  startRebuildCoordinator,
} from '../balances/rebuild/coordinator'
import { contradictionIn, type RebuildRequest } from '../balances/rebuild/transitions'
import { type Environment, readReadSideConfig } from '../config/config'
import { Fault, SetupError, UsageError } from '../platform/fault'
import { connectKafka } from '../platform/kafka/client'
import { openDatabase } from '../platform/postgres/database'
import { withUnavailableFault } from '../platform/postgres/failures'
import { prepareDatabase } from '../platform/postgres/migrate'
import { formatProgress } from '../platform/process/progress-bar'
import { pause } from '../platform/process/retry'
import { createLog } from '../platform/telemetry/log'

const migrationsFolder = join(import.meta.dir, '../../migrations/balances')
const everyMs = 1000
/** How long a database that does not answer is asked again, in milliseconds. */
const patienceMs = 5000

export const rebuild = {
  usage: 'rebuild [--manual] [--force] | --swap [--force] | --rollback | --cancel | --status',
  about: 'makes the tables of the read side again from the topics while they serve, and puts them in place',
  /**
   * 0 when it came to its end or is ready, 1 when the tables differ, it was cancelled meanwhile, or
   * the request was refused.
   */
  async run(args: string[], env: Environment, signal: AbortSignal): Promise<number> {
    const request = parseRequest(args)
    const config = { ...readReadSideConfig(env), logLevel: 'error' as const }
    const { url, prepare } = config.database
    const log = createLog({ service: 'rebuild', level: 'error', format: 'pretty' })
    const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)])
    const database = openDatabase({ url, prepare, poolMax: 2, applicationName: 'saldo-rebuild' })
    const kafka = connectKafka(config.kafka, log)
    let rebuilding: RebuildCoordinator | undefined
    try {
      await withUnavailableFault(
        prepareDatabase({ url, folder: migrationsFolder, migrate: false, log, signal: patience }),
      )
      rebuilding = startRebuildCoordinator({ database, kafka, config, migrationsFolder, log })
      return await follow(rebuilding, request, signal)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      throw new SetupError(`${error.message}. Run npm start, or check DATABASE_URL and KAFKA_BROKERS.`)
    } finally {
      await rebuilding?.stop()
      await kafka.close()
      await database.close()
    }
  },
}

/** Undefined for `--status`. Options that contradict one another are a `UsageError`. */
export function parseRequest(args: string[]): RebuildRequest | undefined {
  const flag = { type: 'boolean', default: false } as const
  const options = { manual: flag, force: flag, swap: flag, rollback: flag, cancel: flag, status: flag }
  const { manual, force, ...verbs } = parseArgs({ args, options }).values
  const given = (['swap', 'rollback', 'cancel', 'status'] as const).filter((one) => verbs[one])
  if (given.length > 1) throw new UsageError(`--${given.join(' and --')} exclude one another.`)
  const [verb = 'start'] = given
  if (verb === 'status' && (manual || force)) throw new UsageError('--status takes no other option.')
  const request: RebuildRequest = { action: verb === 'status' ? 'start' : verb, manual, force }
  const fault = contradictionIn(request)
  if (fault) throw new UsageError(`--${fault.member} has no meaning with --${verb}.`)
  return verb === 'status' ? undefined : request
}

/** Without a request it only tells how things stand. */
async function follow(
  rebuilding: RebuildCoordinator,
  request: RebuildRequest | undefined,
  signal: AbortSignal,
): Promise<number> {
  const refusal = request && (await rebuilding.request(request))
  if (refusal && refusal !== 'already_building') {
    console.error(`Refused: ${refusal.replaceAll('_', ' ')}.`)
    return 1
  }
  for (;;) {
    const progress = await rebuilding.status()
    console.error(progress ? lineOf(progress) : 'There is no rebuild.')
    if (!request) return progress?.state === 'refused' ? 1 : 0
    if (progress?.state === 'cancelled' && request.action !== 'cancel') return 1
    if (progress?.state !== 'building') return progress?.state === 'refused' ? 1 : 0
    if (signal.aborted)
      console.error('It is left where it is: a service goes on with it, or the same command.')
    if (signal.aborted) return 0
    await pause(everyMs, signal)
  }
}

function lineOf({ state, bounds, done, total, elapsedMs, message }: RebuildProgress): string {
  if (!bounds) return `${state}: asks the broker how much there is`
  const counted = formatProgress({ unit: 'records', total: Number(total), done: Number(done), elapsedMs })
  return `${state}: ${counted}${message ? `\n${message}` : ''}`
}
