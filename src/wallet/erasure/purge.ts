/**
 * Deletes erased personal data from its topic, for every reader, also of what was published before.
 *
 * Brokers delete records up to an offset, and only that. So a pass publishes what is left of all clients
 * again, and then deletes every record before: no reader ever misses one that is left. It is interrupted
 * and repeated as a whole without harm, so nothing is stored of it, and covers all erasures until it begins.
 *
 * Steps run between sends of the relay, in its one leading process: what that has sent before lies before
 * the offset, and is deleted; what it sends later has nothing of an erased client.
 */
import { events } from '../../contract/events/events'
import type { EncodedEvent } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import type { Kafka } from '../../platform/kafka/client'
import type { Publisher } from '../../platform/kafka/publisher'
import type { OutgoingRecord } from '../../platform/kafka/records'
import type { Database } from '../../platform/postgres/database'
import type { Check } from '../../platform/process/service'
import type { Log } from '../../platform/telemetry/log'
import { listPersonalData } from '../outbox/personal-data-store'
import { listPendingErasures, markPurged } from './erasures-store'

export type PurgeOptions = {
  database: Pick<Database, 'sql'>
  kafka: Pick<Kafka, 'endOffsets' | 'deleteRecords' | 'read'>
  publisher: Publisher
  topicPrefix: string
  recordOf: (event: EncodedEvent) => OutgoingRecord
  log: Log
}

/** Clients in one step: new events wait for it. */
const pageSize = 500
/** How often it looks for erasures, and how long it waits after a failure, in milliseconds. */
const pollMs = 1000
const failedMs = 10_000
/** After a pass none begins for this many times its duration: with many clients it covers more erasures. */
const pauseFactor = 9

const { topic, type: recordedType } = events.PersonalDataRecorded

export class Purge {
  readonly #options: PurgeOptions
  #pass: AsyncGenerator<void, void> | undefined
  #nextMs = 0
  #pending = 0
  #trouble: string | undefined

  constructor(options: PurgeOptions) {
    this.#options = options
  }

  /** Does a little. True when there is more to do at once. Never throws. */
  async step(): Promise<boolean> {
    if (!this.#pass && performance.now() < this.#nextMs) return false
    try {
      this.#pass ??= this.#run()
      const { done = false } = await this.#pass.next()
      if (done) this.#pass = undefined
      return !done
    } catch (error) {
      this.#pass = undefined
      this.#nextMs = performance.now() + failedMs
      this.#trouble = messageOf(error)
      const { log } = this.#options
      log.warn(
        { clients: this.#pending },
        `purge of erased personal data failed, will retry: ${this.#trouble}`,
      )
      return false
    }
  }

  /** Of the process that leads: what another one ran into is over. */
  health(leads: boolean): Check {
    if (!leads || this.#trouble === undefined) return { status: 'pass' }
    const count = this.#pending === 1 ? 'an erased client' : `${this.#pending} erased clients`
    return { status: 'warn', output: `topic ${topic} still has data of ${count}: ${this.#trouble}` }
  }

  async stop(): Promise<void> {
    await this.#pass?.return()
    await this.#options.publisher.close().catch(() => {})
  }

  async *#run(): AsyncGenerator<void, void> {
    const { database, kafka, topicPrefix, log } = this.#options
    const startedMs = performance.now()
    this.#nextMs = startedMs + pollMs
    const clientIds = await listPendingErasures(database.sql)
    this.#pending = clientIds.length
    if (clientIds.length === 0) return
    // After the list: what was published before an erasure lies before these offsets.
    const before = await kafka.endOffsets([topicPrefix + topic])
    let published = 0
    for await (const page of this.#publishAll()) {
      published += page
      yield
    }
    await kafka.deleteRecords(before)
    yield
    yield* this.#verify(new Set(clientIds))
    await markPurged(database.sql, clientIds)
    this.#pending = 0
    this.#trouble = undefined
    const durationMs = Math.round(performance.now() - startedMs)
    this.#nextMs = performance.now() + pauseFactor * durationMs
    const counts = { clients: clientIds.length, published, durationMs }
    log.info(counts, 'erased personal data deleted from its topic')
  }

  /** What is known of all clients now. Yields how many each time. */
  async *#publishAll(): AsyncGenerator<number> {
    const { database, publisher, recordOf } = this.#options
    let after: string | undefined
    for (;;) {
      const page = await listPersonalData(database.sql, { after, limit: pageSize })
      if (page.length === 0) return
      let records = page.map(recordOf)
      while (records.length > 0) {
        const sent = await publisher.send(records)
        if (sent.includes('too_large'))
          throw new Error(`the broker refuses an event of ${topic} as too large`)
        records = records.filter((_, index) => sent[index] === 'unsent')
      }
      after = page.at(-1)?.key
      yield page.length
    }
  }

  /**
   * That no record is left. One may have come after the offset: a process that was the relay, and was
   * halted between reading the data and sending it.
   */
  async *#verify(erased: ReadonlySet<string>): AsyncGenerator<void, void> {
    const { kafka, topicPrefix } = this.#options
    for await (const { records } of kafka.read(await kafka.endOffsets([topicPrefix + topic]))) {
      for (const { key, headers } of records)
        if (key && erased.has(key.toString()) && headers.some(isRecordedType))
          throw new Error('a record with erased personal data was published meanwhile')
      yield
    }
  }
}

const isRecordedType = ([name, value]: readonly [Buffer, Buffer | null]): boolean =>
  name.toString() === 'ce_type' && value?.toString() === recordedType
