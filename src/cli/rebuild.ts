/**
 * `rebuild` at a terminal: requests what POST /rebuild does, shows progress, and runs the rebuild itself
 * where no service does.
 */
import { parseArgs } from 'node:util'
import { checkVerification } from '../balances/projection/verification'
import { RebuildCoordinator, type RebuildProgress } from '../balances/rebuild/coordinator'
import { contradictionIn, type RebuildRequest } from '../balances/rebuild/transitions'
import { readReadSideConfig, remedyOf } from '../config/config'
import { UsageError } from '../platform/fault'
import { formatProgress } from '../platform/process/progress-bar'
import { pause } from '../platform/process/retry'
import { type Command, migrationsOf, withDatabase } from './command'

const everyMs = 1000

export const rebuild: Command = {
  usage: 'rebuild [--manual] [--force] | --swap [--force] | --rollback | --cancel | --status',
  about: 'rebuilds the read model from the topics without downtime and swaps it in',
  /**
   * 0 complete or ready; 1 the tables differ, the request was refused, or the rebuild was cancelled
   * meanwhile.
   */
  async run(args, env, signal) {
    const request = parseRequest(args)
    const config = { ...readReadSideConfig(env), logLevel: 'error' as const }
    const options = {
      name: 'rebuild',
      service: 'balances',
      remedy: remedyOf(env, ['DATABASE_URL', 'KAFKA_BROKERS']),
      signal,
    } as const
    return withDatabase({ ...options, ...config.database }, async (database, log) => {
      await checkVerification(database.sql, config.events)
      const migrationsFolder = migrationsOf('balances')
      const coordinator = new RebuildCoordinator({ database, config, migrationsFolder, log })
      const stopping = new AbortController()
      const running = coordinator.run(stopping.signal)
      try {
        return await follow(coordinator, request, signal)
      } finally {
        stopping.abort()
        await running
      }
    })
  },
}

/** Undefined for `--status`. Throws `UsageError` for options that contradict each other. */
export function parseRequest(args: string[]): RebuildRequest | undefined {
  const flag = { type: 'boolean', default: false } as const
  const options = { manual: flag, force: flag, swap: flag, rollback: flag, cancel: flag, status: flag }
  const { manual, force, ...verbs } = parseArgs({ args, options }).values
  const given = (['swap', 'rollback', 'cancel', 'status'] as const).filter((one) => verbs[one])
  if (given.length > 1) throw new UsageError(`--${given.join(' and --')} are mutually exclusive.`)
  const [verb = 'start'] = given
  if (verb === 'status' && (manual || force)) throw new UsageError('--status takes no other options.')
  const request: RebuildRequest = { action: verb === 'status' ? 'start' : verb, manual, force }
  const fault = contradictionIn(request)
  if (fault) throw new UsageError(`--${fault.member} cannot be combined with --${verb}.`)
  return verb === 'status' ? undefined : request
}

/** Without a request it shows the status once. */
async function follow(
  coordinator: RebuildCoordinator,
  request: RebuildRequest | undefined,
  signal: AbortSignal,
): Promise<number> {
  const outcome = request && (await coordinator.request(request))
  if (outcome?.kind === 'refused' && outcome.refusal !== 'already_building') {
    const remedy = outcome.refusal === 'owner_needed' ? ': set MIGRATION_DATABASE_URL' : ''
    console.error(`Refused: ${outcome.refusal.replaceAll('_', ' ')}${remedy}.`)
    return 1
  }
  for (;;) {
    const progress = await coordinator.status()
    console.error(progress ? lineOf(progress) : 'No rebuild.')
    if (!request) return progress?.state === 'refused' ? 1 : 0
    if (progress?.state === 'cancelled' && request.action !== 'cancel') return 1
    if (progress?.state !== 'building') return progress?.state === 'refused' ? 1 : 0
    if (signal.aborted)
      console.error('Interrupted: a service resumes the rebuild, or run the same command again.')
    if (signal.aborted) return 0
    await pause(everyMs, signal)
  }
}

function lineOf({ state, bounds, done, total, elapsedMs, message }: RebuildProgress): string {
  if (!bounds) return `${state}: reading topic offsets`
  const counted = formatProgress({ unit: 'records', total: Number(total), done: Number(done), elapsedMs })
  return `${state}: ${counted}${message ? `\n${message}` : ''}`
}
