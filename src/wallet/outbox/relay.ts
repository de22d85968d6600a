/**
 * Carries events from the outbox to the broker: the set of unpublished rows in id order, removed
 * only after all replicas acknowledged them, in the statement that notes where each one is. One
 * relay per database is active, any number wait. A crash repeats events and never loses one.
 */
import { cloudEventHeaders, walletSource } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import { bytesOnWire, type Publisher } from '../../platform/kafka/publisher'
import type { OutgoingRecord } from '../../platform/kafka/records'
import { keepListening } from '../../platform/postgres/listen'
import { pause } from '../../platform/process/retry'
import type { Part } from '../../platform/process/service'
import { createWakeup } from '../../platform/process/wakeup'
import type { Log } from '../../platform/telemetry/log'
import { continueTrace } from '../../platform/telemetry/trace'
import { endSessions } from '../db/sessions'
import {
  openOutbox,
  outboxChannel,
  type PendingRow,
  type PublishedRow,
  removePublished,
  tryLead,
} from './outbox-store'

export type RelayOptions = {
  /** The relay keeps a connection of its own, since the leader's lock belongs to its session. */
  databaseUrl: string
  publisher: Publisher
  /** Creates the topics. Called before the first send, until it succeeds. */
  prepareBroker: () => Promise<void>
  topicPrefix: string
  log: Log
  /** Rows in one send. */
  batchSizeMax?: number
  /** How long it sleeps when nobody wakes it, and until it tries a refused event again, in milliseconds. */
  pollMs?: number
  refusedMs?: number
}

/** An event that the broker does not take, because it is too large for its topic. */
export type RefusedEvent = { id: bigint; topic: string; bytes: number }

export type RelayState = {
  leads: boolean
  trouble: string | undefined
  /** They stay in the outbox; others go around them. */
  refused: RefusedEvent[]
  /** For how long events have been waiting, in milliseconds, of which the broker took none. */
  standstillMs: number
}

/** Its `stop` publishes what is pending, as far as that succeeds in time. */
export type Relay = Part & {
  /** Says that rows were committed. Cheap, may be called for every commit, never throws. */
  wake(): void
  state(): RelayState
}

/** How long until a refused event is tried again, in milliseconds: somebody has to change the topic first. */
const refusedAgainMs = 60_000

export function createRelay(options: RelayOptions): Relay {
  const { publisher, log, batchSizeMax = 500, pollMs = 1000, refusedMs = refusedAgainMs } = options
  const wakeup = createWakeup()
  const sql = openOutbox(options.databaseUrl)
  let leads = false
  let session = 0
  /** One that led, and whose connection was lost: the server may not have noticed, and keep its lock. */
  let lostSession: number | undefined
  let trouble: string | undefined
  let prepared = false
  let notifying = false

  /**
   * What the broker has and the outbox too. Removed with the next statement that succeeds, under
   * whichever session: published is published.
   */
  let published: PublishedRow[] = []
  /** Events that were refused, and when each is tried again, on the clock of `performance.now`. */
  const refused = new Map<bigint, RefusedEvent & { againMs: number }>()
  let movedMs = performance.now()

  /**
   * Versions make order harmless to readers: an event that comes after later ones of its account
   * changes nothing but the gap it left.
   */
  const publish = async (rows: PendingRow[]): Promise<void> => {
    const records = rows.map((row) => recordOf(row, options.topicPrefix))
    const sent = await publisher.send(records)
    let first: RefusedEvent | undefined
    for (const [index, place] of sent.entries()) {
      const [{ id }, record] = [rows[index] as PendingRow, records[index] as OutgoingRecord]
      if (place === 'unsent') continue
      refused.delete(id)
      if (place === 'too_large') {
        const bytes = bytesOnWire(record)
        refused.set(id, { id, topic: record.topic, bytes, againMs: performance.now() + refusedMs })
        first ??= { id, topic: record.topic, bytes }
      } else published.push({ id, ...place })
    }
    if (published.length > 0) movedMs = performance.now()
    if (first)
      log.error(
        { events: refused.size, first },
        'the broker refuses events as too large; they stay in the outbox',
      )
  }

  /**
   * Publishes until nothing is pending. False when the session is a new one: the lock went with the
   * old one.
   */
  const drain = async (): Promise<boolean> => {
    for (;;) {
      const nowMs = performance.now()
      const [passedOver, due] = partition([...refused.values()], ({ againMs }) => againMs > nowMs)
      const ids = passedOver.map(({ id }) => id)
      const pending = await removePublished(sql, published, { limit: batchSizeMax, except: ids })
      // Somebody may have removed them.
      for (const { id } of due) if (!pending.rows.some((row) => row.id === id)) refused.delete(id)
      if (published.length > 0) trouble = undefined
      published = []
      if (pending.session !== session) return false
      if (pending.rows.length === 0) {
        if (refused.size === 0) movedMs = performance.now()
        return true
      }
      if (!prepared) await options.prepareBroker()
      prepared = true
      await publish(pending.rows)
    }
  }

  const relay = async (signal: AbortSignal, onProgress: () => void): Promise<void> => {
    while (!signal.aborted) {
      if (!leads) {
        if (lostSession !== undefined) await endSessions(sql, [lostSession])
        lostSession = undefined
        ;({ leads, session } = await tryLead(sql))
        if (leads) log.info({}, 'acquired outbox relay leadership')
      }
      if (leads && !(await drain())) {
        leads = false
        lostSession = session
        continue
      }
      trouble = undefined
      onProgress()
      await wakeup.wait(pollMs, signal)
    }
  }
  // A connection of its own, opened and kept by the driver. While it is down, the poll finds what
  // it would have told.
  const listening = keepListening(sql, { [outboxChannel]: wakeup.notify })
  listening.started.catch(() => {})

  return {
    name: 'outbox',
    failure: 'publishing failed, the outbox is backing up',
    run: (signal, onProgress) =>
      relay(signal, onProgress).catch((error) => {
        trouble = messageOf(error)
        throw error
      }),
    wake() {
      if (leads) return wakeup.notify()
      if (notifying) return
      notifying = true
      sql
        .notify(outboxChannel, '')
        .catch(() => {})
        .finally(() => {
          notifying = false
        })
    },
    state: () => ({
      leads,
      trouble,
      refused: [...refused.values()].map(({ id, topic, bytes }) => ({ id, topic, bytes })),
      standstillMs: performance.now() - movedMs,
    }),
    async stop(timeoutMs) {
      await Promise.race([leads ? drain().catch(() => {}) : undefined, pause(timeoutMs)])
      await listening.end()
      await sql.end({ timeout: 1 })
      await publisher.close().catch(() => {})
    },
  }
}

function recordOf(row: PendingRow, topicPrefix: string) {
  // What no request led to, a hold that expired or an event that is told again, begins a trace of its own.
  const headers = {
    ...cloudEventHeaders(walletSource, row),
    traceparent: row.traceparent ?? continueTrace(undefined),
  }
  return { topic: topicPrefix + row.topic, key: row.key, value: row.value, headers }
}

function partition<T>(all: T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))]
}
