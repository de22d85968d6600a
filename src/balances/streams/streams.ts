/**
 * Balance streams: the entries of one account in version order, or those of all accounts in the
 * order in which they were applied. A stream is a position, and reads on from there when something
 * has changed, so a client may reconnect to any replica. Streams at the same position share one
 * query and its encoded result.
 */
import { EventEmitter } from 'node:events'
import { coalesce } from '../../platform/coalesce'
import { messageOf } from '../../platform/fault'
import {
  type Chunks,
  createEventStreams,
  encodeServerEvent,
  ping,
  retryAfter,
  type ServerEvent,
} from '../../platform/http/event-stream'
import type { Admission } from '../../platform/http/principal'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import type { Freshness } from '../freshness/freshness'
import { type Balance, findBalances } from '../queries/balances-store'
import { type AccountEntry, listFollowing } from '../queries/entries-store'
import { listChanges, newestPosition, pruneChanges } from './changes-store'

/** Open streams in one process, and of one key. */
const [streamsMax, streamsOfKeyMax] = [2000, 1000]
/**
 * Entries read at once per stream: the more streams are at different positions, the fewer, which
 * bounds the one query. A page shorter than the minimum was the last.
 */
const [pageMin, pageMax, queryMax] = [10, 200, 5000]

/** In milliseconds. */
const retryMs = 2000
const stalledMs = 15_000
/** How soon to poll again: for changes held back, with backoff; for a missing version; after a failure. */
const [heldMs, heldMsMax, missingMs, failedMs] = [5, 500, 250, 1000]
const pruneMs = 60_000

/** Sentinel: matches no transaction, so the stream begins with a reset. */
export const unknownPosition = '0:0'

/** The next frame, if any, and how long to wait before polling again: 0 where more is available. */
type Frame = { chunk: string | Uint8Array | undefined; waitMs: number }

/** Encodes what streams carry. It belongs to the HTTP surface, which hands it in. */
export type StreamEncoder = {
  balance(id: string | bigint, entry: AccountEntry): ServerEvent
  /** The current balance, in the shape of an entry. */
  snapshot(balance: Balance): ServerEvent
  gap(accountId: string, from: bigint, to: bigint): ServerEvent
  /** Earlier events do not lead to what follows: reload `path`. */
  reset(id: string, path: string): ServerEvent
}

export type StreamsOptions = {
  sql: Statements
  freshness: () => Freshness
  encoder: StreamEncoder
  log: Log
  /** A missing version becomes a gap when `asOf` has passed its discovery by this much. */
  gapMs?: number
  /** Keep-alive interval, and how often a stream polls without being woken. */
  pingMs?: number
}

export class BalanceStreams {
  readonly #options: Required<StreamsOptions>
  readonly #streams = createEventStreams({ openMax: streamsMax, ofKeyMax: streamsOfKeyMax, stalledMs })
  readonly #wakeups = new EventEmitter().setMaxListeners(0)
  #pruning: Timer | undefined
  /** Backoff while everything new is held back. */
  #heldMs = heldMs

  constructor(options: StreamsOptions) {
    this.#options = { gapMs: 5000, pingMs: 15_000, ...options }
  }

  readonly #entriesAfter = coalesce((cursors) => listFollowing(this.#options.sql, cursors, limitFor(cursors)))
  readonly #changesAfter = coalesce((positions) => this.#readChanges(positions))

  /**
   * Resumes after a version, or begins with the current balance. A version from the future was
   * issued by other tables: the stream resets.
   */
  account(balance: Balance, after: bigint | undefined, admission?: Admission): Response {
    const { accountId } = balance
    let version = after !== undefined && after <= balance.version ? after : undefined
    let missingSince = Number.POSITIVE_INFINITY
    return this.#follow(`account ${accountId}`, admission, async () => {
      if (version === undefined) {
        const first = await this.#begin(balance, after)
        version = first.version
        return emit(first.events, 0)
      }
      const { freshness, encoder, gapMs, pingMs } = this.#options
      const entries = (await this.#entriesAfter(`${version}:${accountId}`)) ?? []
      const asOfMs = Date.parse(freshness().asOf ?? '')
      const next = eventsAfter(version, entries, { isGap: asOfMs > missingSince + gapMs, encoder })
      version = next.version
      const isMissing = version < (entries.at(-1)?.version ?? 0n)
      // The gap is measured from when this stream reached it.
      if (next.events.length > 0) missingSince = Number.POSITIVE_INFINITY
      if (isMissing) missingSince = Math.min(missingSince, Date.now())
      return emit(next.events, isMissing ? missingMs : pingMs)
    })
  }

  /** Resumes after a position that was issued as an event id, or begins now. */
  all(after = unknownPosition, admission?: Admission): Response {
    let position = after
    return this.#follow('all', admission, async () => {
      const page = (await this.#changesAfter(position)) as Frame & { next: string }
      position = page.next
      return page
    })
  }

  /** These accounts may have changed; without a list any may have. */
  wake(accountIds?: readonly string[]): void {
    const names = accountIds?.map((accountId) => `account ${accountId}`) ?? this.#wakeups.eventNames()
    for (const name of ['all', ...names]) this.#wakeups.emit(name)
  }

  /** Open ones. */
  get count(): number {
    return this.#streams.count
  }

  /** To be called before anything is applied. */
  async start(): Promise<void> {
    const { sql, log } = this.#options
    await pruneChanges(sql)
    const failed = (error: unknown) => log.warn({}, `pruning of changes failed: ${messageOf(error)}`)
    this.#pruning = setInterval(() => pruneChanges(sql).catch(failed), pruneMs)
  }

  /** Positions were lost: clients come back, and those that are ahead get a reset. */
  restart(): void {
    this.#streams.endAll()
  }

  /** Ends all streams. */
  stop(): void {
    clearInterval(this.#pruning)
    this.#streams.stop()
  }

  /**
   * A version from the future was issued by other tables, unless the account has moved on since it
   * was read.
   */
  async #begin(balance: Balance, after: bigint | undefined) {
    const { sql, encoder } = this.#options
    const { accountId } = balance
    if (after === undefined) return { version: balance.version, events: [encoder.snapshot(balance)] }
    const current = (await findBalances(sql, [accountId])).get(accountId) ?? balance
    if (after <= current.version) return { version: after, events: [] }
    const reset = encoder.reset(String(current.version), `/balances/${encodeURIComponent(accountId)}`)
    return { version: current.version, events: [reset, encoder.snapshot(current)] }
  }

  async #readChanges(positions: readonly string[]): Promise<Map<string, Frame & { next: string }>> {
    const { sql, encoder, pingMs } = this.#options
    const pages = await listChanges(sql, positions, limitFor(positions))
    const isHeldBack = pages.every(({ isHeld, changes }) => isHeld && changes.length === 0)
    this.#heldMs = isHeldBack ? Math.min(2 * this.#heldMs, heldMsMax) : heldMs
    const newest = pages.every(({ isKnown }) => isKnown) ? undefined : await newestPosition(sql)
    const reset = newest === undefined ? [] : [encoder.reset(newest, '/balances')]
    return new Map(
      pages.map(({ position, isKnown, isHeld, changes }) => {
        const events = isKnown ? changes.map((change) => encoder.balance(change.position, change)) : reset
        const { chunk, waitMs } = emit(events, isHeld || !isKnown ? this.#heldMs : pingMs)
        // As bytes: encoded once for all streams at this position.
        return [position, { chunk: chunk && Buffer.from(chunk), waitMs, next: events.at(-1)?.id ?? position }]
      }),
    )
  }

  /** Polls for frames whenever the wakeup fires, and pings in between. */
  #follow(wakeup: string, admission: Admission | undefined, nextFrame: () => Promise<Frame>): Response {
    const { log, pingMs } = this.#options
    const wakeups = this.#wakeups
    const failed = (error: unknown): Frame => {
      log.debug({}, `stream read failed: ${messageOf(error)}`)
      return { chunk: undefined, waitMs: failedMs }
    }
    const chunks: Chunks = async function* (signal) {
      let waiting = new AbortController()
      const wake = () => waiting.abort()
      wakeups.on(wakeup, wake)
      signal.addEventListener('abort', wake)
      try {
        yield retryAfter(retryMs)
        let sentMs = performance.now()
        while (!signal.aborted) {
          // Armed before the query, so that no wakeup in between is missed.
          waiting = new AbortController()
          const { chunk, waitMs } = await nextFrame().catch(failed)
          if (chunk || performance.now() - sentMs >= pingMs) {
            yield chunk ?? ping
            sentMs = performance.now()
          }
          await pause(Math.min(waitMs, sentMs + pingMs - performance.now()), waiting.signal)
        }
      } finally {
        wakeups.off(wakeup, wake)
      }
    }
    return this.#streams.open(chunks, admission)
  }
}

/**
 * The events of an account after a version: up to the first missing one; if that is a gap, the gap
 * comes first.
 */
export function eventsAfter(
  after: bigint,
  entries: readonly AccountEntry[],
  { isGap, encoder }: { isGap: boolean; encoder: Pick<StreamEncoder, 'balance' | 'gap'> },
): { events: ServerEvent[]; version: bigint } {
  const events: ServerEvent[] = []
  let version = after
  for (const entry of entries) {
    if (entry.version > version + 1n) {
      if (!isGap || events.length > 0) break
      events.push(encoder.gap(entry.accountId, version + 1n, entry.version - 1n))
    }
    events.push(encoder.balance(entry.version, entry))
    version = entry.version
  }
  return { events, version }
}

function emit(events: readonly ServerEvent[], waitMs: number) {
  const chunk = events.map(encodeServerEvent).join('') || undefined
  return { chunk, waitMs: events.length >= pageMin ? 0 : waitMs }
}

const limitFor = ({ length }: readonly string[]): number =>
  Math.max(pageMin, Math.min(pageMax, Math.floor(queryMax / length)))
