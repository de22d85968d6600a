/**
 * Events on the wire. The value is the course's envelope, `{"Name":…,"Payload":{…}}`; CloudEvents 1.0 attributes travel as headers
 * (Kafka protocol binding, binary mode), so that one record serves readers of either kind.
 */
import { type EventName, events, type SaldoEvent } from './events'
import { parseJson } from './json'

/** A record as it goes to the broker. */
export type EncodedEvent = { topic: string; key: string; value: string; name: EventName; subject: string; time: string }

/** All that is needed of a record to read it: the course's services send neither key nor headers. */
export type ReceivedRecord = { value: Uint8Array | null }

/** Why a record could not be read. A code, once released, keeps its name. */
export type Unreadable = {
  cause: 'no_value' | 'not_json' | 'inexact_number' | 'no_envelope' | 'payload_invalid'
  detail: string
}

export type Decoded =
  | { kind: 'event'; event: SaldoEvent }
  /** Readable, but of a name this version does not know: to be skipped and counted, since newer writers may add events. */
  | { kind: 'unknown'; name: string }
  | { kind: 'unreadable'; reason: Unreadable }

/** Asserts the payload against its schema: what we could not read ourselves is never sent. */
export function encodeEvent(event: SaldoEvent, recordedAt: string): EncodedEvent {
  const { name, payload } = event
  const definition = events[name]
  if (!definition.check.Check(payload)) throw new TypeError(`${name}: ${faultOf(name, payload)}`)
  const of = definition as { [K in 'key' | 'subject' | 'time']: (payload: unknown) => string }
  return {
    topic: definition.topic,
    key: of.key(payload),
    value: JSON.stringify({ Name: name, Payload: payload }),
    name,
    subject: of.subject(payload),
    time: of.time(payload) ?? recordedAt,
  }
}

/** CloudEvents attributes of an event. `ce_source` and `ce_id` together are unique: a fact told twice carries the same two. */
export function cloudEventHeaders(
  source: string,
  event: Pick<EncodedEvent, 'name' | 'subject' | 'time'>,
): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_id: `${event.name}/${event.subject}`,
    ce_source: source,
    ce_type: `saldo.${kebab(event.name)}.v${events[event.name].version}`,
    ce_time: event.time,
    ce_subject: event.subject,
    'content-type': 'application/json',
  }
}

/** Reads a record of ours or of the course's services. Never throws: what cannot be read comes back with its reason. */
export function decodeRecord({ value }: ReceivedRecord): Decoded {
  if (!value) return unreadable('no_value', 'the record has no value')

  let envelope: unknown
  try {
    envelope = parseJson(utf8.decode(value))
  } catch (error) {
    const { name, message } = error as Error
    return unreadable(name === 'InexactNumber' ? 'inexact_number' : 'not_json', message)
  }
  if (!isRecord(envelope) || typeof envelope.Name !== 'string' || !isRecord(envelope.Payload))
    return unreadable('no_envelope', 'the value is not {"Name": …, "Payload": {…}}')

  const { Name: name, Payload: payload } = envelope
  if (!isEventName(name)) return { kind: 'unknown', name }
  const candidate = name === 'BalanceUpdated' ? withCourseNames(payload) : payload
  if (!events[name].check.Check(candidate)) return unreadable('payload_invalid', faultOf(name, candidate))
  return { kind: 'event', event: { name, payload: candidate } as SaldoEvent }
}

/** Some public copies of the course's wallet turn the words of the field names round. */
function withCourseNames(payload: Record<string, unknown>): Record<string, unknown> {
  if (!('account_from_id' in payload) && !('balance_account_from' in payload)) return payload
  const { account_from_id, account_to_id, balance_account_from, balance_account_to, ...rest } = payload
  return {
    account_id_from: account_from_id,
    account_id_to: account_to_id,
    balance_account_id_from: balance_account_from,
    balance_account_id_to: balance_account_to,
    ...rest,
  }
}

/** Invalid UTF-8 is a fault, never a replacement character in somebody's name. */
const utf8 = new TextDecoder('utf-8', { fatal: true })

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isEventName = (name: string): name is EventName => Object.hasOwn(events, name)

const kebab = (name: string): string => name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()

function faultOf(name: EventName, payload: unknown): string {
  const first = events[name].check.Errors(payload).First()
  return first ? `${first.path || '/'}: ${first.message}` : 'does not fit its schema'
}

const unreadable = (cause: Unreadable['cause'], detail: string): Decoded => ({
  kind: 'unreadable',
  reason: { cause, detail },
})
