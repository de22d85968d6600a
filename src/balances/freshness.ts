/** Tells how far the tables are behind the topics, whoever applies: the ends of the topics are looked at now and then, and compared with the positions. */
import { messageOf } from '../platform/fault'
import type { Log } from '../platform/log'
import { pause } from '../platform/retry'

/** Offsets by `topic/partition`: where a log ends, or where applying goes on. */
export type Offsets = ReadonlyMap<string, bigint>

export type Freshness = {
  /** All that the broker had at this time was applied. RFC 3339; undefined until that is known of any time. */
  asOf: string | undefined
  /** Records that the broker had when it was last asked, and that were not applied. */
  lag: bigint | undefined
}

/** Kept while they are not reached. When there are more, only every second one is kept from then on: `asOf` gets coarser, never wrong. */
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
      const lag = behind(ends, positions)
      if (lag === 0n) {
        looks = []
        stride = 1
        asOf = at
        return { asOf, lag }
      }
      while (looks[0] && behind(looks[0].ends, positions) === 0n) asOf = looks.shift()?.at
      if (turn++ % stride === 0) looks.push({ at, ends })
      if (looks.length > looksMax) {
        looks = looks.filter((_, index) => index % 2 === 0)
        stride *= 2
      }
      return { asOf, lag }
    },
  }
}

/** Records that the logs have and that were not applied. */
export function behind(ends: Offsets, positions: Offsets): bigint {
  let sum = 0n
  for (const [place, end] of ends) {
    const missing = end - (positions.get(place) ?? 0n)
    if (missing > 0n) sum += missing
  }
  return sum
}

export type Watch = { freshness(): Freshness; stop(): Promise<void> }

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
  let freshness: Freshness = { asOf: undefined, lag: undefined }

  // Then it is not known, and what was known grows old.
  const unknown = (error: unknown): undefined =>
    options.log.debug({}, `how far the topics are ahead is not known: ${messageOf(error)}`) as undefined

  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const at = new Date().toISOString()
      // At once, so that an absent broker is waited for once.
      const [ends, clusterId] = await Promise.all([options.ends().catch(unknown), options.clusterId().catch(unknown)])
      const positions = clusterId ? await options.positions(clusterId).catch(unknown) : undefined
      if (ends && positions) freshness = looks.take(at, ends, positions)
      options.onLook(ends, positions)
      await pause(options.everyMs, stopping.signal)
    }
  })()

  return {
    freshness: () => freshness,
    async stop() {
      stopping.abort()
      await watching
    },
  }
}
