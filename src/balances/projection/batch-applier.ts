/**
 * Applies the records of a batch. What cannot be applied is dead-lettered in the same transaction, so
 * that no record blocks its partition.
 */
import { isUuid } from '../../contract/id'
import { recordTime } from '../../contract/time'
import { messageOf } from '../../platform/fault'
import type { IncomingRecord } from '../../platform/kafka/records'
import type { Database } from '../../platform/postgres/database'
import { isDataRefused } from '../../platform/postgres/failures'
import type { Statements } from '../../platform/postgres/statements'
import type { Log } from '../../platform/telemetry/log'
import { loadProjectedAccounts } from './accounts-store'
import { applyProjection, isConflict, type NewDeadLetter, type Rows, withProjectionLock } from './apply-store'
import { eraseInShadow } from './erasure-store'
import { advanceOffset, type LastRecord, type Partition, type StoredOffset } from './offsets-store'
import { ProjectionFailed, projectSafely } from './project'
import { lastRecordOf } from './recreation'
import type { Retries } from './retries'
import { accountsIn, accountsToLoad } from './sides'
import { isPersonalTopic, type ReadRecord } from './topics'
import type { DeadLetterReason, Reading } from './types'

export type BatchApplierOptions = {
  database: Pick<Database, 'sql'>
  log: Log
  retries: Retries
  read: ReadRecord
  /** These accounts may have changed. */
  onApplied?: ((accountIds: string[]) => void) | undefined
  onDeadLetters?: (() => void) | undefined
}

type DeadRecord = { origin: IncomingRecord; reason: DeadLetterReason }
/** `rejected` are dead letters in addition to those of the projection. */
type Step = {
  readings: Reading<IncomingRecord>[]
  rejected: DeadRecord[]
  to: bigint
  last: LastRecord | undefined
}

const detailLengthMax = 300
/** Names come from outside: each is logged once, and only so many. */
const unknownNamesMax = 100

export class BatchApplier {
  readonly #options: BatchApplierOptions
  readonly #unknownNames = new Set<string>()

  constructor(options: BatchApplierOptions) {
    this.#options = options
  }

  /**
   * Applies or dead-letters all records and advances the offset to `to`. False, and nothing is done,
   * when another member has advanced it or the signal is aborted. When the database rejects the batch
   * it is halved until the culprit stands alone; the halves before it stay applied.
   */
  async apply(
    offset: StoredOffset,
    records: IncomingRecord[],
    to: bigint,
    signal: AbortSignal,
  ): Promise<boolean> {
    const step = { to, last: lastRecordOf(records) }
    const readings = records.map((record) => this.#read(offset.topic, record))
    try {
      return await this.#commit(offset, { ...step, readings, rejected: [] }, signal)
    } catch (error) {
      if (signal.aborted) return false
      if (records.length > 1) return this.#applyHalves(offset, records, to, signal)
      const rejected = records.map((origin) => ({ origin, reason: this.#rejection(offset, origin, error) }))
      return this.#commit(offset, { ...step, readings: [], rejected }, signal)
    }
  }

  #read(topic: string, record: IncomingRecord): Reading<IncomingRecord> {
    const decoded = this.#options.read(topic, record)
    return { decoded, timestampMs: record.timestampMs, origin: record }
  }

  async #applyHalves(offset: StoredOffset, records: IncomingRecord[], to: bigint, signal: AbortSignal) {
    const half = records.length >> 1
    const middle = records[half] as IncomingRecord
    return (
      (await this.apply(offset, records.slice(0, half), middle.offset, signal)) &&
      (await this.apply(offset, records.slice(half), to, signal))
    )
  }

  #rejection(
    { topic, partition }: StoredOffset,
    { offset }: IncomingRecord,
    error: unknown,
  ): DeadLetterReason {
    const isProjection = error instanceof ProjectionFailed
    const message = isProjection ? 'projection failed on record' : 'database rejected record'
    this.#options.log.error({ error, topic, partition, offset }, message)
    return {
      cause: isProjection ? 'not_applicable' : 'not_storable',
      detail: messageOf(error).slice(0, detailLengthMax),
    }
  }

  /** One transaction. Retries everything but what is wrong with the data itself, which it throws. */
  async #commit(offset: StoredOffset, step: Step, signal: AbortSignal): Promise<boolean> {
    const { database, retries } = this.#options
    const write = async (sql: Statements, accountIds: string[]) => {
      const projected = projectSafely(step.readings, await loadProjectedAccounts(sql, accountIds))
      if (projected instanceof ProjectionFailed) throw projected
      const { unknown, ...projection } = projected
      const dead = [...projection.deadLetters, ...step.rejected]
      const rows = { ...projection, deadLetters: dead.map((record) => deadLetterOf(offset, record)) }
      const erased = rows.clients.filter(({ name }) => name === null)
      if (erased.length > 0) await eraseInShadow(sql, erased)
      const { claimed } = await applyProjection(sql, advanceOffset(offset, step), rows)
      return claimed ? { rows, unknown } : undefined
    }
    const writeLocked = (ids: string[]) => withProjectionLock(database.sql, (sql) => write(sql, ids))

    const accountIds = accountsToLoad(step.readings)
    const written = await retries
      .run(
        () => (accountIds.length === 0 ? write(database.sql, []) : writeLocked(accountIds)),
        signal,
        isRetryable,
      )
      .catch((error) => {
        if (!isConflict(error)) throw error
        // Load all accounts to find the conflicting event. They may change before the write: retry then.
        return retries.run(
          () => writeLocked(accountsIn(step.readings)),
          signal,
          (error) => isConflict(error) || isRetryable(error),
        )
      })
    if (!written) return false
    offset.next = step.to
    offset.last = step.last ?? offset.last
    this.#report(offset.topic, written)
    return true
  }

  #report(topic: string, { rows, unknown }: { rows: Rows; unknown: string[] }): void {
    const { log, onApplied, onDeadLetters } = this.#options
    onApplied?.(rows.balances.map((row) => row.accountId))
    if (rows.deadLetters.length > 0) onDeadLetters?.()
    for (const { partition, recordOffset: offset, cause, detail } of rows.deadLetters)
      log.warn({ topic, partition, offset, cause, detail }, 'record dead-lettered: see GET /dead-letters')
    for (const name of unknown) {
      if (this.#unknownNames.has(name) || this.#unknownNames.size >= unknownNamesMax) continue
      log.warn({ topic, name: name.slice(0, 100) }, 'skipping events of an unknown name')
      this.#unknownNames.add(name)
    }
  }
}

const isRetryable = (error: unknown): boolean => !isDataRefused(error) && !(error instanceof ProjectionFailed)

function deadLetterOf(
  { clusterId, topic, partition }: Partition,
  { origin, reason }: DeadRecord,
): NewDeadLetter {
  const { offset: recordOffset, key, value, headers, timestampMs, unreadable } = origin
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
