/**
 * Compares ledger, outbox, topics and read model while both services run. The order of reading
 * makes it exact: first the accounts at the watermark, in one snapshot; then outbox, topics and
 * read model, which must have their events; then the ledger, which is written first and so has
 * everything that the others can have. Nothing is locked, and no snapshot holds back vacuum for
 * longer than a page.
 */
import { listOffsets } from '../balances/projection/offsets-store'
import { signedSince } from '../balances/projection/signed-events-store'
import { topics as consumedTopics } from '../balances/projection/topics'
import type { ReconcileConfig } from '../config/config'
import { events, topics } from '../contract/events/events'
import { decodeRecord, firstEpoch, type ReceivedRecord } from '../contract/wire/envelope'
import { createVerifier } from '../contract/wire/signature'
import { messageOf } from '../platform/fault'
import { connectKafka } from '../platform/kafka/client'
import { type OffsetRange, partitionName } from '../platform/kafka/offsets'
import type { IncomingRecord } from '../platform/kafka/records'
import { openDatabase } from '../platform/postgres/database'
import { inSnapshot } from '../platform/postgres/statements'
import type { showProgressBar } from '../platform/process/progress-bar'
import { backoffMs, pause } from '../platform/process/retry'
import { createLog } from '../platform/telemetry/log'
import {
  type Assertion,
  assertionOfClient,
  assertionOfEntry,
  assertionsOfBalance,
  assertionsOfEvent,
} from './assertions'
import { Comparison, evidence, type Source } from './compare'
import {
  countOutbox,
  findLedgerEpoch,
  findNewestOutboxId,
  listHolders,
  listLedgerEntries,
  listOutbox,
  loadRecords,
} from './ledger-store'
import { findDeadLetterMentioning, listAllBalances, listAllClients, listAllEntries } from './read-model-store'

/** A source cannot be read. The message names it, with the remedy. */
export class CannotCompare extends Error {
  override name = 'CannotCompare'
}

export type ReconcileOptions = {
  /** How long to wait for the read side to catch up, in milliseconds. */
  waitMs: number
  /** Differences kept per source. */
  differencesMax: number
  showProgress: typeof showProgressBar
  signal: AbortSignal
}

/** `skipped`: unreadable or unknown records, which change nothing. `lag`: records not yet consumed. */
type ReadCounts = Record<'outbox' | 'records' | 'shown' | 'entries' | 'skipped' | 'lag', number> & {
  /** Records without a signature, or with one of an unknown key; null where signatures are not verified. */
  unsigned: number | null
}

/**
 * A partition as it was compared: its records from `first` to before `end`, of which balances had
 * applied those before `applied`; null where it had none, or does not consume the topic.
 */
export type ComparedPartition = {
  topic: string
  partition: number
  first: bigint
  end: bigint
  applied: bigint | null
}

export type Report = Pick<Comparison, 'differences' | 'total'> & {
  clusterId: string
  partitions: ComparedPartition[]

  /** Everything committed by then is compared. */
  watermark: Date
  counts: Comparison['counts'] & ReadCounts
  /** Balances verifies signatures, and this comparison did not. */
  lacksKeys: boolean
}

/** The next offset to apply, by `topic/partition`. */
type AppliedOffsets = ReadonlyMap<string, bigint>

/** Between two measurements of what is in flight: counting a long outbox is work. */
const backoff = { firstMs: 50, limitMs: 2000 }

/** Throws `CannotCompare`, or the reason of the signal. */
export async function reconcile(config: ReconcileConfig, options: ReconcileOptions): Promise<Report> {
  const reconciliation = new Reconciliation(config, options)
  try {
    return await reconciliation.run()
  } finally {
    await reconciliation.close()
  }
}

class Reconciliation {
  readonly #ledger
  readonly #model
  readonly #kafka
  readonly #comparison
  readonly #topicPrefix
  readonly #verify
  readonly #counts: ReadCounts
  #epoch = firstEpoch

  constructor(
    readonly config: ReconcileConfig,
    readonly options: ReconcileOptions,
  ) {
    const settings = { default_transaction_read_only: 'on' }
    const open = (url: string) =>
      openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'saldo-reconcile', settings })
    this.#ledger = open(config.walletUrl)
    this.#model = open(config.balancesUrl)
    const log = createLog({ service: 'reconcile', level: 'error', format: 'json' })
    this.#kafka = connectKafka(config.kafka, log)
    this.#comparison = new Comparison(options.differencesMax)
    this.#topicPrefix = config.kafka.topicPrefix
    const { verify, verifyKeys } = config.events
    this.#verify = verify === 'required' ? createVerifier(verifyKeys) : undefined
    const none = { outbox: 0, records: 0, shown: 0, entries: 0, skipped: 0, lag: 0 }
    this.#counts = { ...none, unsigned: this.#verify ? 0 : null }
  }

  async run(): Promise<Report> {
    await this.#probe()
    const clusterId = await this.#kafka.clusterId()
    const watermark = new Date()
    this.#epoch = await findLedgerEpoch(this.#ledger.sql)
    await inSnapshot(this.#ledger.sql, async (snapshot) => {
      for await (const holders of listHolders(snapshot)) this.#comparison.track(holders)
    })
    // Every event up to the watermark is in the outbox by now. When it is read, it still is, or it
    // is published.
    const newest = await findNewestOutboxId(this.#ledger.sql)
    await this.#observeOutbox()
    await this.#awaitReadSide(clusterId, newest)
    const applied = await this.#readApplied(clusterId)
    const ranges = await this.#readRanges()
    this.#counts.lag = this.#lagOf(ranges, applied)
    await this.#observeTopics(ranges, applied)
    await this.#observeModel()
    await this.#refuseRestoredModel(clusterId, applied)
    await this.#verifyLedger()
    await this.#addDeadLetters(clusterId)
    const lacksKeys = !this.#verify && (await signedSince(this.#model.sql)) !== undefined
    const { differences, total, counts } = this.#comparison
    const partitions = ranges.map(({ topic, partition, first, offset: end }) => {
      return { topic, partition, first, end, applied: applied.get(partitionName(topic, partition)) ?? null }
    })
    const read = { watermark, clusterId, partitions, counts: { ...counts, ...this.#counts }, lacksKeys }
    return { ...read, differences, total }
  }

  async close(): Promise<void> {
    await Promise.all([this.#ledger.close(), this.#model.close(), this.#kafka.close()])
  }

  /** Probes every dependency, so that all failures are reported together. */
  async #probe(): Promise<void> {
    const probes = Object.entries({
      WALLET_DATABASE_URL: findNewestOutboxId(this.#ledger.sql),
      BALANCES_DATABASE_URL: listOffsets(this.#model.sql, ''),
      KAFKA_BROKERS: this.#readRanges(),
    })
    const failures = probes.map(([name, probe]) =>
      probe.then(
        () => [],
        (error) => [`  - ${name}: ${messageOf(error)}`],
      ),
    )
    const lines = (await Promise.all(failures)).flat()
    if (lines.length > 0)
      throw new CannotCompare(['Nothing was compared:', ...lines, this.config.remedy].join('\n'))
  }

  async #observeOutbox(): Promise<void> {
    const { sql } = this.#ledger
    for await (const rows of this.#counted('outbox', await countOutbox(sql), listOutbox(sql))) {
      const personal = rows.filter(({ topic }) => topic === personalTopic)
      this.#comparison.trackWaitingClients(personal.map(({ key }) => key))
      const sources = rows.flatMap(({ id, topic, value }) => {
        if (topic === personalTopic) return []
        const source = { where: 'outbox', place: `row ${id}`, evidence: evidence.waiting } as const
        return this.#sourcesOf({ value: Buffer.from(value) }, source)
      })
      await this.#observe(sources)
    }
  }

  /** Waits until everything up to the watermark is published and consumed, for at most `waitMs`. */
  async #awaitReadSide(clusterId: string, newest: bigint): Promise<void> {
    const { waitMs, showProgress, signal } = this.options
    const deadline = performance.now() + waitMs
    let ranges: OffsetRange[] | undefined
    const countInFlight = async () => {
      const waiting = await countOutbox(this.#ledger.sql, newest)
      if (waiting === 0) ranges ??= await this.#readRanges()
      return waiting + (ranges ? this.#lagOf(ranges, await this.#readApplied(clusterId)) : 0)
    }
    let left = await countInFlight()
    const progress = left > 0 ? showProgress('events in flight', left) : undefined
    for (let tries = 1; left > 0 && performance.now() < deadline && !signal.aborted; tries++) {
      await pause(backoffMs(backoff, tries), signal)
      const now = await countInFlight()
      progress?.add(left - now)
      left = now
    }
    progress?.end()
  }

  async #observeTopics(ranges: OffsetRange[], applied: AppliedOffsets): Promise<void> {
    for (const { topic, first } of ranges) {
      const name = topic.slice(this.#topicPrefix.length)
      // What is deleted from that of personal data was published again first.
      if (first > 0n && name !== personalTopic) this.#comparison.truncatedTopics.add(name)
    }
    const total = ranges.reduce((sum, { first, offset }) => sum + Number(offset - first), 0)
    const batches = this.#counted('records', total, this.#kafka.read(ranges))
    for await (const { topic, partition, records } of batches) {
      const name = partitionName(topic, partition)
      const next = applied.get(name) ?? 0n
      const sources = records.flatMap((record) => {
        this.#verifyRecord(topic, record, `${name}/${record.offset}`)
        const bits = evidence.published | (record.offset < next ? evidence.consumed : 0)
        return this.#sourcesOf(record, { where: 'topic', place: `${name}/${record.offset}`, evidence: bits })
      })
      await this.#observe(sources)
    }
  }

  async #observeModel(): Promise<void> {
    const { sql } = this.#model
    const observe = (place: string, assertions: Assertion[]) =>
      this.#observe([{ where: 'read model', evidence: evidence.shown, place, assertions }])
    for await (const rows of listAllClients(sql)) await observe('clients', rows.map(assertionOfClient))
    for await (const rows of listAllBalances(sql)) {
      for (const { accountId, version } of rows) this.#comparison.trackShownVersion(accountId, version)
      await observe('balances', rows.flatMap(assertionsOfBalance))
    }
    for await (const rows of this.#counted('shown', this.#comparison.entryCount, listAllEntries(sql)))
      await observe('entries', rows.map(assertionOfEntry))
  }

  async #refuseRestoredModel(clusterId: string, applied: AppliedOffsets): Promise<void> {
    const now = await this.#readApplied(clusterId)
    if (applied.entries().some(([partition, next]) => (now.get(partition) ?? 0n) < next))
      throw new CannotCompare('The read side was reset to an earlier state meanwhile. Run it again.')
  }

  async #verifyLedger(): Promise<void> {
    const { sql } = this.#ledger
    for await (const entries of this.#counted('entries', this.#comparison.entryCount, listLedgerEntries(sql)))
      this.#comparison.verifyEntries(entries)
    for await (const holders of listHolders(sql)) this.#comparison.confirmHolders(holders)
    this.#comparison.summarize()
  }

  /** A dead letter is the likely cause of anything missing in the read model. */
  async #addDeadLetters(clusterId: string): Promise<void> {
    for (const difference of this.#comparison.differences) {
      const { where, found, transactionId, accountId } = difference
      if (where !== 'read model' || found) continue
      const id = String(transactionId ?? accountId)
      difference.deadLetter = await findDeadLetterMentioning(this.#model.sql, clusterId, id)
    }
  }

  /** Passes pages on, counts their rows, and shows progress. */
  async *#counted<Row, Page extends Row[] | { records: Row[] }>(
    what: keyof typeof units,
    total: number,
    pages: AsyncIterable<Page>,
  ): AsyncGenerator<Page> {
    const progress = total > 0 ? this.options.showProgress(units[what], total) : undefined
    try {
      for await (const page of pages) {
        this.options.signal.throwIfAborted()
        yield page
        const { length } = 'records' in page ? page.records : page
        this.#counts[what] += length
        progress?.add(length)
      }
    } finally {
      progress?.end()
    }
  }

  #readRanges(): Promise<OffsetRange[]> {
    return this.#kafka.endOffsets(topics.map((topic) => this.#topicPrefix + topic))
  }

  async #readApplied(clusterId: string): Promise<AppliedOffsets> {
    const rows = await listOffsets(this.#model.sql, clusterId)
    return new Map(
      rows.map(({ topic, partition, nextOffset }) => [partitionName(topic, partition), nextOffset]),
    )
  }

  /** Records not yet consumed, of those that the read side consumes. */
  #lagOf(ranges: OffsetRange[], applied: AppliedOffsets): number {
    const names = consumedTopics.map((topic) => this.#topicPrefix + topic)
    const consumed = ranges.filter(({ topic }) => names.includes(topic))
    return consumed.reduce((sum, { topic, partition, first, offset }) => {
      const next = applied.get(partitionName(topic, partition)) ?? first
      return sum + Math.max(0, Number(offset - next))
    }, 0)
  }

  /**
   * A signature that does not fit its record is a difference, also of a true one. Those without
   * one may be older than the first key, and are compared as any other.
   */
  #verifyRecord(topic: string, record: IncomingRecord, place: string): void {
    const fault = record.unreadable ? undefined : this.#verify?.(topic, record)
    if (fault?.cause === 'signature_invalid')
      this.#comparison.refuseRecord(place, `invalid signature: ${fault.detail}`)
    else if (fault) this.#counts.unsigned = (this.#counts.unsigned ?? 0) + 1
  }

  #sourcesOf(record: ReceivedRecord, source: Omit<Source, 'event' | 'assertions'>): Source[] {
    const decoded = decodeRecord(record)
    if (decoded.kind === 'event') {
      const { event, epoch = firstEpoch } = decoded
      const isOfEarlierEpoch = source.where === 'topic' && epoch < this.#epoch
      return [{ ...source, isOfEarlierEpoch, event: event.name, assertions: assertionsOfEvent(event) }]
    }
    this.#counts.skipped++
    return []
  }

  async #observe(sources: Source[]): Promise<void> {
    const assertions = sources.flatMap((source) => source.assertions)
    const records = await loadRecords(this.#ledger.sql, assertions)
    for (const source of sources) this.#comparison.observe(source, records)
  }
}

const personalTopic = events.PersonalDataRecorded.topic

const units = {
  outbox: 'events in the outbox',
  records: 'records',
  shown: 'read model entries',
  entries: 'ledger entries',
}
