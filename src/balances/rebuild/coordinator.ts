/**
 * Rebuilds the read model from the topics while the live tables are served: requests, progress, and
 * one process at a time that runs what was requested. See `rebuild-store.ts` for the state.
 */
import type { ServiceConfig } from '../../config/config'
import { messageOf } from '../../platform/fault'
import type { Database } from '../../platform/postgres/database'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Check, Part } from '../../platform/process/service'
import type { Log } from '../../platform/telemetry/log'
import type { Tracing } from '../../platform/telemetry/spans'
import type { Offsets } from '../projection/offsets'
import { readShadowOffsets } from './comparison-store'
import { createRebuildMetrics } from './metrics'
import { asOwner, mayRebuild } from './owner'
import {
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

/** What became of a request: the rebuild as it left it, or why it did nothing. */
export type RebuildOutcome = { kind: 'accepted'; progress: RebuildProgress } | Refused
type Refused = { kind: 'refused'; refusal: RebuildRefusal }

export type RebuildCoordinatorOptions = {
  database: Pick<Database, 'sql'>
  config: ServiceConfig
  migrationsFolder: string
  log: Log
  tracing?: Tracing | undefined
}

/** How often it looks for a rebuild that another process has left, in milliseconds. */
const pollMs = 5000

export class RebuildCoordinator implements Part {
  readonly name = 'rebuild'
  readonly #metrics = createRebuildMetrics()
  readonly metrics = this.#metrics.all
  readonly #options: RebuildCoordinatorOptions
  #woken = new AbortController()
  /** Why the rebuild does not proceed in this process. */
  #failure: string | null = null

  constructor(options: RebuildCoordinatorOptions) {
    this.#options = options
  }

  /** A rebuild in trouble is no trouble of the service: `status` has it. */
  health = (): Check => ({ status: 'pass' })

  async sample(): Promise<void> {
    this.#metrics.set(await this.status())
  }

  async status(): Promise<RebuildProgress | undefined> {
    const { sql } = this.#options.database
    const current = await findRebuild(sql)
    if (!current) return undefined
    // Without a shadow all was applied: it has been swapped meanwhile.
    const shadow = await readShadowOf(sql, current).catch((error) => {
      if (isUndefinedTable(error)) return undefined
      throw error
    })
    return progressOf({ ...current, message: current.message ?? this.#failure }, shadow)
  }

  /** `record` joins the transaction of the request, and is called again if that is retried. */
  async request(
    request: RebuildRequest,
    record: (outcome: RebuildOutcome, tx: Statements) => Promise<void> = async () => {},
  ): Promise<RebuildOutcome> {
    const { database, config, log } = this.#options
    const isOwner = await mayRebuild(config, database.sql)
    // In one transaction, so that of two requests the second finds what the first has done.
    const decide = (sql: Database['sql']) =>
      withRebuildLock(sql, async (tx) => {
        const refusal = isOwner ? await this.#execute(tx, request) : 'owner_needed'
        const outcome = refusal ? ({ kind: 'refused', refusal } as const) : await acceptedBy(tx)
        await record(outcome, tx)
        return outcome
      })
    const outcome = await (isOwner ? asOwner(config, decide) : decide(database.sql))
    if (outcome.kind === 'accepted') {
      log.info(request, 'rebuild requested')
      this.#woken.abort()
    }
    return outcome
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
        const isOpen =
          state === 'building' || (state === 'cancelled' && (await hasShadowTables(database.sql)))
        if (isOpen && (await mayRebuild(config, database.sql)))
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
    const { config } = this.#options
    if (!(await asOwner(config, (sql) => this.#prepare(sql)))) return
    const startMs = performance.now()
    const result = await runOnThread(config, signal)
    await this.#trace(result, startMs)
    if (result.failure !== null) throw new Error(result.failure)
  }

  /** A trace of its own for each process that works on it: what requested it may be long ago. */
  async #trace({ failure, steps }: WorkerResult, startMs: number): Promise<void> {
    const { tracing, database } = this.#options
    if (!tracing) return
    const state = (await findRebuild(database.sql).catch(() => undefined))?.state
    const span = tracing.begin('rebuild', { kind: 'internal', startMs })
    if (state !== undefined) span.set({ 'saldo.rebuild.state': state })
    if (failure !== null) span.fail('_OTHER')
    for (const step of steps) {
      const ofStep = {
        kind: 'internal',
        parent: span,
        startMs: step.startMs - performance.timeOrigin,
      } as const
      tracing.begin(step.name, ofStep).end(step.endMs - performance.timeOrigin)
    }
    span.end(performance.now())
  }

  /** Whether there is something to build. */
  async #prepare(sql: Database['sql']): Promise<boolean> {
    const { migrationsFolder, log } = this.#options
    // Again, now as the leader: the previous one may have finished it.
    const current = await findRebuild(sql)
    if (current?.state === 'cancelled') await dropCancelled(sql)
    if (current?.state !== 'building') return false
    if (!(await hasLiveColumns(sql, 'shadow'))) {
      log.warn({}, 'restarting a rebuild begun by a different version')
      await withRebuildLock(sql, async (tx) => {
        const latest = await findRebuild(tx)
        if (latest?.state === 'building') await createShadow(tx, migrationsFolder, latest)
      })
    }
    return true
  }
}

/** Resolves when the thread has ended its work or left it. */
async function runOnThread(config: ServiceConfig, signal: AbortSignal): Promise<WorkerResult> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url).href)
  const post = (message: WorkerMessage) => worker.postMessage(message)
  const stop = () => post('stop')
  try {
    return await new Promise<WorkerResult>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
      post(config)
      signal.addEventListener('abort', stop)
      if (signal.aborted) stop()
    })
  } finally {
    signal.removeEventListener('abort', stop)
    worker.terminate()
  }
}

async function acceptedBy(tx: Statements): Promise<RebuildOutcome> {
  const current = await findRebuild(tx)
  if (!current) throw new Error('a request was accepted, and there is no rebuild')
  return { kind: 'accepted', progress: progressOf(current, await readShadowOf(tx, current)) }
}

/** Undefined when it has become the live tables, or was replaced by them. */
const readShadowOf = async (sql: Statements, { state }: Rebuild): Promise<Offsets | undefined> =>
  state === 'swapped' || state === 'rolled_back' ? undefined : readShadowOffsets(sql)

/** Applied is what is within the bounds: all of it when there is no shadow any more. */
function progressOf(current: Rebuild, shadow: Offsets | undefined): RebuildProgress {
  const bounds = Object.entries(current.bounds ?? {}).map(
    ([partition, { first, end }]) => [partition, BigInt(first), BigInt(end)] as const,
  )
  const total = bounds.reduce((sum, [, first, end]) => sum + end - first, 0n)
  const done = bounds.reduce((sum, [partition, first, end]) => {
    const next = shadow ? (shadow.get(partition) ?? 0n) : end
    const applied = next < end ? next : end
    return sum + (applied > first ? applied - first : 0n)
  }, 0n)
  const until = current.endedAt ? Date.parse(current.endedAt) : Date.now()
  return { ...current, done, total, elapsedMs: Math.max(1, until - Date.parse(current.startedAt)) }
}
