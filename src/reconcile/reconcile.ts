/**
 * Reads everything once and lets it be compared. Exact while both services work, by the order of
 * reading: what has to be told is the ledger of the watermark, and whatever tells of it is looked
 * up in the ledger after it was read. Only the accounts are read as a snapshot, and nothing is
 * locked or kept from being cleared away for longer than a page takes.
 */
import { listOffsets } from '../balances/projection/offsets-store'
import type { ReconcileConfig } from '../config/config'
import { topics } from '../contract/events/events'
import { decodeRecord, type ReceivedRecord } from '../contract/wire/envelope'
import { messageOf } from '../platform/fault'
import { connectKafka } from '../platform/kafka/client'
import type { OffsetRange } from '../platform/kafka/offsets'
import { openDatabase } from '../platform/postgres/database'
import { inSnapshot } from '../platform/postgres/statements'
import type { showProgressBar } from '../platform/process/progress-bar'
import { backoffMs, pause } from '../platform/process/retry'
import { createLog } from '../platform/telemetry/log'
import { Comparison, marks, type Witness } from './compare'
import { type Claim, claimOfClient, claimOfEntry, claimsOfBalance, claimsOfEvent } from './expectations'
import { countOutbox, findNewestEvent, listHolders, listLedger, listOutbox, lookUp } from './ledger-store'
import { findDeadLetter, listAllBalances, listAllClients, listAllEntries } from './read-model-store'

/** What is to be compared cannot be read. The message says what, with what to do about it. */
export class CannotCompare extends Error {
  override name = 'CannotCompare'
}

export type Options = {
  /** How long the read side is waited for, in milliseconds. */
  waitMs: number
  /** Of each place at most as many differences are kept. */
  differencesMax: number
  show: typeof showProgressBar
  signal: AbortSignal
}

/**
 * Skipped are records that nobody can read, or knows: they change nothing. Lag are those that the
 * read side had not come to.
 */
type Read = Record<'outbox' | 'records' | 'shown' | 'entries' | 'skipped' | 'lag', number>

export type Report = Pick<Comparison, 'differences' | 'total'> & {
  /** What was committed by then is compared. */
  watermark: Date
  counts: Comparison['counts'] & Read
}

/** By `topic/partition`, the offset where the read side goes on. */
type Positions = ReadonlyMap<string, bigint>

/** Between two looks at what is on its way: to count a long outbox is work. */
const backoff = { firstMs: 50, limitMs: 2000 }

/** Throws `CannotCompare`, or the reason of the signal. */
export async function reconcile(
  config: ReconcileConfig,
  { waitMs, differencesMax, show, signal }: Options,
): Promise<Report> {
  const settings = { default_transaction_read_only: 'on' }
  const open = (url: string) =>
    openDatabase({ url, poolMax: 1, prepare: true, applicationName: 'saldo-reconcile', settings })
  const [ledger, model] = [open(config.walletUrl), open(config.balancesUrl)]
  const kafka = connectKafka(
    config.kafka,
    createLog({ service: 'reconcile', level: 'error', format: 'json' }),
  )
  const { topicPrefix } = config.kafka
  const comparison = new Comparison(differencesMax)
  const read: Read = { outbox: 0, records: 0, shown: 0, entries: 0, skipped: 0, lag: 0 }

  try {
    await tryAll()
    const clusterId = await kafka.clusterId()
    const watermark = new Date()
    await inSnapshot(ledger.sql, async (snapshot) => {
      for await (const holders of listHolders(snapshot)) comparison.watch(holders)
    })
    // Whatever has to be told was in the outbox by now. It still is when it is read, or is on the
    // topics before their ends.
    const newest = await findNewestEvent(ledger.sql)
    await readOutbox()
    await awaitReadSide(clusterId, newest)
    const positions = await readPositions(clusterId)
    const extents = await readExtents()
    read.lag = lagOf(extents, positions)
    await readTopics(extents, positions)
    await readModel()
    const later = await readPositions(clusterId)
    if (positions.entries().some(([place, position]) => (later.get(place) ?? 0n) < position))
      throw new CannotCompare('The read side was put back to an earlier state meanwhile. Run it again.')

    for await (const entries of counted('entries', comparison.entries, listLedger(ledger.sql)))
      comparison.walk(entries)
    for await (const holders of listHolders(ledger.sql)) comparison.settle(holders)
    comparison.finish()
    // A record that was kept aside is the likely reason why something is missing.
    for (const difference of comparison.differences) {
      const { where, found, transactionId, accountId } = difference
      if (where === 'read model' && !found)
        difference.deadLetter = await findDeadLetter(model.sql, clusterId, String(transactionId ?? accountId))
    }
    const { differences, total, counts } = comparison
    return { watermark, differences, total, counts: { ...counts, ...read } }
  } finally {
    await Promise.all([ledger.close(), model.close(), kafka.close()])
  }

  /** Asks each a little, so that everything that is missing is named at once. */
  async function tryAll(): Promise<void> {
    const tries = Object.entries({
      WALLET_DATABASE_URL: findNewestEvent(ledger.sql),
      BALANCES_DATABASE_URL: listOffsets(model.sql, ''),
      KAFKA_BROKERS: readExtents(),
    })
    const faults = tries.map(([name, tried]) =>
      tried.then(
        () => [],
        (error) => [`  - ${name}: ${messageOf(error)}`],
      ),
    )
    const lines = (await Promise.all(faults)).flat()
    const remedy = config.isLocal
      ? 'None of the three is set, which stands for what npm start runs on this machine: start it, or set them.'
      : 'Check the addresses, and KAFKA_TOPIC_PREFIX, and that both services have been started on them.'
    if (lines.length > 0) throw new CannotCompare(['Nothing was compared:', ...lines, remedy].join('\n'))
  }

  /** Hands pages on, counts what is on them, and shows how far it is. */
  async function* counted<Row, Page extends Row[] | { records: Row[] }>(
    what: 'outbox' | 'records' | 'shown' | 'entries',
    total: number,
    pages: AsyncIterable<Page>,
  ): AsyncGenerator<Page> {
    const units = {
      outbox: 'events in the outbox',
      records: 'records',
      shown: 'entries of the read model',
      entries: 'entries of the ledger',
    }
    const progress = total > 0 ? show(units[what], total) : undefined
    try {
      for await (const page of pages) {
        signal.throwIfAborted()
        yield page
        const { length } = 'records' in page ? page.records : page
        read[what] += length
        progress?.add(length)
      }
    } finally {
      progress?.end()
    }
  }

  async function readOutbox(): Promise<void> {
    for await (const rows of counted('outbox', await countOutbox(ledger.sql), listOutbox(ledger.sql))) {
      const witness = { where: 'outbox', mark: marks.waits } as const
      await hear(
        rows.flatMap(({ id, value }) =>
          witnessesOf({ value: Buffer.from(value) }, { ...witness, place: `row ${id}` }),
        ),
      )
    }
  }

  /** Waits until everything up to the watermark was published and consumed, but not for ever. */
  async function awaitReadSide(clusterId: string, newest: bigint): Promise<void> {
    const deadline = performance.now() + waitMs
    let extents: OffsetRange[] | undefined
    const measure = async () => {
      const waiting = await countOutbox(ledger.sql, newest)
      if (waiting === 0) extents ??= await readExtents()
      return waiting + (extents ? lagOf(extents, await readPositions(clusterId)) : 0)
    }
    let left = await measure()
    const progress = left > 0 ? show('events that are on their way', left) : undefined
    for (let attempt = 1; left > 0 && performance.now() < deadline && !signal.aborted; attempt++) {
      await pause(backoffMs(backoff, attempt), signal)
      const now = await measure()
      progress?.add(left - now)
      left = now
    }
    progress?.end()
  }

  function readExtents(): Promise<OffsetRange[]> {
    return kafka.endOffsets(topics.map((topic) => topicPrefix + topic))
  }

  async function readPositions(clusterId: string): Promise<Positions> {
    const positions = await listOffsets(model.sql, clusterId)
    return new Map(positions.map(({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset]))
  }

  /** Records that the read side has not come to. Notifications are none of its business. */
  function lagOf(extents: OffsetRange[], positions: Positions): number {
    const consumed = extents.filter(({ topic }) => topic !== `${topicPrefix}transactions`)
    return consumed.reduce((sum, { topic, partition, first, offset }) => {
      const position = positions.get(`${topic}/${partition}`) ?? first
      return sum + Math.max(0, Number(offset - position))
    }, 0)
  }

  async function readTopics(extents: OffsetRange[], positions: Positions): Promise<void> {
    for (const { topic, first } of extents)
      if (first > 0n) comparison.shortened.add(topic.slice(topicPrefix.length))
    const total = extents.reduce((sum, { first, offset }) => sum + Number(offset - first), 0)
    for await (const { topic, partition, records } of counted('records', total, kafka.read(extents))) {
      const at = `${topic}/${partition}`
      const position = positions.get(at) ?? 0n
      await hear(
        records.flatMap((record) => {
          const mark = record.offset < position ? marks.told | marks.passed : marks.told
          return witnessesOf(record, { where: 'topic', place: `${at}/${record.offset}`, mark })
        }),
      )
    }
  }

  async function readModel(): Promise<void> {
    const shown = (place: string, claims: Claim[]) =>
      hear([{ where: 'read model', mark: marks.shown, place, claims }])
    for await (const rows of listAllClients(model.sql)) await shown('clients', rows.map(claimOfClient))
    for await (const rows of listAllBalances(model.sql)) {
      for (const { accountId, version } of rows) comparison.show(accountId, version)
      await shown('balances', rows.flatMap(claimsOfBalance))
    }
    for await (const rows of counted('shown', comparison.entries, listAllEntries(model.sql)))
      await shown('entries', rows.map(claimOfEntry))
  }

  function witnessesOf(record: ReceivedRecord, witness: Omit<Witness, 'event' | 'claims'>): Witness[] {
    const decoded = decodeRecord(record)
    if (decoded.kind === 'event')
      return [{ ...witness, event: decoded.event.name, claims: claimsOfEvent(decoded.event) }]
    read.skipped++
    return []
  }

  async function hear(witnesses: Witness[]): Promise<void> {
    const known = await lookUp(
      ledger.sql,
      witnesses.flatMap(({ claims }) => claims),
    )
    for (const witness of witnesses) comparison.hear(witness, known)
  }
}
