/**
 * Tells how far the tables are behind the topics, whoever applies: the ends of the topics are
 * looked at now and then, and compared with the positions.
 */
import { EventEmitter } from 'node:events'
import { Fault, messageOf } from '../../platform/fault'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { lagOf, type Offsets } from '../projection/offsets'
import type { Arrived } from '../queries/history'

export type Freshness = {
  /**
   * All that the broker had at this time was applied. RFC 3339; undefined until that is known of
   * any time.
   */
  asOf: string | undefined
  /** Records that the broker had when it was last asked, and that were not applied. */
  lag: bigint | undefined
}

/**
 * Kept while they are not reached. When there are more, only every second one is kept from then on:
 * `asOf` gets coarser, never wrong.
 */
const looksMax = 512

/** What the ends of the logs were at certain times, until the positions have reached them. */
export function createLooks() {
  let looks: { at: string; ends: Offsets }[] = []
  let asOf: string | undefined
  let turn = 0
  let stride = 1

  return {
    /** `positions` have to be read after the ends were. */
    take(at: string, ends: Offsets, positions: Offsets): Freshness {
      const lag = lagOf(ends, positions)
      if (lag === 0n) {
        looks = []
        stride = 1
        asOf = at
        return { asOf, lag }
      }
      while (looks[0] && lagOf(looks[0].ends, positions) === 0n) asOf = looks.shift()?.at
      if (turn++ % stride === 0) looks.push({ at, ends })
      if (looks.length > looksMax) {
        looks = looks.filter((_, index) => index % 2 === 0)
        stride *= 2
      }
      return { asOf, lag }
    },
  }
}

/**
 * Positions as far as they matter: what a log has deleted from its beginning is no longer there to
 * be applied.
 */
export function withoutDeleted(positions: Offsets, firsts: Offsets): Offsets {
  const reached = new Map(positions)
  for (const [place, first] of firsts) if ((positions.get(place) ?? 0n) < first) reached.set(place, first)
  return reached
}

/**
 * How long after it was written an event may come to the broker, in milliseconds, as long as the
 * relay of the wallet works. What waits in its outbox for longer is not known here.
 */
const settleMs = 2000
/** A look that is older says nothing about now, in milliseconds. */
const currentMs = 5000
/** Each holds a connection and next to nothing else. */
const waitersMax = 2000

/** What the tables have at least for who asked at `askedMs`, if they are read after this. */
export function arrivedOf({ asOf, lag }: Freshness, askedMs: number): Arrived {
  const asOfMs = asOf === undefined ? Number.NEGATIVE_INFINITY : Date.parse(asOf)
  const untilMs = asOfMs - settleMs
  return { untilMs, isCurrent: untilMs >= askedMs || (lag === 0n && askedMs - asOfMs <= currentMs) }
}

export type Watch = {
  freshness(): Freshness
  /**
   * Answers once all that was written until a time has arrived, or after `waitMs`, or `signal`.
   * Throws a `Fault` when too many wait already.
   */
  reach(untilMs: number, options: { waitMs: number; signal: AbortSignal }): Promise<void>
  /** Answers once a first look has succeeded, or after `waitMs`. */
  begun(waitMs: number): Promise<void>
  stop(): Promise<void>
}

export function watchFreshness(options: {
  ends: () => Promise<Offsets>
  clusterId: () => Promise<string>
  positions: (clusterId: string) => Promise<Offsets>
  everyMs: number
  log: Log
  /** Hears of every look; undefined is what could not be found out. */
  onLook: (ends: Offsets | undefined, positions: Offsets | undefined) => void
}): Watch {
  const stopping = new AbortController()
  const looks = createLooks()
  const waiting = new EventEmitter().setMaxListeners(0)
  let freshness: Freshness = { asOf: undefined, lag: undefined }

  // Then it is not known, and what was known grows old.
  const unknown = (error: unknown): undefined =>
    options.log.debug({}, `how far the topics are ahead is not known: ${messageOf(error)}`) as undefined

  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const at = new Date().toISOString()
      // At once, so that an absent broker is waited for once.
      const [ends, clusterId] = await Promise.all([
        options.ends().catch(unknown),
        options.clusterId().catch(unknown),
      ])
      const positions = clusterId ? await options.positions(clusterId).catch(unknown) : undefined
      if (ends && positions) freshness = looks.take(at, ends, positions)
      options.onLook(ends, positions)
      waiting.emit('look')
      // Sooner as long as nothing is known: the topics may just be being made.
      await pause(
        freshness.asOf === undefined ? Math.min(100, options.everyMs) : options.everyMs,
        stopping.signal,
      )
    }
    waiting.emit('look')
  })()

  const reach: Watch['reach'] = async (untilMs, { waitMs, signal }) => {
    if (waiting.listenerCount('look') >= waitersMax)
      throw new Fault('overloaded', `${waitersMax} reads wait for something to arrive`)
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (stopping.signal.aborted || arrivedOf(freshness, 0).untilMs >= untilMs) resolve()
    }
    const timer = setTimeout(resolve, waitMs)
    waiting.on('look', look)
    signal.addEventListener('abort', () => resolve())
    look()
    await over
    clearTimeout(timer)
    waiting.off('look', look)
  }

  return {
    freshness: () => freshness,
    reach,
    begun: (waitMs) => reach(Number.MIN_SAFE_INTEGER, { waitMs, signal: stopping.signal }),
    async stop() {
      stopping.abort()
      await watching
    },
  }
}
