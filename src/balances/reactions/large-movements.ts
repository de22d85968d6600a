/**
 * Records large movements: an independent consumer of notifications with its own group and table.
 * The primary key makes redeliveries no-ops, so offsets stay with the broker and are committed after
 * the rows. They may outlive their topic: the guard notices that it was recreated.
 */
import { Dispatcher } from '../../contract/events/dispatcher'
import type { Payloads, SaldoEvent, TransactionCreated } from '../../contract/events/events'
import { canonicalId } from '../../contract/id'
import { currencyDefault, parseComputedMoney, parseMoney } from '../../contract/money'
import { parseTime, recordTime } from '../../contract/time'
import { messageOf } from '../../platform/fault'
import { keepSubscribed } from '../../platform/kafka/keep-subscribed'
import { traceProcessing } from '../../platform/kafka/process-spans'
import type { IncomingBatch, IncomingRecord } from '../../platform/kafka/records'
import { isDataRefused } from '../../platform/postgres/failures'
import { statementAttributes } from '../../platform/postgres/statement-span'
import type { Statements } from '../../platform/postgres/statements'
import type { Consumer, ConsumerOptions } from '../projection/consumer'
import { Retries } from '../projection/retries'
import { isStorable } from '../projection/storable'
import { addLargeMovements, type LargeMovement } from './large-movements-store'
import { RecreationGuard } from './recreation-guard'

export type LargeMovementsOptions = Pick<
  ConsumerOptions,
  'database' | 'kafka' | 'groupId' | 'topics' | 'partitions' | 'log' | 'read' | 'tracing'
> & {
  /** The smallest large movement, in major units of its own currency. */
  min: number
}

/** Its health warns and never fails: balances are served without it. */
export type LargeMovements = Pick<Consumer, 'health' | 'stop'>

/** The statement, as its span has it. */
const written = {
  name: 'INSERT large_movements',
  attributes: statementAttributes({ operation: 'INSERT', table: 'large_movements' }),
}

/** No caller waits for a large movement: few large fetches instead of many small ones. */
const fetching = { bytesMin: 256 << 10, waitMs: 500 }

/** Runs in the background: subscribes as soon as there is a broker, and until it is stopped. */
export function startLargeMovements(options: LargeMovementsOptions): LargeMovements {
  const { database, kafka, min, read, tracing, ...subscription } = options
  const log = options.log.child({ consumer: 'large movements' })
  const stopping = new AbortController()
  const retries = new Retries(log)
  const guard = new RecreationGuard({ database, kafka, groupId: options.groupId, log })
  let trouble: string | undefined = 'no answer from the broker yet'
  let recorded = 0
  let skipped = 0

  async function onBatches(batches: IncomingBatch[], signal: AbortSignal): Promise<bigint[]> {
    const startMs = performance.now()
    try {
      const recreated = await retries.run(() => guard.findRecreated(batches, signal), signal)
      const current = batches.filter((batch) => !recreated.has(batch))
      const selections = current.map((batch) => selectLarge(batch, { min, read }))
      const refused: string[] = []
      const rows = selections.flatMap((selection) => selection.rows)
      const writingMs = performance.now()
      recorded += await retries.run(() => addStorable(database.sql, { rows, skipped: refused }), signal)
      await retries.run(() => guard.advance(current), signal)
      trace(current, selections, { startMs, writingMs })
      for (const [index, { topic, partition, fetchedFrom: from }] of current.entries())
        report({ topic, partition, from }, selections[index]?.skipped ?? [])
      report({}, refused)
      return batches.map((batch) => (recreated.has(batch) ? 0n : batch.next))
    } catch {
      // The partitions were revoked, or the service stops.
      return batches.map(({ fetchedFrom }) => fetchedFrom)
    }
  }

  /** Of the large ones alone: the others were only looked at. */
  function trace(
    batches: readonly IncomingBatch[],
    selections: readonly Selection[],
    { startMs, writingMs }: { startMs: number; writingMs: number },
  ): void {
    if (!tracing) return
    const processed = batches.flatMap(({ topic, partition, records }, at) =>
      records
        .filter((_, index) => selections[at]?.large.has(index))
        .map((record) => ({ topic, partition, record })),
    )
    const { groupId } = options
    traceProcessing(tracing, processed, { groupId, startMs, shared: { ...written, startMs: writingMs } })
  }

  /** Not dead-lettered: dead letters are kept to be applied to balances. Here they are only counted. */
  function report(where: object, [reason, ...others]: string[]): void {
    if (reason === undefined) return
    const records = others.length + 1
    skipped += records
    log.warn({ ...where, records, skipped }, `skipped: ${reason}`)
  }

  const running = keepSubscribed(kafka, {
    ...subscription,
    onBatches,
    fetching,
    async onAssigned(assignment, signal) {
      const restarted = await retries.run(() => guard.assign(assignment, signal), signal)
      trouble = undefined
      return restarted
    },
    onTrouble: (error) => {
      trouble = messageOf(error)
    },
    log,
    signal: stopping.signal,
  })

  return {
    async health() {
      if (trouble) return { status: 'warn', output: trouble }
      if (retries.blockedOn) return { status: 'warn', output: `waiting: ${retries.blockedOn}` }
      return { status: 'pass', output: `${recorded} recorded and ${skipped} skipped since the start` }
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Rows that the table rejects are found by halving, and skipped. */
async function addStorable(
  sql: Statements,
  { rows, skipped }: Pick<Selection, 'rows' | 'skipped'>,
): Promise<number> {
  try {
    return await addLargeMovements(sql, rows)
  } catch (error) {
    if (!isDataRefused(error)) throw error
    if (rows.length > 1) {
      const half = rows.length >> 1
      const first = await addStorable(sql, { rows: rows.slice(0, half), skipped })
      return first + (await addStorable(sql, { rows: rows.slice(half), skipped }))
    }
    skipped.push(messageOf(error))
    return 0
  }
}

/** `skipped` has the reason of each unreadable record, `large` the places of those that have rows. */
type Selection = { rows: LargeMovement[]; skipped: string[]; large: Set<number> }

type Selected = Pick<IncomingRecord, 'key' | 'value' | 'headers' | 'timestampMs'>

/** The large movements among some records. Pure, and never throws. */
export function selectLarge(
  { topic, records }: Pick<IncomingBatch, 'topic'> & { records: readonly Selected[] },
  { min, read }: Pick<LargeMovementsOptions, 'min' | 'read'>,
): Selection {
  const selection: Selection = { rows: [], skipped: [], large: new Set() }
  for (const [index, record] of records.entries()) {
    const before = selection.rows.length
    const decoded = read(topic, record)
    if (decoded.kind === 'unreadable') selection.skipped.push(decoded.reason.detail)
    else if (decoded.kind === 'unknown') selection.skipped.push(`unknown event ${decoded.name}`)
    else reactSafely(decoded.event, { ...selection, min, timestampMs: record.timestampMs })
    if (selection.rows.length > before) selection.large.add(index)
  }
  return selection
}

function reactSafely(event: SaldoEvent, context: Context): void {
  try {
    reactions.dispatch(event, context)
  } catch (error) {
    context.skipped.push(messageOf(error).slice(0, 300))
  }
}

/** What handlers add to, the smallest large movement, and the time of the record. */
type Context = Pick<Selection, 'rows' | 'skipped'> & { min: number; timestampMs: number }

/** Other events, such as those of holds, have no handler: nothing has moved. */
const reactions = new Dispatcher<Payloads, Context>()
  .register('TransactionCreated', (payload, context) => selectIfLarge({ ...payload, leg: 0 }, context))
  .register('PostingsCreated', ({ postings, ...shared }, context) => {
    for (const [leg, { account_id_from, account_id_to, amount }] of postings.entries()) {
      const parties = {
        account_id_from: canonicalId(account_id_from),
        account_id_to: canonicalId(account_id_to),
      }
      selectIfLarge({ ...shared, ...parties, amount, leg }, context)
    }
  })

function selectIfLarge(
  payload: TransactionCreated & { leg: number },
  { rows, skipped, min, timestampMs }: Context,
): void {
  const { currency = currencyDefault, reference = null } = payload
  // Our events name their currency. Others may come from binary floating point.
  const amount = (payload.currency === undefined ? parseComputedMoney : parseMoney)(payload.amount, currency)
  if (!amount.ok) return void skipped.push(`/amount: ${amount.detail}`)
  const limit = parseMoney(min, currency)
  if (limit.ok && amount.minor < limit.minor) return

  const createdAt = payload.created_at === undefined ? recordTime(timestampMs) : parseTime(payload.created_at)
  const { id: transactionId, account_id_from: accountIdFrom, account_id_to: accountIdTo } = payload
  if (!createdAt || ![transactionId, accountIdFrom, accountIdTo, reference ?? ''].every(isStorable))
    skipped.push('a time or a text cannot be stored')
  else
    rows.push({
      transactionId,
      leg: payload.leg,
      accountIdFrom,
      accountIdTo,
      amountMinor: amount.minor,
      currency,
      reference,
      createdAt,
    })
}
