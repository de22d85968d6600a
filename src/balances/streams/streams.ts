/**
 * Balances as they change: the entries of one account in the order of its versions, or those of all
 * accounts in the order in which they were applied. A stream is a position, and reads on from there
 * whenever something has moved; all that are at the same position share a query and what comes of
 * it. So a reader that comes back goes on where it was, whichever replica it comes to.
 */
import { EventEmitter } from 'node:events'
import { coalesce } from '../../platform/coalesce'
import { messageOf } from '../../platform/fault'
import {
  createEventStreams,
  encodeServerEvent,
  ping,
  retryAfter,
  type ServerEvent,
} from '../../platform/http/event-stream'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import type { Freshness } from '../freshness/freshness'
import { balanceEvent, gapEvent, resetEvent, standingEvent } from '../http/responses'
import { type Balance, findBalances } from '../queries/balances-store'
import { type AccountEntry, listFollowing } from '../queries/entries-store'
import { listChanges, newestPosition, pruneChanges } from './changes-store'

/** Open at once, in one process. */
const streamsMax = 2000
/**
 * Entries a stream reads at once: fewer, the more streams are at different positions, so that a
 * query stays one. A page below the least was all there is.
 */
const [pageMin, pageMax, queryMax] = [10, 200, 5000]

/** In milliseconds. */
const retryMs = 2000
const stalledMs = 15_000
/**
 * How soon to look again for what is there and may not be told yet, less and less often; for a
 * version that is missing; and after a failure.
 */
const [heldMs, heldMsMax, missingMs, failedMs] = [5, 500, 250, 1000]
const pruneMs = 60_000

/** No transaction is called so: whoever is there is told to begin again. */
export const nowhere = '0:0'

/** What to say next, if anything, and how long to wait for news then: 0 where there is more. */
type Look = { chunk: string | Uint8Array | undefined; waitMs: number }

export type Live = {
  /**
   * Goes on after a version, or begins with the balance as it stands. A version that is yet to come
   * is of other tables: `reset`, and begins.
   */
  account(balance: Balance, after: bigint | undefined): Response
  /** Goes on after a position that was given out as an id, or begins now. */
  all(after: string | undefined): Response
  /** These accounts may have moved on; without a list any may have. */
  wake(accountIds?: readonly string[]): void
  /** To be called before anything is applied. */
  start(): Promise<void>
  /** Ends all streams. */
  stop(): void
}

export type LiveOptions = {
  sql: Statements
  freshness: () => Freshness
  log: Log
  /** How long all that the broker had has to be applied before a version that is not there is a gap. */
  gapMs?: number
  /**
   * After how long of nothing else a comment is sent, which also is when a stream looks without
   * having been woken.
   */
  pingMs?: number
}

export function createLive({ sql, freshness, log, gapMs = 5000, pingMs = 15_000 }: LiveOptions): Live {
  const streams = createEventStreams({ openMax: streamsMax, stalledMs })
  const bell = new EventEmitter().setMaxListeners(0)
  let pruning: Timer | undefined
  const nothing = (error: unknown): Look => {
    log.debug({}, `a stream could not be read on: ${messageOf(error)}`)
    return { chunk: undefined, waitMs: failedMs }
  }

  const entriesAfter = coalesce((places) => listFollowing(sql, places, limitFor(places)))
  let againMs = heldMs
  const changesAfter = coalesce(async (positions) => {
    const found = await listChanges(sql, positions, limitFor(positions))
    const isWaiting = found.every(({ isHeld, changes }) => isHeld && changes.length === 0)
    againMs = isWaiting ? Math.min(2 * againMs, heldMsMax) : heldMs
    const begin = found.every(({ isKnown }) => isKnown) ? undefined : await newestPosition(sql)
    return new Map(
      found.map(({ position, isKnown, isHeld, changes }): [string, Look & { next: string }] => {
        const reset = begin === undefined ? [] : [resetEvent(begin, '/balances')]
        const events = isKnown ? changes.map((change) => balanceEvent(change.position, change)) : reset
        const { chunk, waitMs } = say(events, isHeld || !isKnown ? againMs : pingMs)
        // In bytes, so that it is encoded once for everybody.
        return [position, { chunk: chunk && Buffer.from(chunk), waitMs, next: events.at(-1)?.id ?? position }]
      }),
    )
  })

  /**
   * A version that is yet to come was given out by other tables, unless the account has moved on
   * since it was read.
   */
  const begin = async (balance: Balance, after: bigint | undefined) => {
    const { accountId } = balance
    if (after === undefined) return { version: balance.version, events: [standingEvent(balance)] }
    const now = (await findBalances(sql, [accountId])).get(accountId) ?? balance
    if (after <= now.version) return { version: after, events: [] }
    const reset = resetEvent(String(now.version), `/balances/${encodeURIComponent(accountId)}`)
    return { version: now.version, events: [reset, standingEvent(now)] }
  }

  const follow = (bellName: string, look: () => Promise<Look>) =>
    streams.open(async function* (signal) {
      let news = new AbortController()
      const ring = () => news.abort()
      bell.on(bellName, ring)
      signal.addEventListener('abort', ring)
      try {
        yield retryAfter(retryMs)
        let saidMs = performance.now()
        while (!signal.aborted) {
          // Before it looks: a ring in the meantime is not missed.
          news = new AbortController()
          const { chunk, waitMs } = await look().catch(nothing)
          if (chunk || performance.now() - saidMs >= pingMs) {
            yield chunk ?? ping
            saidMs = performance.now()
          }
          await pause(Math.min(waitMs, saidMs + pingMs - performance.now()), news.signal)
        }
      } finally {
        bell.off(bellName, ring)
      }
    })

  return {
    account(balance, after) {
      const { accountId } = balance
      let version = after !== undefined && after <= balance.version ? after : undefined
      let missingSince = Number.POSITIVE_INFINITY
      return follow(`account ${accountId}`, async () => {
        if (version === undefined) {
          const begun = await begin(balance, after)
          version = begun.version
          return say(begun.events, 0)
        }
        const entries = (await entriesAfter(`${version}:${accountId}`)) ?? []
        const asOfMs = Date.parse(freshness().asOf ?? '')
        const told = tell(entries, version, asOfMs > missingSince + gapMs)
        version = told.version
        const isMissing = version < (entries.at(-1)?.version ?? 0n)
        // Since this stream stands before it.
        if (told.events.length > 0) missingSince = Number.POSITIVE_INFINITY
        if (isMissing) missingSince = Math.min(missingSince, Date.now())
        return say(told.events, isMissing ? missingMs : pingMs)
      })
    },
    all(after = nowhere) {
      let position = after
      return follow('all', async () => {
        const page = (await changesAfter(position)) as Look & { next: string }
        position = page.next
        return page
      })
    },
    wake(accountIds) {
      const names = accountIds?.map((accountId) => `account ${accountId}`) ?? bell.eventNames()
      for (const name of ['all', ...names]) bell.emit(name)
    },
    async start() {
      await pruneChanges(sql)
      const failed = (error: unknown) => log.warn({}, `old changes were not removed: ${messageOf(error)}`)
      pruning = setInterval(() => pruneChanges(sql).catch(failed), pruneMs)
    },
    stop() {
      clearInterval(pruning)
      streams.stop()
    },
  }
}

/**
 * What of an account may be told after a version: all up to the first that is missing; when that
 * will not come, first of all that it is missing.
 */
export function tell(
  entries: readonly AccountEntry[],
  after: bigint,
  isGap: boolean,
): { events: ServerEvent[]; version: bigint } {
  const events: ServerEvent[] = []
  let version = after
  for (const entry of entries) {
    if (entry.version > version + 1n) {
      if (!isGap || events.length > 0) break
      events.push(gapEvent(entry.accountId, version + 1n, entry.version - 1n))
    }
    events.push(balanceEvent(entry.version, entry))
    version = entry.version
  }
  return { events, version }
}

function say(events: readonly ServerEvent[], waitMs: number) {
  const chunk = events.map(encodeServerEvent).join('') || undefined
  return { chunk, waitMs: events.length >= pageMin ? 0 : waitMs }
}

const limitFor = ({ length }: readonly string[]): number =>
  Math.max(pageMin, Math.min(pageMax, Math.floor(queryMax / length)))
