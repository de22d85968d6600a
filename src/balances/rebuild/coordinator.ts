/**
 * Makes the tables of the read side again from the topics while the others go on serving, compares
 * the two, and lets them change places. All that is known of a rebuild is in the database: whoever
 * is killed in the middle, the next process goes on where the tables are.
 */
import type { ServiceConfig } from '../../config/config'
import { messageOf } from '../../platform/fault'
import type { Kafka } from '../../platform/kafka/client'
import type { Database } from '../../platform/postgres/database'
import { violation } from '../../platform/postgres/failures'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { subscriptionOf } from '../projection/topics'
import {
  type Bounds,
  cancelRebuild,
  changingRebuild,
  createShadow,
  dropCancelled,
  findRebuild,
  hasShadowTables,
  isOfThisVersion,
  type Rebuild,
  readPositions,
  rollBack,
  updateRebuild,
  whileLeading,
} from './shadow-store'
import type { Ended } from './worker'

export const rebuildActions = ['start', 'swap', 'rollback', 'cancel'] as const
export type RebuildAction = (typeof rebuildActions)[number]
export type RebuildRequest = { action: RebuildAction; manual: boolean; force: boolean }

/**
 * The member of a request that has no meaning beside its action: what is swapped or cancelled waits
 * for nothing, what is cancelled forces nothing.
 */
export function contradictionIn({
  action,
  manual,
  force,
}: RebuildRequest): { member: 'manual' | 'force' } | undefined {
  if (manual && action !== 'start') return { member: 'manual' }
  if (force && action !== 'start' && action !== 'swap') return { member: 'force' }
}

/** Why a request is not followed. A code, once released, keeps its name. */
export type RebuildRefusal =
  | 'already_building'
  | 'nothing_to_swap'
  | 'diverges'
  | 'nothing_to_roll_back'
  | 'nothing_to_cancel'

/** Records read, of those that the topics had when it began, and for how long, in milliseconds. */
export type RebuildProgress = Rebuild & { done: bigint; total: bigint; elapsedMs: number }

export type RebuildCoordinator = {
  status(): Promise<RebuildProgress | undefined>
  request(request: RebuildRequest): Promise<RebuildRefusal | undefined>
  /** Leaves an unfinished rebuild where it is. */
  stop(): Promise<void>
}

export type RebuildCoordinatorOptions = {
  database: Database
  kafka: Kafka
  config: ServiceConfig
  migrationsFolder: string
  log: Log
  /** How often it looks for a rebuild that another process has left, in milliseconds. */
  pollMs?: number
}

/** What is to be done about a request, given the rebuild there is. */
export function checkTransition(
  current: Pick<Rebuild, 'state'> | undefined,
  { action, force }: RebuildRequest,
): RebuildRefusal | undefined {
  const state = current?.state
  const isOpen = state === 'building' || state === 'ready' || state === 'refused'
  // After a rebuild that was cancelled, the tables from before the last swap are still there, if
  // there was one.
  const mayRollBack = state === 'swapped' || state === 'cancelled'
  if (action === 'start') return state === 'building' ? 'already_building' : undefined
  if (action === 'swap' && state === 'refused') return force ? undefined : 'diverges'
  if (action === 'swap') return state === 'ready' ? undefined : 'nothing_to_swap'
  if (action === 'rollback') return mayRollBack ? undefined : 'nothing_to_roll_back'
  return isOpen ? undefined : 'nothing_to_cancel'
}

/** Carries rebuilds out, one process at a time, from the moment it is called until it is stopped. */
export function startRebuildCoordinator(options: RebuildCoordinatorOptions): RebuildCoordinator {
  const { database, kafka, config, migrationsFolder, log, pollMs = 5000 } = options
  const { sql } = database
  const stopping = new AbortController()
  let woken = new AbortController()
  /** Why it does not go on, where it is carried out by this process. */
  let trouble: string | null = null

  /** Looks once more, since whoever led until now may have brought it to its end. */
  const lead = async () => {
    const current = await findRebuild(sql)
    if (current?.state === 'cancelled') return dropCancelled(sql)
    if (current?.state !== 'building') return
    if (!(await isOfThisVersion(sql, 'shadow'))) {
      log.warn({}, 'restarting a rebuild begun by a different version')
      await changingRebuild(sql, async (tx) => {
        const latest = await findRebuild(tx)
        if (latest?.state === 'building') await createShadow(tx, migrationsFolder, latest)
      })
    }
    await onThread(config, stopping.signal)
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      woken = new AbortController()
      try {
        const state = (await findRebuild(sql))?.state
        if (state === 'building' || (state === 'cancelled' && (await hasShadowTables(sql))))
          await whileLeading(config.database.url, lead)
        trouble = null
      } catch (error) {
        trouble = messageOf(error)
        if (!stopping.signal.aborted) log.warn({}, `the rebuild waits: ${trouble}`)
      }
      await pause(pollMs, AbortSignal.any([woken.signal, stopping.signal]))
    }
  })()

  return {
    async status() {
      const current = await findRebuild(sql)
      if (!current) return undefined
      const done = current.bounds ? await doneOf(current.bounds) : 0n
      return measure({ ...current, message: current.message ?? trouble }, done)
    },
    async request(request) {
      const refusal = await changingRebuild(sql, (tx) => follow(tx, request))
      if (refusal) return refusal
      log.info(request, 'rebuild asked for')
      woken.abort()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }

  /**
   * Decides and does it in one transaction, so that of two requests the second finds what the first
   * has done.
   */
  async function follow(tx: Statements, request: RebuildRequest): Promise<RebuildRefusal | undefined> {
    const current = await findRebuild(tx)
    const refusal = checkTransition(current, request)
    if (refusal) return refusal
    const { action, manual, force } = request
    if (action === 'start') await createShadow(tx, migrationsFolder, { manual, force })
    if (action === 'swap' && current)
      await updateRebuild(tx, current, { state: 'building', manual: false, force })
    if (action === 'cancel') await cancelRebuild(tx)
    if (action === 'rollback' && !(await rollBack(tx))) return 'nothing_to_roll_back'
  }

  /** All of it once the tables have changed places: there is no shadow then. */
  async function doneOf(bounds: Bounds): Promise<bigint> {
    const source = { clusterId: await kafka.clusterId(), topics: subscriptionOf(config.kafka).topics }
    const { shadow } = await readPositions(sql, source).catch((error) => {
      if (violation(error)?.sqlState === '42P01') return { shadow: undefined }
      throw error
    })
    return Object.entries(bounds).reduce((sum, [place, { first, end }]) => {
      const next = shadow ? (shadow.get(place) ?? 0n) : BigInt(end)
      const reached = next < BigInt(end) ? next : BigInt(end)
      return sum + (reached > BigInt(first) ? reached - BigInt(first) : 0n)
    }, 0n)
  }
}

/** Resolves when the thread has ended its work, or left it. Throws what stopped it. */
async function onThread(config: ServiceConfig, signal: AbortSignal): Promise<void> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url).href)
  const stop = () => worker.postMessage('stop')
  try {
    const { trouble } = await new Promise<Ended>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
      worker.postMessage(config)
      signal.addEventListener('abort', stop)
      if (signal.aborted) stop()
    })
    if (trouble !== null) throw new Error(trouble)
  } finally {
    signal.removeEventListener('abort', stop)
    worker.terminate()
  }
}

function measure(current: Rebuild, done: bigint): RebuildProgress {
  const bounds = Object.values(current.bounds ?? {})
  const total = bounds.reduce((sum, { first, end }) => sum + BigInt(end) - BigInt(first), 0n)
  const until = current.endedAt ? Date.parse(current.endedAt) : Date.now()
  return { ...current, done, total, elapsedMs: Math.max(1, until - Date.parse(current.startedAt)) }
}
