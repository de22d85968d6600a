/**
 * Publishes the outbox to the broker: all pending rows in id order, each removed only after all
 * replicas acknowledged it, in the statement that records its delivery. One relay per database
 * leads, any number stand by. A crash repeats events and never loses one.
 */
import { events } from '../../contract/events/events'
import { cloudEventHeaders, walletSource } from '../../contract/wire/envelope'
import { type Sign, signatureHeader } from '../../contract/wire/signature'
import { messageOf } from '../../platform/fault'
import { bytesOnWire, type Publisher } from '../../platform/kafka/publisher'
import type { OutgoingRecord } from '../../platform/kafka/records'
import { keepListening } from '../../platform/postgres/listen'
import type { Statements } from '../../platform/postgres/statements'
import { pause } from '../../platform/process/retry'
import type { Part } from '../../platform/process/service'
import { createWakeup } from '../../platform/process/wakeup'
import type { Log } from '../../platform/telemetry/log'
import { continueTrace } from '../../platform/telemetry/trace'
import { endSessions } from '../db/sessions'
import {
  type OutboxRow,
  openOutbox,
  outboxChannel,
  type PendingRow,
  type PublishedRow,
  removePublished,
  tryLead,
} from './outbox-store'
import { loadPersonalData } from './personal-data-store'

export type RelayOptions = {
  /** The relay has a connection of its own, since the leader's lock belongs to its session. */
  databaseUrl: string
  publisher: Publisher
  /** Creates the topics. Called until it succeeds. */
  prepareBroker: () => Promise<void>
  topicPrefix: string
  /** Absent where records are not signed. */
  sign: Sign | undefined
  log: Log
  /** How long until a refused event is tried again, in milliseconds: an operator has to act first. */
  refusedMs: number
  /** Work of the leader that no send may overlap, in small steps. True when there is more to do at once. */
  besides?: () => Promise<boolean>
}

/** Rows in one send. */
const batchSizeMax = 500
/** How long the relay sleeps without a wakeup, in milliseconds. */
const pollMs = 1000

/** An event that is too large for its topic. */
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
  /** Notifies the relay of committed rows. Cheap enough for every commit; never throws. */
  wake(): void
  state(): RelayState
}

export function createRelay(options: RelayOptions): Relay {
  const { publisher, log } = options
  const wakeup = createWakeup()
  const sql = openOutbox(options.databaseUrl)
  let leads = false
  let session = 0
  /** A former leader's session, which may still hold the lock: the server may not know that it is lost. */
  let lostSession: number | undefined
  let trouble: string | undefined
  let isNotifying = false
  const drain = new OutboxDrain(sql, options, () => {
    trouble = undefined
  })

  const relay = async (signal: AbortSignal, onProgress: () => void): Promise<void> => {
    while (!signal.aborted) {
      if (!leads) {
        if (lostSession !== undefined) await endSessions(sql, [lostSession])
        lostSession = undefined
        ;({ leads, session } = await tryLead(sql))
        if (leads) log.info({}, 'acquired outbox relay leadership')
      }
      // Also while nothing is pending: wrong settings show at the start, not at the first payment.
      if (leads) await drain.prepareBroker()
      if (leads && !(await drain.run(session))) {
        leads = false
        lostSession = session
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
    wake() {
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
    async stop(timeoutMs) {
      await Promise.race([leads ? drain.run(session).catch(() => {}) : undefined, pause(timeoutMs)])
      await listening?.end()
      await sql.end({ timeout: 1 })
      await publisher.close().catch(() => {})
    },
  }
}

/** Publishes pending rows until there are none. */
class OutboxDrain {
  readonly #sql: Statements
  readonly #options: RelayOptions
  readonly #onPublished: () => void
  #isPrepared = false
  /**
   * Rows that the broker has acknowledged and the outbox still holds. The next statement removes
   * them, in any session: published is published.
   */
  #published: PublishedRow[] = []
  /** With the time of the next try, on the clock of `performance.now`. */
  readonly #refused = new Map<bigint, RefusedEvent & { retryMs: number }>()
  #progressMs = performance.now()

  constructor(sql: Statements, options: RelayOptions, onPublished: () => void) {
    this.#sql = sql
    this.#options = options
    this.#onPublished = onPublished
  }

  /** Returns false in another session than the leader's: the lock was lost with that one. */
  async run(session: number): Promise<boolean> {
    for (;;) {
      const nowMs = performance.now()
      const [skipped, due] = partition([...this.#refused.values()], ({ retryMs }) => retryMs > nowMs)
      const pending = await removePublished(this.#sql, this.#published, {
        limit: batchSizeMax,
        except: skipped.map(({ id }) => id),
      })
      // Another relay may have published them.
      for (const { id } of due) if (!pending.rows.some((row) => row.id === id)) this.#refused.delete(id)
      if (this.#published.length > 0) this.#onPublished()
      this.#published = []
      if (pending.session !== session) return false
      if (pending.rows.length === 0) {
        if (this.#refused.size === 0) this.#progressMs = performance.now()
        return true
      }
      await this.prepareBroker()
      await this.#publish(pending.rows)
      // Under load the outbox is never empty.
      await this.#options.besides?.()
    }
  }

  /** Until it succeeds once. */
  async prepareBroker(): Promise<void> {
    if (!this.#isPrepared) await this.#options.prepareBroker()
    this.#isPrepared = true
  }

  state(): Pick<RelayState, 'refused' | 'standstillMs'> {
    return {
      refused: [...this.#refused.values()].map(({ id, topic, bytes }) => ({ id, topic, bytes })),
      standstillMs: performance.now() - this.#progressMs,
    }
  }

  /**
   * Consumers order by version: an event that is published after later ones of its account only
   * closes the gap that it left.
   */
  async #publish(rows: PendingRow[]): Promise<void> {
    const { publisher, refusedMs, log } = this.#options
    const current = await withPersonalData(this.#sql, rows)
    const records = current.map((event) => recordOf(event, this.#options))
    const sent = await publisher.send(records)
    let first: RefusedEvent | undefined
    for (const [index, coordinates] of sent.entries()) {
      const [{ id }, record] = [rows[index] as PendingRow, records[index] as OutgoingRecord]
      if (coordinates === 'unsent') continue
      this.#refused.delete(id)
      if (coordinates === 'too_large') {
        const event = { id, topic: record.topic, bytes: bytesOnWire(record) }
        this.#refused.set(id, { ...event, retryMs: performance.now() + refusedMs })
        first ??= event
      } else this.#published.push({ id, ...coordinates })
    }
    if (this.#published.length > 0) this.#progressMs = performance.now()
    if (first)
      log.error(
        { events: this.#refused.size, first },
        'broker refused events as too large, kept in the outbox',
      )
  }
}

/** The rows that stand for personal data, with what is known of their clients now. */
async function withPersonalData(sql: Statements, rows: readonly OutboxRow[]): Promise<OutboxRow[]> {
  const { topic } = events.PersonalDataRecorded
  const clientIds = rows.flatMap((row) => (row.topic === topic ? row.key : []))
  if (clientIds.length === 0) return [...rows]
  const current = await loadPersonalData(sql, clientIds)
  return rows.map((row) => (row.topic === topic ? { ...row, ...current.get(row.key) } : row))
}

/** Events without a request (expiry, republication) start a new trace. */
export function recordOf(
  event: OutboxRow,
  { topicPrefix, sign }: Pick<RelayOptions, 'topicPrefix' | 'sign'>,
): OutgoingRecord {
  const headers: Record<string, string> = {
    ...cloudEventHeaders(walletSource, event),
    traceparent: event.traceparent ?? continueTrace(undefined),
  }
  const record = { topic: topicPrefix + event.topic, key: event.key, value: event.value, headers }
  if (sign) headers[signatureHeader] = sign({ ...record, headers: Object.entries(headers) })
  return record
}

function partition<T>(all: T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))]
}
