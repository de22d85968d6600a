/**
 * Rebuilds the read model from the topics while the live tables are served: requests, progress, and
 * one process at a time that runs what was requested. See `rebuild-store.ts` for the state.
 */
import type { ServiceConfig } from '../../config/config'
import { messageOf } from '../../platform/fault'
import type { Kafka } from '../../platform/kafka/client'
import type { Database } from '../../platform/postgres/database'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Check, Part } from '../../platform/process/service'
import type { Log } from '../../platform/telemetry/log'
import { subscriptionOf } from '../projection/topics'
import { readOffsets } from './comparison-store'
import {
  type Bounds,
  cancelRebuild,
  findRebuild,
  isUndefinedTable,
  type Rebuild,
  updateRebuild,
  whileLeading,
  withRebuildLock,
} from './rebuild-store'
import { createShadow, dropCancelled, hasLiveColumns, hasShadowTables, rollBack } from './shadow-store'
import { checkTransition, type RebuildRefusal, type RebuildRequest } from './transitions'
import type { WorkerMessage, WorkerResult } from './worker'

/** Records applied, of those that the topics had at the start; and the time since then, in milliseconds. */
export type RebuildProgress = Rebuild & { done: bigint; total: bigint; elapsedMs: number }

export type RebuildCoordinatorOptions = {
  database: Pick<Database, 'sql'>
  kafka: Kafka
  config: ServiceConfig
  migrationsFolder: string
  log: Log
}

/** How often it looks for a rebuild that another process has left, in milliseconds. */
const pollMs = 5000

export class RebuildCoordinator implements Part {
  readonly name = 'rebuild'
  readonly #options: RebuildCoordinatorOptions
  #woken = new AbortController()
  /** Why the rebuild does not proceed in this process. */
  #failure: string | null = null

  constructor(options: RebuildCoordinatorOptions) {
    this.#options = options
  }

  /** A rebuild in trouble is no trouble of the service: `status` has it. */
  health = (): Check => ({ status: 'pass' })

  async status(): Promise<RebuildProgress | undefined> {
    const current = await findRebuild(this.#options.database.sql)
    if (!current) return undefined
    const done = current.bounds ? await this.#appliedOf(current.bounds) : 0n
    return progressOf({ ...current, message: current.message ?? this.#failure }, done)
  }

  async request(request: RebuildRequest): Promise<RebuildRefusal | undefined> {
    const { database, log } = this.#options
    // In one transaction, so that of two requests the second finds what the first has done.
    const refusal = await withRebuildLock(database.sql, (tx) => this.#execute(tx, request))
    if (refusal) return refusal
    log.info(request, 'rebuild requested')
    this.#woken.abort()
  }

  async #execute(tx: Statements, request: RebuildRequest): Promise<RebuildRefusal | undefined> {
    const current = await findRebuild(tx)
    const refusal = checkTransition(current, request)
    if (refusal) return refusal
    const { action, manual, force } = request
    if (action === 'start') await createShadow(tx, this.#options.migrationsFolder, { manual, force })
    if (action === 'swap' && current)
      await updateRebuild(tx, current, { state: 'building', manual: false, force })
    if (action === 'cancel') await cancelRebuild(tx)
    if (action === 'rollback' && !(await rollBack(tx))) return 'nothing_to_roll_back'
  }

  /** Leaves an unfinished rebuild to the next process. */
  async run(signal: AbortSignal): Promise<void> {
    const { database, config, log } = this.#options
    while (!signal.aborted) {
      this.#woken = new AbortController()
      try {
        const state = (await findRebuild(database.sql))?.state
        if (state === 'building' || (state === 'cancelled' && (await hasShadowTables(database.sql))))
          await whileLeading(config.database.url, () => this.#lead(signal))
        this.#failure = null
      } catch (error) {
        this.#failure = messageOf(error)
        if (!signal.aborted) log.warn({}, `rebuild is blocked, will retry: ${this.#failure}`)
      }
      await pause(pollMs, AbortSignal.any([this.#woken.signal, signal]))
    }
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { database, config, migrationsFolder, log } = this.#options
    const { sql } = database
    // Again, now as the leader: the previous one may have finished it.
    const current = await findRebuild(sql)
    if (current?.state === 'cancelled') return dropCancelled(sql)
    if (current?.state !== 'building') return
    if (!(await hasLiveColumns(sql, 'shadow'))) {
      log.warn({}, 'restarting a rebuild begun by a different version')
      await withRebuildLock(sql, async (tx) => {
        const latest = await findRebuild(tx)
        if (latest?.state === 'building') await createShadow(tx, migrationsFolder, latest)
      })
    }
    await runOnThread(config, signal)
  }

  /** Records applied within the bounds: all of them after the swap, when there is no shadow. */
  async #appliedOf(bounds: Bounds): Promise<bigint> {
    const { database, kafka, config } = this.#options
    const source = { clusterId: await kafka.clusterId(), topics: subscriptionOf(config.kafka).topics }
    const { shadow } = await readOffsets(database.sql, source).catch((error) => {
      if (isUndefinedTable(error)) return { shadow: undefined }
      throw error
    })
    return Object.entries(bounds).reduce((sum, [partition, { first, end }]) => {
      const next = shadow ? (shadow.get(partition) ?? 0n) : BigInt(end)
      const applied = next < BigInt(end) ? next : BigInt(end)
      return sum + (applied > BigInt(first) ? applied - BigInt(first) : 0n)
    }, 0n)
  }
}

/** Resolves when the thread has ended its work or left it. Throws what stopped it. */
async function runOnThread(config: ServiceConfig, signal: AbortSignal): Promise<void> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url).href)
  const post = (message: WorkerMessage) => worker.postMessage(message)
  const stop = () => post('stop')
  try {
    const { failure } = await new Promise<WorkerResult>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
      post(config)
      signal.addEventListener('abort', stop)
      if (signal.aborted) stop()
    })
    if (failure !== null) throw new Error(failure)
  } finally {
    signal.removeEventListener('abort', stop)
    worker.terminate()
  }
}

function progressOf(current: Rebuild, done: bigint): RebuildProgress {
  const bounds = Object.values(current.bounds ?? {})
  const total = bounds.reduce((sum, { first, end }) => sum + BigInt(end) - BigInt(first), 0n)
  const until = current.endedAt ? Date.parse(current.endedAt) : Date.now()
  return { ...current, done, total, elapsedMs: Math.max(1, until - Date.parse(current.startedAt)) }
}
