/**
 * How far the tables are behind the topics, no matter which process applies them: the log ends are
 * sampled and compared with the applied offsets.
 */
import { EventEmitter } from 'node:events'
import { Fault, messageOf } from '../../platform/fault'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { lagOf, type Offsets } from '../projection/offsets'
import type { Coverage } from '../queries/history'

export type Freshness = {
  /** Everything the broker had at this time is applied. RFC 3339; undefined before the first such sample. */
  asOf: string | undefined
  /** Records that were not yet applied at the newest sample. */
  lag: bigint | undefined
}

/**
 * Samples kept while they are not reached. Beyond this every second one is dropped: `asOf` gets
 * coarser, never wrong.
 */
const samplesMax = 512

/** Remembers log ends by time until the applied offsets have reached them. */
export class WatermarkTracker {
  #samples: { at: string; ends: Offsets }[] = []
  #asOf: string | undefined
  #sampleNumber = 0
  #stride = 1

  /** `applied` must be read after `ends`. */
  sample(at: string, ends: Offsets, applied: Offsets): Freshness {
    const lag = lagOf(ends, applied)
    if (lag === 0n) {
      this.#samples = []
      this.#stride = 1
      this.#asOf = at
      return { asOf: at, lag }
    }
    while (this.#samples[0] && lagOf(this.#samples[0].ends, applied) === 0n)
      this.#asOf = this.#samples.shift()?.at
    if (this.#sampleNumber++ % this.#stride === 0) this.#samples.push({ at, ends })
    if (this.#samples.length > samplesMax) {
      this.#samples = this.#samples.filter((_, index) => index % 2 === 0)
      this.#stride *= 2
    }
    return { asOf: this.#asOf, lag }
  }
}

/** Raises offsets to the log start: deleted records can no longer be applied, and are not lag. */
export function clampToLogStart(applied: Offsets, starts: Offsets): Offsets {
  const clamped = new Map(applied)
  for (const [partition, start] of starts)
    if ((applied.get(partition) ?? 0n) < start) clamped.set(partition, start)
  return clamped
}

/**
 * How long an event may take from its commit to the broker while the wallet's relay works, in milliseconds.
 * What waits in the outbox for longer cannot be seen here.
 */
const publishDelayMs = 2000
/** Older samples say nothing about now, in milliseconds. */
const sampleAgeMaxMs = 5000
/** Each holds a connection and next to nothing else. */
const waitersMax = 2000

/** What tables read from now on contain at least, for a request made at `requestedMs`. */
export function coverageOf({ asOf, lag }: Freshness, requestedMs: number): Coverage {
  const asOfMs = asOf === undefined ? Number.NEGATIVE_INFINITY : Date.parse(asOf)
  const untilMs = asOfMs - publishDelayMs
  const isCurrent = untilMs >= requestedMs || (lag === 0n && requestedMs - asOfMs <= sampleAgeMaxMs)
  return { untilMs, isCurrent }
}

export type FreshnessOptions = {
  ends: () => Promise<Offsets>
  clusterId: () => Promise<string>
  applied: (clusterId: string) => Promise<Offsets>
  everyMs: number
  log: Log
  /** Called with every sample; undefined where sampling failed. */
  onSample: (ends: Offsets | undefined, applied: Offsets | undefined) => void
}

export class FreshnessMonitor {
  readonly #stopping = new AbortController()
  readonly #tracker = new WatermarkTracker()
  readonly #sampled = new EventEmitter().setMaxListeners(0)
  #freshness: Freshness = { asOf: undefined, lag: undefined }
  #sampling: Promise<void> | undefined

  constructor(readonly options: FreshnessOptions) {}

  /** Starts sampling. Not before the database is prepared: the service's role may not exist yet. */
  start(): void {
    this.#sampling ??= this.#run()
  }

  readonly freshness = (): Freshness => this.#freshness

  /**
   * Resolves once everything written until a time is applied, after `waitMs`, or on `signal`. Throws an
   * `overloaded` fault when too many wait already.
   */
  async waitUntil(
    untilMs: number,
    { waitMs, signal }: { waitMs: number; signal: AbortSignal },
  ): Promise<void> {
    if (this.#sampled.listenerCount('sample') >= waitersMax)
      throw new Fault('overloaded', `${waitersMax} reads are already waiting for the read model`)
    const reached = new AbortController()
    const check = () => {
      if (this.#stopping.signal.aborted || coverageOf(this.#freshness, 0).untilMs >= untilMs) reached.abort()
    }
    this.#sampled.on('sample', check)
    check()
    await pause(waitMs, AbortSignal.any([reached.signal, signal]))
    this.#sampled.off('sample', check)
  }

  /** Resolves once `asOf` is known, or after `waitMs`. */
  waitForFirstSample(waitMs: number): Promise<void> {
    return this.waitUntil(Number.MIN_SAFE_INTEGER, { waitMs, signal: this.#stopping.signal })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#sampling
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { everyMs } = this.options
    while (!signal.aborted) {
      await this.#sample()
      this.#sampled.emit('sample')
      // Sooner before the first success: the topics may be under creation.
      await pause(this.#freshness.asOf === undefined ? Math.min(100, everyMs) : everyMs, signal)
    }
    this.#sampled.emit('sample')
  }

  async #sample(): Promise<void> {
    const { ends: readEnds, clusterId: readClusterId, applied: readApplied, log, onSample } = this.options
    // The freshness known so far stays, and ages.
    const failed = (error: unknown): undefined => {
      log.debug({}, `consumer lag unknown: ${messageOf(error)}`)
    }
    const at = new Date().toISOString()
    // Concurrently, so that an absent broker costs one timeout.
    const [ends, clusterId] = await Promise.all([readEnds().catch(failed), readClusterId().catch(failed)])
    const applied = clusterId ? await readApplied(clusterId).catch(failed) : undefined
    if (ends && applied) this.#freshness = this.#tracker.sample(at, ends, applied)
    onSample(ends, applied)
  }
}
