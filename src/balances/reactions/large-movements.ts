/**
 * Takes note of large movements: a reaction of its own to TransactionCreated, with a consumer group
 * and a table of its own. The wallet knows nothing of it, the projection neither. It is exactly
 * once in effect by another way than the projection: the key of a row refuses what is told again,
 * so positions may stay with the broker, which hears of them once the rows are in. Whatever is
 * killed in between is read again, in vain.
 */
import { Dispatcher } from '../../contract/events/dispatcher'
import type { Payloads, SaldoEvent, TransactionCreated } from '../../contract/events/events'
import { currencyDefault, parseComputedMoney, parseMoney } from '../../contract/money'
import { parseTime, recordTime } from '../../contract/time'
import { decodeRecord } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import { keepSubscribed } from '../../platform/kafka/keep-subscribed'
import type { IncomingBatch, IncomingRecord } from '../../platform/kafka/records'
import { isDataRefused } from '../../platform/postgres/failures'
import { keepTrying } from '../../platform/process/retry'
import type { Consumer, ConsumerOptions } from '../projection/consumer'
import { isStorable } from '../projection/project'
import { addLargeMovements, type LargeMovement } from './large-movements-store'

export type LargeMovementsOptions = Pick<
  ConsumerOptions,
  'database' | 'kafka' | 'groupId' | 'topics' | 'partitions' | 'log'
> & {
  /** From this on a movement is large, in major units of whatever currency it is in. */
  min: number
}

/** Its health warns, and never fails: balances are served without it. */
export type LargeMovements = Pick<Consumer, 'health' | 'stop'>

const databaseBackoff = { firstMs: 50, limitMs: 2000 }

/** Begins in the background, as soon as there is a broker, and goes on until it is stopped. */
export function startLargeMovements(options: LargeMovementsOptions): LargeMovements {
  const { database, kafka, min, ...subscribing } = options
  const log = options.log.child({ consumer: 'large movements' })
  const stopping = new AbortController()
  let trouble: string | undefined = 'the broker has not answered yet'
  let stalled: string | undefined
  let noted = 0
  let skipped = 0

  async function onBatch(batch: IncomingBatch, signal: AbortSignal): Promise<bigint> {
    const notes = selectLarge(batch.records, min)
    try {
      const added = await keepTrying(() => addAcceptable(notes), {
        backoff: databaseBackoff,
        signal,
        isRetryable: () => true,
        onFailure: (error, failures) => {
          stalled = `waiting: ${messageOf(error)}`
          log.warn({ failures }, `consuming waits: ${messageOf(error)}`)
        },
      })
      noted += added
    } catch {
      // It is somebody else's by now, or time to stop.
      return batch.fetchedFrom
    } finally {
      stalled = undefined
    }
    // The dead letters are the projection's: they are kept to be applied after all. A notification
    // that nobody can read is counted, no more.
    const { topic, partition, fetchedFrom: from } = batch
    const records = notes.skipped.length
    skipped += records
    if (records > 0)
      log.warn({ topic, partition, from, records, skipped }, `skipped, as the first: ${notes.skipped[0]}`)
    return batch.next
  }

  /** All that the table takes. What it refuses is found by halving, and skipped. */
  async function addAcceptable({ rows, skipped }: Notes): Promise<number> {
    try {
      return await addLargeMovements(database.sql, rows)
    } catch (error) {
      if (!isDataRefused(error)) throw error
      if (rows.length > 1) {
        const half = rows.length >> 1
        const first = await addAcceptable({ rows: rows.slice(0, half), skipped })
        return first + (await addAcceptable({ rows: rows.slice(half), skipped }))
      }
      skipped.push(messageOf(error))
      return 0
    }
  }

  const consuming = keepSubscribed(kafka, {
    ...subscribing,
    onBatch,
    async onAssigned() {
      trouble = undefined
      // Where to go on is what the broker keeps for the group.
      return []
    },
    onTrouble: (error) => {
      trouble = messageOf(error)
    },
    log,
    signal: stopping.signal,
  })

  return {
    async health() {
      const output = trouble ?? stalled
      if (output !== undefined) return { status: 'warn', output }
      return { status: 'pass', output: `${noted} noted and ${skipped} records skipped since the start` }
    },
    async stop() {
      stopping.abort()
      await consuming
    },
  }
}

/** `skipped` has the reason for each record that cannot be read. */
type Notes = { rows: LargeMovement[]; skipped: string[] }

/** What is worth noting of some records. Pure, and never throws. */
export function selectLarge(
  records: readonly Pick<IncomingRecord, 'value' | 'headers' | 'timestampMs'>[],
  min: number,
): Notes {
  const notes: Notes = { rows: [], skipped: [] }
  for (const record of records) {
    const decoded = decodeRecord(record)
    if (decoded.kind === 'unreadable') notes.skipped.push(decoded.reason.detail)
    else if (decoded.kind === 'unknown') notes.skipped.push(`events called ${decoded.name} are not known`)
    else reactSafely(decoded.event, { ...notes, min, timestampMs: record.timestampMs })
  }
  return notes
}

function reactSafely(event: SaldoEvent, noting: Noting): void {
  try {
    reactions.dispatch(event, noting)
  } catch (error) {
    noting.skipped.push(messageOf(error).slice(0, 300))
  }
}

/** What is noted, from which amount on, and the time of the record. */
type Noting = Notes & { min: number; timestampMs: number }

/** Holds, and whatever else there is about, have no handler: nothing has moved. */
const reactions = new Dispatcher<Payloads, Noting>().register('TransactionCreated', noteIfLarge)

function noteIfLarge(payload: TransactionCreated, { rows, skipped, min, timestampMs }: Noting): void {
  const { currency = currencyDefault, reference = null } = payload
  // Ours names its currency. Another's may be computed in binary floating point.
  const amount = (payload.currency === undefined ? parseComputedMoney : parseMoney)(payload.amount, currency)
  if (!amount.ok) return void skipped.push(`/amount: ${amount.detail}`)
  const limit = parseMoney(min, currency)
  if (limit.ok && amount.minor < limit.minor) return

  const createdAt = payload.created_at === undefined ? recordTime(timestampMs) : parseTime(payload.created_at)
  const { id: transactionId, account_id_from: accountIdFrom, account_id_to: accountIdTo } = payload
  if (!createdAt || ![transactionId, accountIdFrom, accountIdTo, reference ?? ''].every(isStorable))
    skipped.push('a time or a text of it fits no table')
  else
    rows.push({
      transactionId,
      accountIdFrom,
      accountIdTo,
      amountMinor: amount.minor,
      currency,
      reference,
      createdAt,
    })
}
