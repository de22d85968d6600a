/**
 * The spans of records that were processed together, as OpenTelemetry's messaging conventions have them:
 * one for each trace and topic, a child of what the records carry and linked with it. What is done once for
 * all of them is in the trace of the first, and linked with the others, both ways.
 */
import type { Attributes, Tracing } from '../telemetry/spans'
import { parseTraceparent } from '../telemetry/trace'
import type { IncomingRecord } from './records'

export type ProcessedRecord = {
  topic: string
  partition: number
  record: IncomingRecord
  /** A code, where it took no effect. Such a record has a span of its own. */
  error?: string | undefined
}

/** Times are on the clock of `performance.now`. */
type Processing = {
  groupId: string
  startMs: number
  /** What was done for all of them. */
  shared: { name: string; attributes: Attributes; startMs: number }
}

type Group = { records: ProcessedRecord[]; traceparent: string | undefined }

/** Called when the work is done. */
export function traceProcessing(
  tracing: Tracing,
  processed: Iterable<ProcessedRecord>,
  { groupId, startMs, shared }: Processing,
): void {
  const spans = groupsOf(processed).map(({ records, traceparent }) => {
    const [first] = records as [ProcessedRecord]
    const span = tracing.begin(`process ${first.topic}`, {
      kind: 'consumer',
      parent: traceparent,
      links: traceparent === undefined ? [] : [traceparent],
      startMs,
    })
    if (span.isRecorded) span.set({ ...attributesOf(records), 'messaging.consumer.group.name': groupId })
    if (first.error !== undefined) span.fail(first.error)
    return span
  })
  const [first, ...others] = spans.filter((span) => span.isRecorded)
  if (first) {
    const { name, ...options } = shared
    const work = tracing.begin(name, { kind: 'client', parent: first, links: others, ...options })
    for (const other of others) other.link(work)
    work.end()
  }
  for (const span of spans) span.end()
}

/** Undefined where the record has no valid one. */
export function traceparentOf(record: IncomingRecord): string | undefined {
  const [value] = record.lastHeaders?.([headerName]) ?? []
  const traceparent = value && value.length <= lengthMax ? value.toString('latin1') : undefined
  return parseTraceparent(traceparent) && traceparent
}

const headerName = Buffer.from('traceparent')
/** Of a later version it may be longer than the 55 characters of this one. */
const lengthMax = 200

function groupsOf(processed: Iterable<ProcessedRecord>): Group[] {
  const groups = new Map<string, Group>()
  for (const one of processed) {
    const { topic, partition, record, error } = one
    const traceparent = traceparentOf(record)
    const name = error === undefined ? `${topic} ${traceparent}` : `${topic} ${partition} ${record.offset}`
    const group = groups.get(name)
    if (group) group.records.push(one)
    else groups.set(name, { records: [one], traceparent })
  }
  return [...groups.values()]
}

function attributesOf(records: readonly ProcessedRecord[]): Attributes {
  const [first] = records as [ProcessedRecord]
  const isOnePartition = records.every(({ partition }) => partition === first.partition)
  return {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': first.topic,
    ...(isOnePartition && { 'messaging.destination.partition.id': String(first.partition) }),
    ...(records.length > 1
      ? { 'messaging.batch.message_count': records.length }
      : { 'messaging.kafka.offset': Number(first.record.offset) }),
  }
}
