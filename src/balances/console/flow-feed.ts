/**
 * The live flow of the console: some of the records that are applied, as lanes, and a sample of how the
 * projection is, once a second. Nothing is collected while no page is open.
 */
import { messageOf } from '../../platform/fault'
import { type Chunks, createEventStreams, ping, retryAfter } from '../../platform/http/event-stream'
import type { Admission } from '../../platform/http/principal'
import type { Statements } from '../../platform/postgres/statements'
import { late, pause, within } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import type { ApplyObserver, Observation } from '../projection/observation'
import { findBalances } from '../queries/balances-store'
import { listEntries } from '../queries/entries-store'
import { FlowChannel, type FlowEncoder } from './flow-channel'
import {
  type Candidate,
  candidatesOf,
  type Lane,
  laneOf,
  laneOfDeadLetter,
  lanesOfEntries,
} from './flow-lanes'
import type { FlowSample } from './flow-sample'
import { listApplies, listNewestDeadLetters, listNewestEntries } from './flow-store'
import { FlowWatch } from './flow-watch'

/** Open streams in one process, of one key, and different filters. */
const [streamsMax, streamsOfKeyMax, channelsMax] = [200, 20, 50]
/** In milliseconds. `lingerMs`: for how long it goes on after the last page, which may come back. */
const [retryMs, stalledMs, pingMs, sampleMs, readMsMax, lingerMs] = [2000, 15_000, 15_000, 1000, 1500, 10_000]
/** Between two writes to a page, in milliseconds: what comes meanwhile is sent together. */
const writeMsMin = 100
/** Movements that a stream begins with, and a second: dead letters, transactions of others. */
const [openingMax, deadLettersMax, appliesMax, othersMax] = [30, 50, 1000, 20]
/** Where a sample comes from. Each may fail, and is null then. */
export type FlowSources = {
  lag(): Promise<FlowSample['lag']>
  deadLetters(): Promise<number>
  rebuild(): Promise<FlowSample['rebuild']>
  paused(): boolean
  /** Open streams of balances. */
  streams(): number
}

export type FlowFeedOptions = {
  sql: Statements
  encoder: FlowEncoder
  sources: FlowSources
  log: Log
  lingerMs?: number
}

export class FlowFeed implements ApplyObserver {
  readonly #options: Required<FlowFeedOptions>
  readonly #streams = createEventStreams({ openMax: streamsMax, ofKeyMax: streamsOfKeyMax, stalledMs })
  readonly #channels = new Map<string | undefined, FlowChannel>()
  /** Undefined while no stream is open. */
  #watch: FlowWatch | undefined
  #watching = new AbortController()

  constructor(options: FlowFeedOptions) {
    this.#options = { lingerMs, ...options }
  }

  get isWatching(): boolean {
    return this.#watch !== undefined
  }

  /** Open ones. */
  get count(): number {
    return this.#streams.count
  }

  /** Resumes after an event id, or begins with the newest movements. */
  open(from: { account?: string | undefined; after?: string | undefined }, admission?: Admission): Response {
    return this.#streams.open((signal) => this.#follow(from, signal), admission)
  }

  stop(): void {
    this.#streams.stop()
    this.#end()
  }

  observe(observation: Observation): void {
    const watch = this.#watch
    if (!watch) return
    const candidates = candidatesOf(observation)
    const nowMs = performance.now()
    const originMs = Date.now() - nowMs
    const toLane = (candidate: Candidate) => laneOf(candidate, observation, originMs)
    watch.count(candidates, originMs + observation.appliedMs)
    if (observation.xid !== undefined) watch.ownsApply(observation.xid)
    for (const channel of this.#channels.values()) channel.show(channel.choose(candidates, nowMs).map(toLane))
    const dead = candidates.filter(({ outcome }) => outcome === 'dead_letter')
    if (dead.length === 0) return
    void this.#showDeadLetters(watch, dead.slice(-deadLettersMax).map(toLane))
  }

  #channelOf(account: string | undefined): FlowChannel {
    // One filter too many gets the flow of all accounts.
    const name = this.#channels.size < channelsMax || this.#channels.has(account) ? account : undefined
    const found = this.#channels.get(name) ?? new FlowChannel(name, this.#options.encoder)
    this.#channels.set(name, found)
    if (!this.#watch) {
      this.#watch = new FlowWatch()
      this.#watching = new AbortController()
      void this.#sample(this.#watch, this.#watching.signal)
    }
    return found
  }

  #end(): void {
    this.#watch = undefined
    this.#channels.clear()
    this.#watching.abort()
  }

  async *#follow(
    { account, after }: Parameters<FlowFeed['open']>[0],
    signal: AbortSignal,
  ): ReturnType<Chunks> {
    // Not before: what is never read would keep it open.
    const channel = this.#channelOf(account)
    let waiting = new AbortController()
    const wake = () => waiting.abort()
    channel.wakeups.on('event', wake)
    signal.addEventListener('abort', wake)
    channel.viewers++
    try {
      yield retryAfter(retryMs)
      let position = after === undefined ? undefined : channel.positionOf(after)
      let isNew = after === undefined
      while (!signal.aborted) {
        waiting = new AbortController()
        const page = position === undefined ? await this.#opening(channel, isNew) : channel.after(position)
        isNew = false
        position = page?.position
        if (!page) continue
        const isIdle = page.text === ''
        if (!isIdle) {
          yield page.text
          await pause(writeMsMin, signal)
        }
        await pause(pingMs, waiting.signal)
        if (isIdle && !waiting.signal.aborted) yield ping
      }
    } finally {
      channel.wakeups.off('event', wake)
      this.#leave(channel)
    }
  }

  #leave(channel: FlowChannel): void {
    channel.viewers--
    const end = () => {
      if (channel.viewers > 0 || this.#channels.get(channel.account) !== channel) return
      this.#channels.delete(channel.account)
      if (this.#channels.size === 0) this.#end()
    }
    if (channel.viewers === 0) setTimeout(end, this.#options.lingerMs).unref()
  }

  /** What a stream begins with. What is applied meanwhile follows, and may be there twice. */
  async #opening(channel: FlowChannel, isNew: boolean): Promise<{ text: string; position: number }> {
    const { position } = channel
    const lanes = (await this.#read('newest movements', () => this.#newest(channel.account))) ?? []
    const events = [
      ...(isNew ? [] : [{ event: 'reset', data: {} }]),
      ...lanes.map((lane) => ({ event: 'lane', data: channel.encoder.lane(lane) })),
    ]
    return { text: events.map((event) => channel.encodeAt(position, event)).join(''), position }
  }

  /** Oldest first. */
  async #newest(account: string | undefined): Promise<Lane[]> {
    const { sql } = this.#options
    if (account === undefined) {
      // A movement has two entries.
      const entries = await listNewestEntries(sql, { limit: 2 * openingMax })
      return lanesOfEntries(entries).slice(0, openingMax).toReversed()
    }
    const terms = (await findBalances(sql, [account])).get(account)
    if (!terms) return []
    const before = terms.version + 1n
    const entries = await listEntries(sql, account, { floor: 0n, before, limit: openingMax })
    const { currency, openingLimitMinor } = terms
    const applied = entries.map((entry) => ({
      ...{ ...entry, accountId: account, currency, openingLimitMinor, appliedAt: null },
    }))
    return lanesOfEntries(applied).toReversed()
  }

  async #sample(watch: FlowWatch, signal: AbortSignal): Promise<void> {
    const { sources } = this.#options
    let sinceMs = performance.now()
    // What is found here was there before.
    await Promise.all([
      this.#read('applies of others', () => this.#lookElsewhere(watch)),
      this.#showDeadLetters(watch),
    ])
    while (!signal.aborted) {
      await pause(Math.max(0, sinceMs + sampleMs - performance.now()), signal)
      if (signal.aborted) return
      const [lag, deadLetters, rebuild] = await Promise.all([
        this.#read('lag', sources.lag),
        this.#read('dead letters', sources.deadLetters),
        this.#read('rebuild', sources.rebuild),
        this.#read('applies of others', () => this.#lookElsewhere(watch)),
        this.#showDeadLetters(watch),
      ])
      const nowMs = performance.now()
      const sample = {
        atMs: Date.now(),
        seconds: (nowMs - sinceMs) / 1000,
        ...watch.take(),
        ...{ lag: lag ?? null, deadLetters: deadLetters ?? null, rebuild: rebuild ?? null },
        paused: sources.paused(),
        streams: sources.streams() + this.count,
      }
      sinceMs = nowMs
      for (const channel of this.#channels.values()) channel.sample(sample)
    }
  }

  /** Undefined where it fails or takes long: a sample without it is better than none. */
  async #read<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await within(read(), readMsMax)
      return result === late ? undefined : result
    } catch (error) {
      this.#options.log.debug({}, `flow: ${what} unknown: ${messageOf(error)}`)
    }
  }

  async #lookElsewhere(watch: FlowWatch): Promise<void> {
    const { sql } = this.#options
    const others = watch.othersAmong(await listApplies(sql, watch.position, appliesMax))
    if (others.length === 0) return
    const xids = others.slice(0, othersMax).map(({ xid }) => xid)
    const entries = await listNewestEntries(sql, { xids, limit: 2 * othersMax })
    const lanes = lanesOfEntries(entries).toReversed()
    for (const channel of this.#channels.values()) channel.showOthers(lanes, performance.now())
  }

  /** Those of this process, with their ids, and those of others. */
  async #showDeadLetters(watch: FlowWatch, own: readonly Lane[] = []): Promise<void> {
    const { sql } = this.#options
    const rows = await this.#read('dead letters', () => listNewestDeadLetters(sql, deadLettersMax))
    const lanes = watch.withIds(own, rows ?? [])
    const others = rows ? watch.othersAmongDeadLetters(rows).map(laneOfDeadLetter).toReversed() : []
    const nowMs = performance.now()
    for (const channel of this.#channels.values()) channel.showDeadLetters({ own: lanes, others }, nowMs)
  }
}
