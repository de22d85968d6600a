/**
 * Brings the topics into the tables. Rows and position move in one transaction of our database,
 * which therefore is the truth about how far we are; what the broker keeps for the group only shows
 * lag. So every record takes effect once, whatever is killed in between.
 */
import { recordTime } from '../../contract/time'
import { messageOf } from '../../platform/fault'
import type { Check } from '../../platform/http/app'
import {
  checksumOf,
  type IncomingBatch,
  type IncomingRecord,
  type Kafka,
  type PartitionOffset,
  type SubscriptionOptions,
} from '../../platform/kafka/client'
import { keepSubscribed } from '../../platform/kafka/keep-subscribed'
import type { Database } from '../../platform/postgres/database'
import { isDataRefused } from '../../platform/postgres/failures'
import type { Statements } from '../../platform/postgres/statements'
import { keepTrying } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { loadProjectedAccounts } from './accounts-store'
import { applyProjection, type DeadLetterRow, isConflict, withProjectionLock } from './apply-store'
import { loadPositions, type Mark, movePosition, type Partition, resetPosition } from './offsets-store'
import {
  accountsIn,
  accountsToLoad,
  type DeadLetterReason,
  type Projection,
  project,
  type Reading,
} from './project'
import { findRecreated } from './recreation'
import { decodeFrom } from './topics'

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
  onDeadLetters?: () => void
}

export type Consumer = {
  health(): Promise<Check>
  /**
   * Partitions that are ours at the moment, as `topic/partition`; undefined while the group is
   * being joined.
   */
  assigned(): string[] | undefined
  /** Lets the batch in hand finish and leaves the group. */
  stop(): Promise<void>
}

/** `next` and `last` are what the database says; `sought` where the broker was last told to go on. */
type Place = Partition & {
  next: bigint
  last: Mark | undefined
  sought: bigint
  lag: bigint
  recreated: boolean
  verifiedAtMs: number
}

const databaseBackoff = { firstMs: 50, limitMs: 2000 }
/** How often the log is compared with what was applied of it while records come, in milliseconds. */
const verifyEveryMs = 5000

/**
 * The projection failed on what a record says: no fault of the database, and none that waiting
 * would cure.
 */
class NotApplicable extends Error {
  override name = 'NotApplicable'
}

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
  onDeadLetters,
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

  /**
   * Waits for whatever the work needs. Throws only what `isRetryable` does not know, or when the
   * signal is aborted.
   */
  async function waitingFor<T>(
    work: () => Promise<T>,
    signal: AbortSignal,
    isRetryable: (error: unknown) => boolean = () => true,
  ): Promise<T> {
    try {
      return await keepTrying(work, {
        backoff: databaseBackoff,
        signal,
        isRetryable,
        onFailure: (error, failures) => {
          stalled = messageOf(error)
          log.warn({ failures }, `consuming waits: ${stalled}`)
        },
      })
    } finally {
      stalled = undefined
    }
  }

  /**
   * Everything about positions comes from the database, never from a former assignment: another
   * member may have been there since.
   */
  async function onAssigned(
    assignment: Record<string, number[]>,
    signal: AbortSignal,
  ): Promise<PartitionOffset[]> {
    assigned = false
    const dealt = Object.entries(assignment).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    )
    const loaded = await waitingFor(async () => {
      const clusterId = await kafka.clusterId()
      const positions = await loadPositions(database.sql, clusterId, dealt)
      const found = positions.map(({ topic, partition, nextOffset: next, last }): Place => {
        return {
          clusterId,
          topic,
          partition,
          next,
          last,
          sought: next,
          lag: 0n,
          recreated: false,
          verifiedAtMs: 0,
        }
      })
      await verify(found, signal)
      return found
    }, signal)
    for (const place of loaded) {
      if (place.recreated) await restart(place, signal)
      place.sought = place.next
    }
    places = new Map(loaded.map((place) => [placeName(place.topic, place.partition), place]))
    assigned = true
    trouble = undefined
    log.info({ assignment }, 'partitions assigned')
    return loaded.map(({ topic, partition, next }) => ({ topic, partition, offset: next }))
  }

  /** Notes of which partitions the log is no longer the one that was applied. */
  async function verify(all: Place[], signal: AbortSignal): Promise<void> {
    for (const place of all) place.verifiedAtMs = performance.now()
    const found = await findRecreated(kafka, all, signal)
    for (const [index, place] of all.entries()) if (found[index]) place.recreated = true
  }

  async function restart(place: Place, signal: AbortSignal): Promise<void> {
    const { topic, partition, next: position } = place
    log.warn(
      { topic, partition, position },
      'topic was recreated: restarting from offset 0. What was applied of the former topic stays: rebuild to drop it',
    )
    await waitingFor(() => resetPosition(database.sql, place, position), signal)
    await reload(place, signal)
    place.recreated = false
  }

  async function onBatch(batch: IncomingBatch, signal: AbortSignal): Promise<bigint> {
    const place = places.get(placeName(batch.topic, batch.partition))
    // Dealt to somebody else while the batch was on its way.
    if (!place) return batch.fetchedFrom

    // The broker may have started over by itself, because it no longer had the offset that it was asked for.
    if (batch.fetchedFrom < place.next) await waitingFor(() => verify([place], signal), signal)
    else if (performance.now() - place.verifiedAtMs > verifyEveryMs)
      await verify([place], signal).catch((error) =>
        log.debug({}, `the log could not be compared with what was applied of it: ${messageOf(error)}`),
      )
    if (place.recreated || batch.highWatermark < place.next) await restart(place, signal)
    if (batch.fetchedFrom !== place.next) {
      if (batch.fetchedFrom < place.next || place.sought !== place.next) return seek(place)
      log.warn(
        { topic: batch.topic, partition: batch.partition, from: place.next, to: batch.fetchedFrom - 1n },
        'records were deleted from the topic before they could be applied',
      )
    }

    const records = batch.records.filter(
      ({ offset, unreadable }) => (unreadable?.lastOffset ?? offset) >= place.next,
    )
    const claimed = await applyRecords(place, records, batch.next, signal)
    if (signal.aborted && !claimed) return place.next
    if (!claimed) {
      log.warn({ topic: batch.topic, partition: batch.partition }, 'lost ownership of partition')
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
    place.last = position?.last
  }

  /**
   * Applies all records and moves the position to `to`, or does nothing and answers false, because
   * the position was moved by another member or it is time to stop. When the database takes some of
   * the records and not others, the half with the culprit is halved until it is found.
   */
  async function applyRecords(
    place: Place,
    records: IncomingRecord[],
    to: bigint,
    signal: AbortSignal,
  ): Promise<boolean> {
    const readings = records.map((record) => ({
      decoded: decodeFrom(place.topic, record),
      timestampMs: record.timestampMs,
      origin: record,
    }))
    const step = { to, last: markOf(records) }
    try {
      return await applyReadings(place, readings, step, signal)
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
      const { topic, partition, next: offset } = place
      log.error({ error, topic, partition, offset }, 'record cannot be applied')
      const cause = error instanceof NotApplicable ? 'not_applicable' : 'not_storable'
      const reason = { cause, detail: messageOf(error).slice(0, detailLengthMax) } as const
      const refused = records.map((origin) => ({ origin, reason }))
      return applyReadings(place, [], step, signal, refused)
    }
  }

  /**
   * Throws only what database or projection have against the data itself; everything else passes,
   * and is waited for.
   */
  async function applyReadings(
    place: Place,
    readings: Reading<IncomingRecord>[],
    { to, last }: { to: bigint; last: Mark | undefined },
    signal: AbortSignal,
    refused: { origin: IncomingRecord; reason: DeadLetterReason }[] = [],
  ): Promise<boolean> {
    const write = async (sql: Statements, accountIds: string[]) => {
      const projection = projectSafely(readings, await loadProjectedAccounts(sql, accountIds))
      const deadLetters = [...projection.deadLetters, ...refused].map((letter) => toDeadLetter(place, letter))
      const claim = movePosition(place, { from: place.next, to, last })
      const { claimed } = await applyProjection(sql, claim, { ...projection, deadLetters })
      return { claimed, projection: { ...projection, deadLetters } }
    }
    const accountIds = accountsToLoad(readings)
    const writeInTurn = (ids: string[]) => withProjectionLock(database.sql, (sql) => write(sql, ids))
    const { claimed, projection } = await waitingFor(
      () => (accountIds.length === 0 ? write(database.sql, []) : writeInTurn(accountIds)),
      signal,
      (error) => !isDataRefused(error) && !(error instanceof NotApplicable),
    ).catch((error) => {
      if (!isConflict(error)) throw error
      // Again, knowing all accounts. They may move on in between, and then there is more to know.
      const isRetryable = (error: unknown) =>
        isConflict(error) || !(isDataRefused(error) || error instanceof NotApplicable)
      return waitingFor(() => writeInTurn(accountsIn(readings)), signal, isRetryable)
    })
    if (!claimed) return false
    place.next = to
    place.last = last ?? place.last
    onApplied?.(projection.balances.map((row) => row.accountId))
    if (projection.deadLetters.length > 0) onDeadLetters?.()

    for (const { topic, partition, recordOffset, cause, detail } of projection.deadLetters)
      log.warn({ topic, partition, offset: recordOffset, cause, detail }, 'record dead-lettered')
    for (const name of projection.unknown) {
      if (unknownNames.has(name) || unknownNames.size >= unknownNamesMax) continue
      log.warn({ topic: place.topic, name: name.slice(0, 100) }, 'events of this name are skipped')
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

/** Names are whatever was sent: each is logged once, up to so many. */
const unknownNamesMax = 100
const detailLengthMax = 300

function projectSafely(
  ...[readings, known]: Parameters<typeof project<IncomingRecord>>
): Projection<IncomingRecord> {
  try {
    return project(readings, known)
  } catch (error) {
    throw new NotApplicable(messageOf(error), { cause: error })
  }
}

/** By which the log is known again: the last record that could be read. */
function markOf(records: IncomingRecord[]): Mark | undefined {
  const last = records.findLast(({ unreadable }) => !unreadable)
  return last && { offset: last.offset, checksum: checksumOf(last) }
}

const placeName = (topic: string, partition: number): string => `${topic}/${partition}`

function toDeadLetter(
  { clusterId, topic, partition }: Partition,
  { origin, reason }: { origin: IncomingRecord; reason: DeadLetterReason },
): DeadLetterRow {
  const { offset: recordOffset, key, value, headers, timestampMs, unreadable } = origin
  const recordAt = recordTime(timestampMs) ?? null
  const lastOffset = unreadable?.lastOffset ?? null
  return { ...reason, clusterId, topic, partition, recordOffset, lastOffset, key, value, headers, recordAt }
}
