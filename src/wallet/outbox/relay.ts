/**
 * Publishes the outbox to the broker: the events of all pending rows in id order. A row is removed only
 * after all replicas acknowledged its events, in the statement that records their deliveries. One relay per
 * database leads, any number stand by. A crash repeats events and never loses one.
 */
import { events } from '../../contract/events/events'
import { cloudEventHeaders, walletSource } from '../../contract/wire/envelope'
import { type Sign, signatureHeader } from '../../contract/wire/signature'
import { encodeTimeline, timelineHeader } from '../../contract/wire/timeline'
import { Fault, messageOf } from '../../platform/fault'
import type { RecordCoordinates } from '../../platform/kafka/offsets'
import { bytesOnWire, type Publisher } from '../../platform/kafka/publisher'
import type { OutgoingRecord } from '../../platform/kafka/records'
import { SendSpans } from '../../platform/kafka/send-spans'
import { keepListening } from '../../platform/postgres/listen'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Part } from '../../platform/process/service'
import { createWakeup } from '../../platform/process/wakeup'
import { wallMs } from '../../platform/process/wall-clock'
import type { Log } from '../../platform/telemetry/log'
import { createMetrics, type Metrics } from '../../platform/telemetry/metrics'
import type { Tracing } from '../../platform/telemetry/spans'
import { continueTrace, traceFields, traceIdOf } from '../../platform/telemetry/trace'
import { endSessions } from '../db/sessions'
import { HandedOver } from './handed-over'
import type { OutboxEvent } from './lines'
import { outboxMetrics } from './metrics'
import {
  openOutbox,
  outboxChannel,
  type PendingAppend,
  type SettledAppend,
  sessionOf,
  settleAndRead,
  tryLead,
} from './outbox-store'
import { waitAfterSend } from './pace'
import { loadPersonalData } from './personal-data-store'

export type RelayOptions = {
  /** The relay has a connection of its own, since the leader's lock belongs to its session. */
  databaseUrl: string
  publisher: Publisher
  /** Creates the topics. Called until it succeeds. */
  prepareBroker: () => Promise<void>
  /** Called before the first send of each leader, until it succeeds. */
  settle?: () => Promise<void>
  /** What events carry that are sent now. */
  epoch?: () => number
  topicPrefix: string
  /** Absent where records are not signed. */
  sign: Sign | undefined
  log: Log
  tracing?: Tracing | undefined
  /** How long until a refused event is tried again, in milliseconds: an operator has to act first. */
  refusedMs: number
  /** Work of the leader that no send may overlap, in small steps. True when there is more to do at once. */
  besides?: () => Promise<boolean>
}

/** Events in one send, after which no other append begins. */
const batchSizeMax = 500
/** How long the relay sleeps without a wakeup, in milliseconds. */
const pollMs = 1000

/** An event that is too large for its topic, by the row that it is in. */
export type RefusedEvent = { id: bigint; topic: string; bytes: number }

export type RelayState = {
  leads: boolean
  trouble: string | undefined
  /** They stay in the outbox and do not block others. */
  refused: RefusedEvent[]
  /** For how long the broker has accepted none of the pending events, in milliseconds. */
  standstillMs: number
}

/** Its `stop` publishes what is pending, as far as that succeeds in time. */
export type Relay = Part & {
  /**
   * Notifies the relay of a commit, with its events where the caller has them. Cheap enough for every
   * commit; never throws.
   */
  handOver(append: PendingAppend | undefined): void
  state(): RelayState
  /** Of the outbox, of which the relay only knows what it is handed. */
  measured(outbox: { pending: number; oldestAgeMs: number }): void
}

export function createRelay(options: RelayOptions): Relay {
  const { publisher, log } = options
  const wakeup = createWakeup()
  const sql = openOutbox(options.databaseUrl)
  let leads = false
  /** Where leadership was last tried: it may hold the lock also when it is lost and gave no answer. */
  let session: number | undefined
  let trouble: string | undefined
  let isNotifying = false
  const handedOver = new HandedOver()
  const metrics = createMetrics(outboxMetrics, {
    leader: () => Number(leads),
    refused: () => drain.state().refused.length,
  })
  const drain = new OutboxDrain(sql, options, { handedOver, metrics }, () => {
    trouble = undefined
  })

  const relay = async (signal: AbortSignal, onProgress: () => void): Promise<void> => {
    while (!signal.aborted) {
      if (!leads) {
        const current = await sessionOf(sql)
        // The server may not know yet that it is lost.
        if (session !== undefined && session !== current) await endSessions(sql, [session])
        session = current
        leads = await tryLead(sql, session)
        if (leads) log.info({}, 'acquired outbox relay leadership')
        drain.begin()
      }
      // Also while nothing is pending: wrong settings show at the start, not at the first payment.
      if (leads) await drain.prepareBroker()
      if (leads && !(await drain.run(session))) {
        leads = false
        handedOver.clear()
        continue
      }
      trouble = undefined
      onProgress()
      const isBusy = leads && ((await options.besides?.()) ?? false)
      if (!isBusy) await wakeup.wait(pollMs, signal)
    }
  }
  // The driver opens and keeps a connection for this. While it is down, polling finds new rows. Not
  // before the relay runs: the database role may not exist yet.
  let listening: ReturnType<typeof keepListening> | undefined
  const listen = () => {
    listening ??= keepListening(sql, { [outboxChannel]: wakeup.notify })
    listening.started.catch(() => {})
  }

  return {
    name: 'outbox',
    failure: 'publishing failed, the outbox is backing up',
    run(signal, onProgress) {
      listen()
      return relay(signal, onProgress).catch((error) => {
        trouble = messageOf(error)
        throw error
      })
    },
    handOver(append) {
      if (leads && append) handedOver.add({ ...append, appendedMs: wallMs() })
      if (leads) return wakeup.notify()
      if (isNotifying) return
      isNotifying = true
      sql
        .notify(outboxChannel, '')
        .catch(() => {})
        .finally(() => {
          isNotifying = false
        })
    },
    state: () => ({ leads, trouble, ...drain.state() }),
    metrics: metrics.all,
    measured({ pending, oldestAgeMs }) {
      metrics.pending.set({}, pending)
      metrics.oldest.set({}, oldestAgeMs / 1000)
    },
    async stop(timeoutMs) {
      await Promise.race([leads ? drain.run(session).catch(() => {}) : undefined, pause(timeoutMs)])
      await listening?.end()
      await sql.end({ timeout: 1 })
      await publisher.close().catch(() => {})
    },
  }
}

type Result = RecordCoordinates | 'too_large' | 'unsent'

/** Publishes pending rows until there are none. */
class OutboxDrain {
  readonly #sql: Statements
  readonly #options: RelayOptions
  readonly #handedOver: HandedOver
  readonly #metrics: Metrics<typeof outboxMetrics>
  readonly #onPublished: () => void
  #isPrepared = false
  #isSettled = false
  /**
   * Rows whose events the broker has acknowledged and the outbox still holds. The next statement removes
   * them, in any session: published is published.
   */
  #settled: SettledAppend[] = []
  /** What became of the events of a row of which some could not be sent yet. */
  readonly #begun = new Map<bigint, Result[]>()
  /** By row, with the time of the next try, on the clock of `performance.now`. */
  readonly #refused = new Map<bigint, { events: RefusedEvent[]; retryMs: number }>()
  #progressMs = performance.now()

  constructor(
    sql: Statements,
    options: RelayOptions,
    { handedOver, metrics }: { handedOver: HandedOver; metrics: Metrics<typeof outboxMetrics> },
    onPublished: () => void,
  ) {
    this.#sql = sql
    this.#options = options
    this.#handedOver = handedOver
    this.#metrics = metrics
    this.#onPublished = onPublished
  }

  /** Returns false in another session than the leader's: the lock was lost with that one. */
  async run(session: number | undefined): Promise<boolean> {
    for (;;) {
      const nowMs = performance.now()
      const [skipped, due] = partition([...this.#refused], ([, { retryMs }]) => retryMs > nowMs)
      const known = this.#handedOver.copy()
      const pending = await settleAndRead(this.#sql, this.#settled, {
        limit: batchSizeMax,
        except: skipped.map(([id]) => id),
        known,
      })
      this.#handedOver.forget(idsUpTo(pending.rows.at(-1)?.id, known))
      // Another relay may have published them.
      for (const [id] of due) if (!pending.rows.some((row) => row.id === id)) this.#refused.delete(id)
      if (this.#settled.length > 0) this.#onPublished()
      this.#settled = []
      if (pending.session !== session) return false
      if (pending.rows.length === 0) {
        if (this.#refused.size === 0) this.#progressMs = performance.now()
        return true
      }
      await this.prepareBroker()
      await this.#publish(pending.rows)
      // Under load the outbox is never empty.
      await this.#options.besides?.()
      const events = pending.rows.reduce((sum, row) => sum + row.events.length, 0)
      const waitMs = waitAfterSend(events, performance.now() - nowMs, { eventsMax: batchSizeMax })
      if (waitMs > 0) await pause(waitMs)
    }
  }

  /** Until it succeeds once, and with each lead what comes before its sends. */
  async prepareBroker(): Promise<void> {
    if (!this.#isPrepared) await this.#options.prepareBroker()
    this.#isPrepared = true
    if (!this.#isSettled) await this.#options.settle?.()
    this.#isSettled = true
  }

  /** A lead begins: another process may have led before, and the database may be another one. */
  begin(): void {
    this.#isSettled = false
  }

  state(): Pick<RelayState, 'refused' | 'standstillMs'> {
    return {
      refused: [...this.#refused.values()].flatMap(({ events }) => events),
      standstillMs: performance.now() - this.#progressMs,
    }
  }

  /**
   * Consumers order by version: an event that is published after later ones of its account only
   * closes the gap that it left.
   */
  async #publish(rows: PendingAppend[]): Promise<void> {
    const appends = rows.map((row) => ({ ...row, results: this.#begun.get(row.id) ?? unsentOf(row) }))
    const publishedMs = wallMs()
    const unsent = appends.flatMap(({ events, results, appendedMs }) =>
      events.flatMap((event, index) =>
        results[index] === 'unsent'
          ? { event: withTimes(event, appendedMs, publishedMs), results, index }
          : [],
      ),
    )
    const current = await withPersonalData(
      this.#sql,
      unsent.map(({ event }) => event),
    )
    const sent = await this.#send(current)
    this.#begun.clear()
    for (const [at, { results, index }] of unsent.entries()) results[index] = sent[at] ?? 'unsent'
    if (sent.some((result) => typeof result === 'object')) this.#progressMs = performance.now()
    const refused = appends.flatMap((append) => this.#conclude(append))
    const [first] = refused
    if (first) {
      const traceparent = rows.find(({ id }) => id === first.id)?.events[0]?.traceparent
      this.#options.log.error(
        { events: this.state().refused.length, first, ...(traceparent && traceFields(traceparent)) },
        'broker refused events as too large, kept in the outbox',
      )
    }
  }

  async #sendTraced(pending: readonly OutboxEvent[]): Promise<Result[]> {
    const { publisher, tracing, topicPrefix } = this.#options
    if (!tracing) return publisher.send(pending.map((event) => recordOf(event, this.#options)))
    const spans = new SendSpans(
      tracing,
      pending.map(({ topic, traceparent }) => ({ topic: topicPrefix + topic, traceparent })),
    )
    const records = pending.map((event, index) => {
      const traceparent = spans.traceparentOf(index) ?? event.traceparent
      return recordOf({ ...event, traceparent }, this.#options)
    })
    try {
      const sent = await publisher.send(records)
      spans.end(sent)
      return sent
    } catch (error) {
      spans.fail(error instanceof Fault ? error.code : '_OTHER')
      throw error
    }
  }

  async #send(events: readonly OutboxEvent[]): Promise<Result[]> {
    const { size, duration } = this.#metrics
    const trace = events[0]?.traceparent
    const startedMs = performance.now()
    let outcome = 'failed'
    try {
      const sent = await this.#sendTraced(events)
      outcome = 'done'
      return sent
    } finally {
      const seconds = (performance.now() - startedMs) / 1000
      size.observe({}, events.length)
      duration.observe({ outcome }, seconds, trace ? traceIdOf(trace) : undefined)
    }
  }

  /** Returns what was refused, of a row of which nothing was published: it is kept as it is. */
  #conclude({ id, events, results }: PendingAppend & { results: Result[] }): RefusedEvent[] {
    if (results.includes('unsent')) {
      this.#begun.set(id, results)
      return []
    }
    this.#refused.delete(id)
    const published = events.flatMap((event, index) => {
      const result = results[index]
      return typeof result === 'object' ? { event, ...result } : []
    })
    if (published.length > 0) {
      // What was refused is a row of its own then, which is tried at once.
      const refused = events.filter((_, index) => results[index] === 'too_large')
      this.#settled.push({ id, published, refused })
      return []
    }
    const refused = events.map((event) => {
      const record = recordOf(event, this.#options)
      return { id, topic: record.topic, bytes: bytesOnWire(record) }
    })
    this.#refused.set(id, { events: refused, retryMs: performance.now() + this.#options.refusedMs })
    return refused
  }
}

function withTimes(event: OutboxEvent, appendedMs: number | undefined, published: number): OutboxEvent {
  const { timeline } = event
  return timeline ? { ...event, timeline: { ...timeline, appended: appendedMs ?? null, published } } : event
}

const unsentOf = ({ events }: PendingAppend): Result[] => events.map(() => 'unsent')

/** Those whose rows are gone or were read, up to `last`: all of them where no row was left. */
const idsUpTo = (last: bigint | undefined, known: ReadonlyMap<bigint, unknown>): bigint[] =>
  [...known.keys()].filter((id) => last === undefined || id <= last)

/** The rows that stand for personal data, with what is known of their clients now. */
async function withPersonalData(sql: Statements, rows: readonly OutboxEvent[]): Promise<OutboxEvent[]> {
  const { topic } = events.PersonalDataRecorded
  const clientIds = rows.flatMap((row) => (row.topic === topic ? row.key : []))
  if (clientIds.length === 0) return [...rows]
  const current = await loadPersonalData(sql, clientIds)
  return rows.map((row) => (row.topic === topic ? { ...row, ...current.get(row.key) } : row))
}

/** Events without a request (expiry, republication) start a new trace. */
export function recordOf(
  event: OutboxEvent,
  { topicPrefix, sign, epoch }: Pick<RelayOptions, 'topicPrefix' | 'sign' | 'epoch'>,
): OutgoingRecord {
  const headers: Record<string, string> = {
    ...cloudEventHeaders(walletSource, event, epoch?.()),
    ...(event.timeline && { [timelineHeader]: encodeTimeline(event.timeline) }),
    traceparent: event.traceparent ?? continueTrace(undefined),
  }
  const record = { topic: topicPrefix + event.topic, key: event.key, value: event.value, headers }
  if (sign) headers[signatureHeader] = sign({ ...record, headers: Object.entries(headers) })
  return record
}

function partition<T>(all: T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))]
}
