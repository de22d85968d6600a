/**
 * Brings the topics into the tables. Rows and position move in one transaction of our database, which therefore is the truth about how far
 * we are; what the broker keeps for the group only shows lag. So every record takes effect once, whatever is killed in between.
 */
import { decodeRecord } from '../contract/envelope'
import { timeOf } from '../contract/time'
import { type Database, isDataRefused, type Statements } from '../platform/database'
import { messageOf } from '../platform/fault'
import type { Check } from '../platform/http'
import type { IncomingBatch, IncomingRecord, Kafka, Position, SubscriptionOptions } from '../platform/kafka'
import { keepSubscribed } from '../platform/keep-subscribed'
import type { Log } from '../platform/log'
import { keepTrying } from '../platform/retry'
import { accountsToKnow, type DeadReason, project, type Reading } from './project'
import { apply, type DeadLetterRow, inTurn } from './store/apply'
import { loadKnownAccounts } from './store/balances'
import { loadPositions, movePosition, type Partition, resetPosition } from './store/positions'

export type ConsumerOptions = {
  database: Database
  kafka: Kafka
  groupId: string
  /** With the installation's prefix. */
  topics: string[]
  /** Of a topic that does not exist yet. */
  partitions: number
  log: Log
  /** For whoever has much to catch up with: records are read and projected while others are written. */
  ahead?: SubscriptionOptions['ahead']
  /** These accounts may have moved on. */
  onApplied?: (accountIds: string[]) => void
  /** Records were kept aside. */
  onKeptAside?: () => void
}

export type Consumer = {
  health(): Promise<Check>
  /** Partitions that are ours at the moment, as `topic/partition`; undefined while the group is being joined. */
  assigned(): string[] | undefined
  /** Lets the batch in hand finish and leaves the group. */
  stop(): Promise<void>
}

/** `next` is what the database says; `sought` where the broker was last told to go on. */
type Place = Partition & { next: bigint; sought: bigint; lag: bigint }

const databaseBackoff = { firstMs: 50, limitMs: 2000 }

/** Begins in the background, as soon as there is a broker, and goes on until it is stopped. */
export function startConsumer({
  database,
  kafka,
  groupId,
  topics,
  partitions,
  log,
  ahead,
  onApplied,
  onKeptAside,
}: ConsumerOptions): Consumer {
  const stopping = new AbortController()
  let places = new Map<string, Place>()
  let assigned = false
  let trouble: string | undefined = 'the broker has not answered yet'
  let stalled: string | undefined
  let appliedAt: Date | undefined
  const unknownNames = new Set<string>()

  const troubled = (error: unknown) => {
    assigned = false
    trouble = messageOf(error)
  }

  /** Waits for whatever the work needs. Throws only what `isPassing` does not know, or when the signal is aborted. */
  async function waitingFor<T>(
    work: () => Promise<T>,
    signal: AbortSignal,
    isPassing: (error: unknown) => boolean = () => true,
  ): Promise<T> {
    try {
      return await keepTrying(work, {
        backoff: databaseBackoff,
        signal,
        isPassing,
        onFailure: (error, failures) => {
          stalled = messageOf(error)
          log.warn({ failures }, `consuming waits: ${stalled}`)
        },
      })
    } finally {
      stalled = undefined
    }
  }

  /** Everything about positions comes from the database, never from a former assignment: another member may have been there since. */
  async function onAssigned(assignment: Record<string, number[]>, signal: AbortSignal): Promise<Position[]> {
    assigned = false
    const dealt = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    )
    const { clusterId, positions } = await waitingFor(async () => {
      const clusterId = await kafka.clusterId()
      return { clusterId, positions: await loadPositions(database.sql, clusterId, dealt) }
    }, signal)
    places = new Map(
      positions.map(({ topic, partition, nextOffset }) => [
        placeName(topic, partition),
        { clusterId, topic, partition, next: nextOffset, sought: nextOffset, lag: 0n },
      ]),
    )
    assigned = true
    trouble = undefined
    log.info({ assignment }, 'partitions assigned')
    return positions.map(({ topic, partition, nextOffset }) => ({ topic, partition, offset: nextOffset }))
  }

  async function onBatch(batch: IncomingBatch, signal: AbortSignal): Promise<bigint> {
    const place = places.get(placeName(batch.topic, batch.partition))
    // Dealt to somebody else while the batch was on its way.
    if (!place) return batch.fetchedFrom

    if (batch.highWatermark < place.next) {
      log.warn(
        { topic: batch.topic, partition: batch.partition, position: place.next, end: batch.highWatermark },
        'the topic ends before what was applied of it: it was made anew, and is read from its beginning',
      )
      await waitingFor(() => resetPosition(database.sql, place, place.next), signal)
      await reload(place, signal)
    }
    if (batch.fetchedFrom !== place.next) {
      if (batch.fetchedFrom < place.next || place.sought !== place.next) return seek(place)
      log.warn(
        { topic: batch.topic, partition: batch.partition, from: place.next, to: batch.fetchedFrom - 1n },
        'records were deleted from the topic before they could be applied',
      )
    }

    const records = batch.records.filter((record) => record.offset >= place.next)
    const claimed = await applyRecords(place, records, batch.next, signal)
    if (signal.aborted && !claimed) return place.next
    if (!claimed) {
      log.warn({ topic: batch.topic, partition: batch.partition }, 'another member has the partition')
      await reload(place, signal)
      return seek(place)
    }
    place.lag = batch.highWatermark - place.next
    appliedAt = new Date()
    return place.next
  }

  const seek = (place: Place): bigint => {
    place.sought = place.next
    return place.next
  }

  async function reload(place: Place, signal: AbortSignal): Promise<void> {
    const [position] = await waitingFor(() => loadPositions(database.sql, place.clusterId, [place]), signal)
    place.next = position?.nextOffset ?? 0n
  }

  /**
   * Applies all records and moves the position to `to`, or does nothing and answers false, because the position was moved by another member
   * or it is time to stop. When the database takes some of the records and not others, the half with the culprit is halved until it is found.
   */
  async function applyRecords(
    place: Place,
    records: IncomingRecord[],
    to: bigint,
    signal: AbortSignal,
  ): Promise<boolean> {
    const readings = records.map((record) => ({
      decoded: decodeRecord(record),
      timestampMs: record.timestampMs,
      origin: record,
    }))
    try {
      return await applyReadings(place, readings, to, signal)
    } catch (error) {
      if (signal.aborted) return false
      if (records.length > 1) {
        const half = records.length >> 1
        const middle = records[half] as IncomingRecord
        return (
          (await applyRecords(place, records.slice(0, half), middle.offset, signal)) &&
          (await applyRecords(place, records.slice(half), to, signal))
        )
      }
      log.error(
        { error, topic: place.topic, partition: place.partition, offset: place.next },
        'the database refuses a record',
      )
      const reason = { cause: 'not_storable', detail: messageOf(error) } as const
      return applyReadings(
        place,
        [],
        to,
        signal,
        records.map((origin) => ({ origin, reason })),
      )
    }
  }

  /** Throws only what the database has against the data itself; everything else passes, and is waited for. */
  async function applyReadings(
    place: Place,
    readings: Reading<IncomingRecord>[],
    to: bigint,
    signal: AbortSignal,
    refused: { origin: IncomingRecord; reason: DeadReason }[] = [],
  ): Promise<boolean> {
    const accountIds = accountsToKnow(readings)
    const write = async (sql: Statements) => {
      const projection = project(readings, await loadKnownAccounts(sql, accountIds))
      const deadLetters = [...projection.deadLetters, ...refused].map((letter) => toDeadLetter(place, letter))
      const claim = movePosition(place, { from: place.next, to })
      const { claimed } = await apply(sql, claim, { ...projection, deadLetters })
      return { claimed, projection: { ...projection, deadLetters } }
    }
    const { claimed, projection } = await waitingFor(
      () => (accountIds.length === 0 ? write(database.sql) : inTurn(database.sql, write)),
      signal,
      (error) => !isDataRefused(error),
    )
    if (!claimed) return false
    place.next = to
    onApplied?.(projection.balances.map((row) => row.accountId))
    if (projection.deadLetters.length > 0) onKeptAside?.()

    for (const { topic, partition, recordOffset, cause, detail } of projection.deadLetters)
      log.warn({ topic, partition, offset: recordOffset, cause, detail }, 'record kept aside')
    for (const name of projection.unknown) {
      if (!unknownNames.has(name)) log.warn({ topic: place.topic, name }, 'events of this name are skipped')
      unknownNames.add(name)
    }
    return true
  }

  const consuming = keepSubscribed(kafka, {
    groupId,
    topics,
    partitions,
    ahead,
    onBatch,
    onAssigned,
    onTrouble: troubled,
    log,
    signal: stopping.signal,
  })

  return {
    async health() {
      if (!assigned) return { status: 'warn', output: trouble ?? 'joining the consumer group' }
      if (stalled) return { status: 'warn', output: `waiting: ${stalled}` }
      if (!(await kafka.isReachable())) return { status: 'warn', output: 'the broker cannot be reached' }
      const lag = [...places.values()].reduce((sum, place) => sum + place.lag, 0n)
      const last = appliedAt ? `last applied at ${appliedAt.toISOString()}` : 'nothing applied yet'
      return { status: 'pass', output: `${places.size} partitions, ${lag} records behind, ${last}` }
    },
    assigned: () => (assigned ? [...places.keys()] : undefined),
    async stop() {
      stopping.abort()
      await consuming
    },
  }
}

const placeName = (topic: string, partition: number): string => `${topic}/${partition}`

function toDeadLetter(
  { clusterId, topic, partition }: Partition,
  { origin, reason }: { origin: IncomingRecord; reason: DeadReason },
): DeadLetterRow {
  const { offset: recordOffset, key, value, headers, timestampMs } = origin
  const recordAt = timeOf(timestampMs) ?? null
  return { ...reason, clusterId, topic, partition, recordOffset, key, value, headers, recordAt }
}
