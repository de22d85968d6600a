/** What `events` shows of a record, and which records it shows. Pure. */
import { isPersonalTopic } from '../balances/projection/topics'
import { recordTime } from '../contract/time'
import type { Decoded } from '../contract/wire/envelope'
import { partitionName } from '../platform/kafka/offsets'
import type { IncomingRecord } from '../platform/kafka/records'

export type DecodedRecord = {
  topic: string
  partition: number
  record: Pick<IncomingRecord, 'offset' | 'timestampMs' | 'key' | 'value'>
  decoded: Decoded
}

export type EventFilter = { account: string | undefined; type: string | undefined; sinceMs: number }

/** `unread`: it cannot be decided, because the record cannot be read. */
export type Selection = 'shown' | 'hidden' | 'unread'

export function select({ record, decoded }: DecodedRecord, filter: EventFilter): Selection {
  const { account, type, sinceMs } = filter
  if (record.timestampMs < sinceMs) return 'hidden'
  if (account === undefined && type === undefined) return 'shown'
  if (decoded.kind === 'unreadable') return 'unread'
  if (decoded.kind === 'unknown') return account === undefined && type === decoded.name ? 'shown' : 'hidden'
  const { name, payload } = decoded.event
  const isOfType = type === undefined || type === name
  return isOfType && (account === undefined || mentions(payload, account)) ? 'shown' : 'hidden'
}

/** Whether an id is anywhere in a payload: the account itself, one side of a transfer, or of a leg. */
function mentions(value: unknown, id: string): boolean {
  if (typeof value === 'string') return value.toLowerCase() === id
  return typeof value === 'object' && value !== null && Object.values(value).some((one) => mentions(one, id))
}

/** Bytes of a value that cannot be read. */
const shownMax = 500

/** As `--json` prints it. `value` is what could not be read, as far as it may be shown. */
export function presentRecord({ topic, partition, record, decoded }: DecodedRecord) {
  const isEvent = decoded.kind === 'event'
  const isHidden = isEvent || isPersonalTopic(topic)
  return {
    topic,
    partition,
    offset: Number(record.offset),
    time: recordTime(record.timestampMs) ?? null,
    key: record.key?.toString() ?? null,
    event: isEvent ? decoded.event.name : decoded.kind === 'unknown' ? decoded.name : null,
    payload: isEvent ? decoded.event.payload : null,
    unreadable: decoded.kind === 'unreadable' ? decoded.reason : null,
    value: isHidden ? null : (record.value?.subarray(0, shownMax).toString() ?? null),
  }
}

/** A line for people. No record moves the cursor of a terminal. */
export function lineOf(one: DecodedRecord): string {
  const { topic, partition, offset, time, event, payload, unreadable, value } = presentRecord(one)
  const head = `${time ?? '-'} ${partitionName(topic, partition)}/${offset}`
  const rest = value === null ? '' : ` ${shown(value)}`
  if (unreadable) return `${head} UNREADABLE ${unreadable.cause}: ${printable(unreadable.detail)}${rest}`
  if (!payload) return `${head} ${printable(String(event))} (unknown here)${rest}`
  const fields = Object.entries(payload).filter(([, field]) => field !== undefined)
  return [head, event, ...fields.map(([name, field]) => `${name}=${shown(field)}`)].join(' ')
}

const shown = (field: unknown): string =>
  typeof field === 'string' && /^[\w.:@/+-]+$/.test(field) ? field : printable(JSON.stringify(field))

const printable = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (letter) => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  )
