/**
 * `rebuild` at a terminal: requests what POST /rebuild does, shows progress, and runs the rebuild itself
 * where no service does.
 */
import { checkVerification } from '../balances/projection/verification'
import { RebuildCoordinator, type RebuildProgress } from '../balances/rebuild/coordinator'
import { presentRebuild } from '../balances/rebuild/presentation'
import type { RebuildRequest } from '../balances/rebuild/transitions'
import { environmentOf, readReadSideConfig, remedyOf } from '../config/config'
import { formatProgress } from '../platform/process/progress-bar'
import { pause } from '../platform/process/retry'
import { defineCommand, migrationsOf, withDatabase } from './command'
import { exitCodes } from './exit-codes'
import { flag } from './options'

const everyMs = 1000

const actions = ['swap', 'rollback', 'cancel', 'status'] as const

export const rebuild = defineCommand({
  about: 'rebuilds the read model from the topics without downtime and swaps it in',
  details: ['Without an option it builds, compares and swaps: docs/operations.md#rebuilding-the-read-model.'],
  options: {
    manual: flag('stops before the swap, and waits for --swap'),
    force: flag('swaps although the new tables lack something, or starts a rebuild that does'),
    swap: flag('swaps in what was built'),
    rollback: flag('swaps the tables from before back in'),
    cancel: flag('gives up what is being built'),
    status: flag('only shows the state of the last rebuild'),
  },
  exclusive: [
    [...actions],
    ...(['rollback', 'cancel', 'status'] as const).map((action) => ['force', action]),
    ...actions.map((action) => ['manual', action]),
  ],
  examples: [
    'docker compose exec balances saldo rebuild',
    'saldo rebuild --manual && saldo rebuild --swap',
    'saldo rebuild --status --json',
  ],
  json: {
    example: {
      state: 'swapped',
      records: { done: 55, total: 55 },
      per_second: 110,
      seconds_left: 0,
      divergence: null,
      message: null,
      manual: false,
      force: false,
      started_at: '2026-01-31T00:00:00.000Z',
      ended_at: '2026-01-31T00:00:01.000Z',
    },
  },
  exits: {
    failed: 'The tables differ (state `refused`), the request was refused, it was cancelled, or it failed.',
  },
  interrupted:
    'The live tables serve as before, and what was built is kept: a service resumes it, ' +
    'or run the command again.',
  async run(options, { env, signal, json, print }) {
    const own = environmentOf(env, 'balances')
    const config = { ...readReadSideConfig(own), logLevel: 'error' as const }
    const remedy = remedyOf(own, ['DATABASE_URL', 'KAFKA_BROKERS'])
    const connection = { name: 'rebuild', service: 'balances', remedy, signal } as const
    return withDatabase({ ...connection, ...config.database }, async (database, log) => {
      await checkVerification(database.sql, config.events)
      const migrationsFolder = migrationsOf('balances')
      const coordinator = new RebuildCoordinator({ database, config, migrationsFolder, log })
      const stopping = new AbortController()
      const running = coordinator.run(stopping.signal)
      try {
        const code = await follow(coordinator, requestOf(options), signal)
        if (json) await print(JSON.stringify(presentRebuild(await coordinator.status())))
        return code
      } finally {
        stopping.abort()
        await running
      }
    })
  },
})

type RebuildOptions = Record<'manual' | 'force' | (typeof actions)[number], boolean>

/** Undefined for `--status`. */
function requestOf(options: RebuildOptions): RebuildRequest | undefined {
  const action = actions.find((one) => options[one]) ?? 'start'
  const { manual, force } = options
  return action === 'status' ? undefined : { action, manual, force }
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
    return exitCodes.failed
  }
  for (;;) {
    const progress = await coordinator.status()
    console.error(progress ? lineOf(progress) : 'No rebuild.')
    if (!request) return progress?.state === 'refused' ? exitCodes.failed : exitCodes.done
    if (progress?.state === 'cancelled' && request.action !== 'cancel') return exitCodes.failed
    if (progress?.state !== 'building')
      return progress?.state === 'refused' ? exitCodes.failed : exitCodes.done
    if (signal.aborted) return exitCodes.done
    await pause(everyMs, signal)
  }
}

function lineOf({ state, bounds, done, total, elapsedMs, message }: RebuildProgress): string {
  if (!bounds) return `${state}: reading topic offsets`
  const counted = formatProgress({ unit: 'records', total: Number(total), done: Number(done), elapsedMs })
  return `${state}: ${counted}${message ? `\n${message}` : ''}`
}
