/**
 * Applies the records of batches. What cannot be applied is dead-lettered in the same transaction, so
 * that no record blocks its partition.
 */
import { isUuid } from '../../contract/id'
import { recordTime } from '../../contract/time'
import { firstEpoch } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import { traceProcessing, traceparentOf } from '../../platform/kafka/process-spans'
import type { IncomingRecord } from '../../platform/kafka/records'
import type { Database } from '../../platform/postgres/database'
import { isDataRefused } from '../../platform/postgres/failures'
import { statementAttributes } from '../../platform/postgres/statement-span'
import type { Statements } from '../../platform/postgres/statements'
import type { Log } from '../../platform/telemetry/log'
import type { Tracing } from '../../platform/telemetry/spans'
import { traceFields } from '../../platform/telemetry/trace'
import { loadProjectedAccounts } from './accounts-store'
import {
  applyProjection,
  isConflict,
  isRepeated,
  type NewDeadLetter,
  type Rows,
  type Watched,
  withProjectionLock,
} from './apply-store'
import { epochsIn } from './epochs'
import { loadEpochs, loadKnownEpochs, lockApplies, recordEpochs, removeVoidEntries } from './epochs-store'
import { eraseInShadow } from './erasure-store'
import { type ApplyMetrics, observeApply } from './metrics'
import type { ApplyObserver } from './observation'
import { type Advance, advanceOffsets, type Partition, type StoredOffset } from './offsets-store'
import { ProjectionFailed, projectSafely } from './project'
import { lastRecordOf } from './recreation'
import type { Retries } from './retries'
import { accountsIn, accountsToLoad, clientsIn } from './sides'
import { isPersonalTopic, type ReadRecord } from './topics'
import type { DeadLetterReason, EpochChanges, Reading } from './types'

export type BatchApplierOptions = {
  database: Pick<Database, 'sql'>
  log: Log
  tracing?: { tracing: Tracing; groupId: string } | undefined
  retries: Retries
  read: ReadRecord
  /** These accounts may have changed. */
  onApplied?: ((accountIds: string[]) => void) | undefined
  onDeadLetters?: (() => void) | undefined
  observer?: ApplyObserver | undefined
  metrics?: ApplyMetrics | undefined
  /** Of one transaction: 2,000 by default. The process does nothing else while it reads and projects them. */
  recordsMax?: number | undefined
}

/** Records of one partition, and the offset after them. */
export type PartitionRecords = { offset: StoredOffset; records: IncomingRecord[]; to: bigint }

type Origin = { record: IncomingRecord; partition: Partition }
type DeadRecord = { origin: Origin; reason: DeadLetterReason }
/** `rejected` are dead letters in addition to those of the projection, which has to wait for `accountIds`. */
type Step = {
  advances: Advance[]
  readings: Reading<Origin>[]
  rejected: DeadRecord[]
  accountIds: string[]
  projected: ReturnType<typeof projectSafely<Origin>> | undefined
  /** When its records were taken up, on the clock of `performance.now`. */
  startedMs: number
  /** Of the ledger, in its events; undefined where one of them starts an epoch. */
  epochs: Set<number> | undefined
}

type Written = { rows: Rows; unknown: string[]; dead: DeadRecord[]; watched?: Watched | undefined }

const applyStatement = { operation: 'INSERT', table: 'balances' } as const
const applied = { name: 'INSERT balances', attributes: statementAttributes(applyStatement) }

const recordsMaxDefault = 2000
const detailLengthMax = 300
/** Names come from outside: each is logged once, and only so many. */
const unknownNamesMax = 100

export class BatchApplier {
  readonly #options: BatchApplierOptions
  readonly #unknownNames = new Set<string>()
  /**
   * Whether entries come for the first time: unknown at a start, where those of a seed are repeated, and not
   * while some are, as after a republication. A statement that is refused for them uses up numbers of dead
   * letters.
   */
  #areNew = false
  /** The one epoch of the ledger that there is, as far as this process knows; none while another starts. */
  #settled: number | undefined = firstEpoch

  constructor(options: BatchApplierOptions) {
    this.#options = options
  }

  /**
   * Applies or dead-letters all records and advances the offsets, in one transaction if they are not too
   * many. Tells which of them advanced: one that another member has advanced did not, and none once the
   * signal is aborted.
   */
  async apply(batches: readonly PartitionRecords[], signal: AbortSignal): Promise<boolean[]> {
    const pieces = piecesOf(batches, this.#options.recordsMax ?? recordsMaxDefault)
    const stopped = new Set<StoredOffset>()
    let step = this.#stepOf(pieces[0] ?? [])
    for (const [index, piece] of pieces.entries()) {
      if (signal.aborted) return batches.map(() => false)
      const rest = piece.filter(({ offset }) => !stopped.has(offset))
      const current = rest.length === piece.length ? step : this.#stepOf(rest)
      // The next piece is read and projected while this one is written.
      const [applied, next] = await Promise.all([
        this.#applyPiece(rest, current, signal),
        this.#readAhead(pieces[index + 1]),
      ])
      for (const [at, { offset }] of rest.entries()) if (!applied[at]) stopped.add(offset)
      step = next
    }
    return batches.map(({ offset }) => !stopped.has(offset))
  }

  async #readAhead(piece: readonly PartitionRecords[] = []): Promise<Step> {
    if (piece.length > 0) await sending()
    return this.#stepOf(piece)
  }

  /**
   * Where a common transaction fails, because a partition is lost or the database rejects something, each
   * partition is applied by itself.
   */
  async #applyPiece(
    batches: readonly PartitionRecords[],
    step: Step,
    signal: AbortSignal,
  ): Promise<boolean[]> {
    if (batches.length > 1 && (await this.#applyTogether(step, signal))) return batches.map(() => true)
    const applied: boolean[] = []
    const own = batches.length === 1 ? step : undefined
    for (const batch of batches) applied.push(!signal.aborted && (await this.#applyOne(batch, signal, own)))
    return applied
  }

  async #applyTogether(step: Step, signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#commit(step, signal)
    } catch (error) {
      this.#options.log.debug({}, `applying partition by partition: ${messageOf(error)}`)
      return false
    }
  }

  /** When the database rejects it, it is halved until the culprit stands alone. Halves before it stay. */
  async #applyOne(
    batch: PartitionRecords,
    signal: AbortSignal,
    step = this.#stepOf([batch]),
  ): Promise<boolean> {
    try {
      return await this.#commit(step, signal)
    } catch (error) {
      if (signal.aborted) return false
      if (batch.records.length > 1) return this.#applyHalves(batch, signal)
      const rejected = step.readings.map(({ origin }) => ({ origin, reason: this.#rejection(origin, error) }))
      return this.#commit({ ...stepOf(step.advances, [], step.startedMs), rejected }, signal)
    }
  }

  async #applyHalves({ offset, records, to }: PartitionRecords, signal: AbortSignal): Promise<boolean> {
    const half = records.length >> 1
    const middle = records[half] as IncomingRecord
    return (
      (await this.#applyOne({ offset, records: records.slice(0, half), to: middle.offset }, signal)) &&
      (await this.#applyOne({ offset, records: records.slice(half), to }, signal))
    )
  }

  #stepOf(batches: readonly PartitionRecords[]): Step {
    const startedMs = performance.now()
    const { read } = this.#options
    const advances = batches.map(({ offset: from, records, to }) => ({
      from,
      to,
      last: lastRecordOf(records),
    }))
    const readings = batches.flatMap(({ offset: partition, records }) =>
      records.map((record) => ({
        decoded: read(partition.topic, record),
        timestampMs: record.timestampMs,
        origin: { record, partition },
      })),
    )
    return stepOf(advances, readings, startedMs)
  }

  #rejection({ record, partition: { topic, partition } }: Origin, error: unknown): DeadLetterReason {
    const isProjection = error instanceof ProjectionFailed
    const message = isProjection ? 'projection failed on record' : 'database rejected record'
    const place = { topic, partition, offset: record.offset, ...traceOf(record) }
    this.#options.log.error({ error, ...place }, message)
    return {
      cause: isProjection ? 'not_applicable' : 'not_storable',
      detail: messageOf(error).slice(0, detailLengthMax),
    }
  }

  /** One transaction. Retries everything but what is wrong with the data itself, which it throws. */
  #commit(step: Step, signal: AbortSignal): Promise<boolean> {
    const { epochs } = step
    const isPlain = epochs && epochs.size <= 1 && (epochs.size === 0 || epochs.has(this.#settled ?? 0))
    return isPlain ? this.#commitPlain(step, signal) : this.#commitInEpochs(step, signal)
  }

  async #commitPlain(step: Step, signal: AbortSignal): Promise<boolean> {
    const { database, retries } = this.#options
    const startedMs = performance.now()
    const [epoch] = step.epochs ?? []
    const write = async (sql: Statements, accountIds: string[]) => {
      const stored = await loadProjectedAccounts(sql, accountIds)
      const projected =
        accountIds.length === 0 && step.projected ? step.projected : projectSafely(step.readings, stored)
      const { rows, unknown, dead } = writtenOf(step, projected)
      await eraseErased(sql, rows)
      const options = { areNew: this.#areNew, isWatched: this.#isWatched }
      const claim = advanceOffsets(step.advances, epoch)
      const { claimed, recorded, watched } = await applyProjection(sql, claim, rows, options)
      if (claimed && rows.entries.length > 0) this.#areNew = recorded === rows.entries.length
      return claimed ? { rows, unknown, dead, watched } : undefined
    }
    const writeLocked = (ids: string[]) => withProjectionLock(database.sql, (sql) => write(sql, ids))

    const { accountIds } = step
    const writeOnce = () => (accountIds.length === 0 ? write(database.sql, []) : writeLocked(accountIds))
    const written = await retries
      .run(writeOnce, signal, isRetryable)
      .catch((error) => {
        if (!isRepeated(error)) throw error
        this.#areNew = false
        return retries.run(writeOnce, signal, isRetryable)
      })
      .catch((error) => {
        if (!isConflict(error)) throw error
        this.#areNew = false
        // Load all accounts to find the conflicting event. They may change before the write: retry then.
        return retries.run(
          () => writeLocked(accountsIn(step.readings)),
          signal,
          (error) => isConflict(error) || isRetryable(error),
        )
      })
    if (!written) return epoch !== undefined && this.#commitAnew(step, signal)
    this.#advance(written, step, startedMs)
    return true
  }

  /** Whether it was another epoch that kept it from being written, and then with that known. */
  async #commitAnew(step: Step, signal: AbortSignal): Promise<boolean> {
    const { database, retries } = this.#options
    const { current, complete } = await retries.run(() => loadEpochs(database.sql), signal)
    if (current === complete && step.epochs?.has(current)) return false
    this.#settled = undefined
    return this.#commit(step, signal)
  }

  /**
   * While an epoch of the ledger starts, or events of several arrive, with all that is stored of their
   * accounts, and alone among all processes. That is slow, and rare.
   */
  async #commitInEpochs(step: Step, signal: AbortSignal): Promise<boolean> {
    const { readings, advances } = step
    const { database, retries, log } = this.#options
    const startedMs = performance.now()
    const write = async (tx: Statements) => {
      await lockApplies(tx)
      const known = await loadKnownEpochs(tx, clientsIn(readings))
      const projected = projectSafely(readings, await loadProjectedAccounts(tx, accountsIn(readings)), known)
      const { rows, unknown, dead, changes } = writtenOf(step, projected)
      await eraseErased(tx, rows)
      if (changes) await removeVoidEntries(tx, changes, rows.entries)
      const options = { isWatched: this.#isWatched }
      const { claimed, watched } = await applyProjection(tx, advanceOffsets(advances), rows, options)
      if (!claimed) throw new NotClaimed()
      const completed = changes && (await recordEpochs(tx, changes))
      const stored = await loadEpochs(tx)
      return { rows, unknown, dead, watched, changes, completed, stored }
    }
    const written = await retries
      .run(() => withProjectionLock(database.sql, write), signal, isRetryable)
      .catch((error) => {
        if (error instanceof NotClaimed) return undefined
        throw error
      })
    if (!written) return false
    const { changes, completed, stored } = written
    this.#settled = stored.current === stored.complete ? stored.current : undefined
    const { voided = 0 } = changes ?? {}
    if (voided > 0) log.warn({ voided, epoch: stored.current }, 'events that the restored ledger has lost')
    if (completed) log.warn({ epoch: completed }, 'what the restored ledger has lost is removed')
    this.#advance(written, step, startedMs)
    return true
  }

  get #isWatched(): boolean {
    return this.#options.observer?.isWatching ?? false
  }

  #advance(written: Written, step: Step, startedMs: number): void {
    const appliedMs = performance.now()
    for (const { from, to, last } of step.advances) {
      from.next = to
      from.last = last ?? from.last
    }
    this.#trace(written.dead, step, startedMs)
    this.#report(written, step)
    if (this.#isWatched) this.#observe(written, step, appliedMs)
    const { deadLetters } = written.rows
    const { metrics } = this.#options
    if (metrics)
      observeApply(metrics, { readings: step.readings, deadLetters, areNew: this.#areNew, startedMs })
  }

  #observe({ rows, dead, watched }: Written, step: Step, appliedMs: number): void {
    this.#options.observer?.observe({
      readings: step.readings,
      dead: dead.map(({ origin }, at) => ({ origin, reason: rows.deadLetters[at] as DeadLetterReason })),
      entries: rows.entries,
      recorded: watched === null ? [] : (watched?.keys ?? undefined),
      xid: watched?.xid,
      receivedMs: step.startedMs,
      appliedMs,
      visibleMs: performance.now(),
    })
  }

  #trace(dead: readonly DeadRecord[], { readings, rejected, startedMs }: Step, committingMs: number): void {
    const { tracing } = this.#options
    if (!tracing) return
    const causes = new Map(dead.map(({ origin, reason }) => [origin, reason.cause]))
    const origins = [...readings, ...rejected].map(({ origin }) => origin)
    const processed = origins.map((origin) => {
      const { topic, partition } = origin.partition
      return { topic, partition, record: origin.record, error: causes.get(origin) }
    })
    traceProcessing(tracing.tracing, processed, {
      groupId: tracing.groupId,
      startMs: startedMs,
      shared: { ...applied, startMs: committingMs },
    })
  }

  #report({ rows, unknown, dead }: Written, { readings }: Step): void {
    const { log, onApplied, onDeadLetters } = this.#options
    onApplied?.(rows.balances.map((row) => row.accountId))
    if (rows.deadLetters.length > 0) onDeadLetters?.()
    for (const [at, { topic, partition, recordOffset: offset, ...reason }] of rows.deadLetters.entries()) {
      const { cause, detail } = reason
      const place = { topic, partition, offset, ...traceOf(dead[at]?.origin.record) }
      log.warn({ ...place, cause, detail }, 'record dead-lettered: see GET /dead-letters')
    }
    for (const name of unknown) {
      if (this.#unknownNames.has(name) || this.#unknownNames.size >= unknownNamesMax) continue
      const { origin } = readings.find(({ decoded }) => 'name' in decoded && decoded.name === name) ?? {}
      const { topic } = origin?.partition ?? {}
      log.warn({ topic, name: name.slice(0, 100) }, 'skipping events of an unknown name')
      this.#unknownNames.add(name)
    }
  }
}

function stepOf(advances: Advance[], readings: Reading<Origin>[], startedMs: number): Step {
  const accountIds = accountsToLoad(readings)
  const projected = accountIds.length === 0 ? projectSafely(readings, new Map()) : undefined
  return { advances, readings, rejected: [], accountIds, projected, epochs: epochsIn(readings), startedMs }
}

/** The rows of a step, and what is to be said of them. Throws what the projection threw. */
function writtenOf(
  { rejected }: Step,
  projected: ReturnType<typeof projectSafely<Origin>>,
): Written & { changes: EpochChanges | undefined } {
  if (projected instanceof ProjectionFailed) throw projected
  const { unknown, epochs: changes, ...projection } = projected
  const dead = [...projection.deadLetters, ...rejected]
  return { rows: { ...projection, deadLetters: dead.map(deadLetterOf) }, unknown, dead, changes }
}

async function eraseErased(sql: Statements, { clients }: Rows): Promise<void> {
  const erased = clients.filter(({ name }) => name === null)
  if (erased.length > 0) await eraseInShadow(sql, erased)
}

/** Another member has advanced an offset. */
class NotClaimed extends Error {
  override name = 'NotClaimed'
}

/** For log lines about a record. */
function traceOf(record: IncomingRecord | undefined): Partial<ReturnType<typeof traceFields>> {
  const traceparent = record && traceparentOf(record)
  return traceparent === undefined ? {} : traceFields(traceparent)
}

/** In pieces of at most so many records. */
function piecesOf(batches: readonly PartitionRecords[], recordsMax: number): PartitionRecords[][] {
  const pieces: PartitionRecords[][] = []
  let left = 0
  for (const { offset, records, to } of batches) {
    let from = 0
    do {
      if (left === 0) {
        pieces.push([])
        left = recordsMax
      }
      const end = Math.min(from + left, records.length)
      pieces.at(-1)?.push({ offset, records: records.slice(from, end), to: records[end]?.offset ?? to })
      left -= end - from
      from = end
    } while (from < records.length)
  }
  return pieces
}

/** Resolves once the driver has sent what it was given in this turn, and the one before. */
const sending = async () => {
  for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve))
}

const isRetryable = (error: unknown): boolean =>
  !isDataRefused(error) && !(error instanceof ProjectionFailed) && !(error instanceof NotClaimed)

function deadLetterOf({ origin: { record, partition: of }, reason }: DeadRecord): NewDeadLetter {
  const { clusterId, topic, partition } = of
  const { offset: recordOffset, key, value, headers, timestampMs, unreadable } = record
  const recordAt = recordTime(timestampMs) ?? null
  const lastOffset = unreadable?.lastOffset ?? null
  const place = { clusterId, topic, partition, recordOffset, lastOffset, recordAt }
  if (isPersonalTopic(topic)) return { ...place, ...withoutContents(reason, key) }
  return { ...reason, ...place, key, value, headers }
}

/** A detail may quote the value, and a key may be anything but the id of a client. */
const withoutContents = ({ cause }: DeadLetterReason, key: Buffer | null) => ({
  ...{ cause, detail: 'the record may have personal data, which is not kept: see it on its topic' },
  ...{ key: key && isUuid(key.toString()) ? key : null, value: null, headers: [] },
})
