/**
 * Events on the wire. The value is the course's envelope, `{"Name":…,"Payload":{…}}`; the headers are
 * CloudEvents 1.0 attributes (Kafka protocol binding, binary mode), so that one record serves readers
 * of both kinds. Structured mode is read, too.
 */
import { type EventDefinition, upcast } from '../events/define-event'
import {
  type AnyPayload,
  isPayloadOf,
  isRecord,
  type Malformed,
  nameOf,
  openEnvelope,
  spellingOf,
  withOurFields,
  withoutNulls,
} from '../events/dialect'
import { type EventName, events, type SaldoEvent } from '../events/events'
import { withCanonicalIds } from '../id'
import { clip, parseJson, parseRoundedJson, RefusedJson } from './json'

/** A record as it goes to the broker. */
export type EncodedEvent = {
  topic: string
  key: string
  value: string
  name: EventName
  subject: string
  time: string
}

/** What is needed to read a record: the course's services send neither key nor headers. */
export type ReceivedRecord = {
  value: Uint8Array | null
  /** In their order: names may repeat, and neither names nor values have to be text. */
  headers?: readonly (readonly [name: Uint8Array, value: Uint8Array | null])[]
  /** For those that need not read all headers: the values of the last ones with these names. */
  lastHeaders?(names: readonly Uint8Array[]): readonly HeaderValue[]
  /** Set when the record stands for a batch that could not be read. */
  unreadable?: Unreadable
}

/** Null where the header has no value, undefined where there is none. */
type HeaderValue = Uint8Array | null | undefined

/** Why a record could not be read. Causes are part of the API. */
export type Unreadable = {
  cause:
    | 'no_value'
    | 'not_json'
    | 'inexact_number'
    | 'duplicate_member'
    | 'not_unicode'
    | 'too_deep'
    | 'too_wide'
    | 'no_envelope'
    | 'payload_invalid'
    | 'no_specversion'
    | 'cloudevent_invalid'
    | 'unknown_version'
    | 'unknown_event'
    | 'not_decodable'
    | 'batch_too_large'
    | 'batch_not_readable'
    | 'signature_missing'
    | 'signature_invalid'
    | 'signature_key_unknown'
  detail: string
}

export type Decoded =
  | {
      kind: 'event'
      event: SaldoEvent
      /** Of the ledger, from the second on. Absent in the first, and in records of other writers. */
      epoch?: number
    }
  /**
   * Readable, but an event that this version does not know: skip and count it. Newer writers may add
   * events.
   */
  | { kind: 'unknown'; name: string }
  | { kind: 'unreadable'; reason: Unreadable }

/** Throws when the payload does not match its schema: what we could not read ourselves is never sent. */
export function encodeEvent(event: SaldoEvent, recordedAt: string): EncodedEvent {
  const { name, payload } = event
  const definition = events[name]
  if (!definition.check.Check(payload)) throw new TypeError(`${name}: ${faultOf(definition, payload)}`)
  const fields: AnyPayload = payload
  return {
    topic: definition.topic,
    key: String(fields[definition.key]),
    value: JSON.stringify({ Name: name, Payload: payload }),
    name,
    subject: subjectOf(fields),
    time: String(fields.created_at ?? recordedAt),
  }
}

/**
 * A change of balances is named by its cause, with the leg of a transaction that has several, and the state
 * with which an epoch starts by account and epoch. What may happen again has an id of its own.
 */
const subjectOf = (payload: AnyPayload): string => {
  const { change_id, id, transaction_id, leg, starts_epoch, account_id_from } = payload
  const part = leg ?? starts_epoch
  return String(change_id ?? id ?? transaction_id ?? account_id_from) + (part === undefined ? '' : `/${part}`)
}

/** `ce_source` of all our events: only the wallet publishes. */
export const walletSource = '/saldo/wallet'

/**
 * CloudEvents attributes of an event. `ce_source` and `ce_id` together identify it: they are stable
 * across redelivery and republication.
 */
export function cloudEventHeaders(
  source: string,
  event: Pick<EncodedEvent, 'name' | 'subject' | 'time'>,
  epoch = firstEpoch,
): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_id: `${event.name}/${event.subject}`,
    ce_source: source,
    ce_type: events[event.name].type,
    ce_time: event.time,
    ce_subject: event.subject,
    ...(epoch > firstEpoch && { [epochHeader]: String(epoch) }),
    'content-type': 'application/json',
  }
}

/** Of the ledger. Its events carry none. */
export const firstEpoch = 1
/** An extension attribute of CloudEvents: events of a ledger that was restored carry its epoch. */
export const epochHeader = 'ce_epoch'

/**
 * Reads a record of ours or of the course's services. Never throws: a record that cannot be read
 * comes back with the reason. Events without a definition are `unknown`, also when their values are
 * not in our format.
 */
export function decodeRecord(record: ReceivedRecord, definitions: Definitions = events): Decoded {
  if (record.unreadable) return unreadable(record.unreadable)
  try {
    const decoded = decode(record, definitions)
    if (decoded.kind !== 'unreadable') return decoded
    return unreadable(fault(decoded.reason.cause, clip(decoded.reason.detail, detailLengthMax)))
  } catch (error) {
    // A record that breaks the decoder must not stop the consumer.
    return unreadable(fault('not_decodable', clip(describe(error), detailLengthMax)))
  }
}

const detailLengthMax = 300

function describe(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  } catch {
    return 'an error that cannot be shown'
  }
}

function decode(record: ReceivedRecord, definitions: Definitions): Decoded {
  const opened = open(record)
  if (!('reason' in opened)) return inEpoch(decodeValue(opened, definitions), opened.epoch)
  const { type, reason, rounded } = opened
  const computed = rounded && decodeValue({ type, value: rounded.value }, definitions)
  if (computed?.kind === 'event' && mayBeRounded(computed.event, rounded?.pointers ?? [], definitions))
    return computed
  return isForeign(type, definitions) ? skip(type) : unreadable(reason)
}

function inEpoch(decoded: Decoded, epoch: string | undefined): Decoded {
  if (epoch === undefined || decoded.kind !== 'event') return decoded
  if (!/^[1-9]\d{0,8}$/.test(epoch))
    return unreadable(fault('cloudevent_invalid', `epoch ${quoted(epoch)} is not a number from 1 on`))
  return Number(epoch) > firstEpoch ? { ...decoded, epoch: Number(epoch) } : decoded
}

function decodeValue({ type, value }: Data, definitions: Definitions): Decoded {
  const found = isRecord(value) ? findEvent(value, type, definitions) : noEnvelope
  if ('detail' in found)
    return isForeign(type, definitions) ? skip(type) : unreadable(fault('no_envelope', found.detail))

  const { name, payload: received } = found
  const definition = definitionOf(name, definitions)
  if (!definition) return { kind: 'unknown', name }
  const version = type === definition.type ? definition.version : majorOf(type, definition)
  const upcasted = upcast(definition, received, version)
  if (!upcasted)
    return unreadable(fault('unknown_version', `version ${version} of ${name} cannot be read here`))

  const read = withOurFields(upcasted, definition)
  if (!read.ok) return unreadable(fault('payload_invalid', read.detail))
  const { payload } = read
  if (definition.check.Check(payload)) return eventOf(definition.name, payload)
  const stripped = withoutNulls(payload, definition)
  if (definition.check.Check(stripped)) return eventOf(definition.name, stripped)
  return unreadable(fault('payload_invalid', faultOf(definition, stripped)))
}

/** Whether all the inexact numbers are amounts that the writer may have computed with doubles. */
function mayBeRounded(event: SaldoEvent, pointers: readonly string[], definitions: Definitions): boolean {
  const fields = computedFields(event)
  const spellings = definitions[event.name]?.spellings
  return pointers.every((pointer) => {
    const field = spellings?.get(spellingOf(pointer.slice(pointer.lastIndexOf('/') + 1)))
    return field !== undefined && fields.includes(field)
  })
}

/** Amounts of records without versions, or without a currency, which only other wallets write. */
function computedFields({ name, payload }: SaldoEvent): readonly string[] {
  if (name === 'TransactionCreated') return payload.currency === undefined ? ['amount'] : []
  if (name !== 'BalanceUpdated') return []
  const sides = (['from', 'to'] as const).filter(
    (side) => payload[`version_account_id_${side}`] === undefined,
  )
  const fields = sides.flatMap((side) => [`balance_account_id_${side}`, `held_account_id_${side}`])
  // Both sides read the amount.
  return sides.length === 2 ? [...fields, 'amount'] : fields
}

const noEnvelope = { detail: 'the value is not {"Name": …, "Payload": {…}}' }

/**
 * The event in a value: an envelope, or a payload alone, which is recognized by the CloudEvents type
 * or, without one, by its name or its fields.
 */
function findEvent(
  value: Record<string, unknown>,
  type: string | undefined,
  definitions: Definitions,
): { name: string; payload: AnyPayload } | Malformed {
  const opened = openEnvelope(value)
  if (opened && 'detail' in opened) return opened
  if (opened?.name !== undefined) return { name: opened.name, payload: opened.payload }

  const payload = opened?.payload ?? value
  const named = opened || type !== undefined ? undefined : nameOf(value)
  if (typeof named === 'object') return named
  const fits = Object.values(definitions).filter(
    (one) =>
      (type === undefined ? one.isOfCourse : stemOf(one.type) === stemOf(type)) &&
      (named === undefined || one === definitionOf(named, definitions)) &&
      isPayloadOf(payload, one),
  )
  // BalanceUpdated, the last one defined, may carry the fields of a transaction as well.
  const definition = fits.at(-1)
  return definition ? { name: definition.name, payload } : noEnvelope
}

/** By its name, in any spelling. */
function definitionOf(name: string, definitions: Definitions): EventDefinition | undefined {
  if (Object.hasOwn(definitions, name)) return definitions[name]
  const spelling = spellingOf(name)
  return Object.values(definitions).find((definition) => spellingOf(definition.name) === spelling)
}

const eventOf = (name: string, payload: AnyPayload): Decoded => ({
  kind: 'event',
  event: { name, payload: withCanonicalIds(payload) } as SaldoEvent,
})

type Definitions = Readonly<Record<string, EventDefinition>>

/** The data of a record. `type` is that of a CloudEvent whose attributes are valid. */
type Data = { type?: string | undefined; value: unknown; epoch?: string | undefined }
/** `rounded` is the value with each inexact number as the nearest double, and where these are. */
type Failed = {
  type?: string | undefined
  reason: Unreadable
  rounded?: ReturnType<typeof parseRoundedJson> | undefined
}

/**
 * Unwraps the data: the record's value in binary mode and in the course's records, a member of it in
 * structured mode.
 */
function open(record: ReceivedRecord): Data | Failed {
  const { value } = record
  const attributes = attributesOf(record)
  if (!attributes) return { reason: fault('cloudevent_invalid', 'a CloudEvents attribute is not UTF-8') }
  const [contentType = '', type, specversion, epoch] = attributes
  if (structuredMode.test(contentType)) return openStructured(value, contentType)
  const isCloudEvent = type !== undefined || specversion !== undefined
  const reason = isCloudEvent ? attributeFault(specversion, type) : undefined
  return reason ? { reason } : { type, ...parse(value), ...(epoch !== undefined && { epoch }) }
}

/** Signatures have to cover them. */
export const attributeNames = ['content-type', 'ce_type', 'ce_specversion', epochHeader] as const
const namesInBytes = attributeNames.map((name) => Buffer.from(name))

/**
 * The headers that decide how to read the record, undefined where one is not UTF-8. Of a repeated one the
 * last counts; one without a value is absent.
 */
function attributesOf(record: ReceivedRecord): (string | undefined)[] | undefined {
  const values = record.lastHeaders?.(namesInBytes) ?? lastHeaders(record.headers ?? [])
  try {
    return values.map((value) => (value ? textOf(value) : undefined))
  } catch {
    return undefined
  }
}

function lastHeaders(headers: NonNullable<ReceivedRecord['headers']>): HeaderValue[] {
  const values: HeaderValue[] = namesInBytes.map(() => undefined)
  for (const [name, value] of headers) {
    // Most names differ in length, which is faster to see.
    const index = namesInBytes.findIndex((bytes) => bytes.length === name.length && bytes.equals(name))
    if (index >= 0) values[index] = value
  }
  return values
}

function textOf(bytes: Uint8Array): string {
  for (let index = 0; index < usualTexts.length; index++) {
    const usual = usualTextsInBytes[index] as Buffer
    if (usual.length === bytes.length && usual.equals(bytes)) return usualTexts[index] as string
  }
  return utf8.decode(bytes)
}

/** Compared faster than decoded. */
const usualTexts = ['application/json', '1.0', ...Object.values(events).map(({ type }) => type)]
const usualTextsInBytes = usualTexts.map((text) => Buffer.from(text))

function openStructured(bytes: Uint8Array | null, contentType: string): Data | Failed {
  const invalid = (detail: string, type?: string) => ({ type, reason: fault('cloudevent_invalid', detail) })
  if (!structuredJson.test(contentType))
    return invalid(`${contentType} is not supported, only application/cloudevents+json`)
  const parsed = parse(bytes)
  if ('reason' in parsed) return { reason: parsed.reason }
  if (!isRecord(parsed.value)) return invalid('the value is not a single CloudEvent')

  const { specversion, type: typeGiven, data, data_base64: base64 } = parsed.value
  const reason = attributeFault(specversion, typeGiven)
  if (reason) return { reason }
  const type = String(typeGiven)
  if (base64 === undefined) return { type, value: data }
  if (data !== undefined) return invalid('the CloudEvent has both data and data_base64', type)
  if (typeof base64 !== 'string' || !isBase64.test(base64)) return invalid('data_base64 is not Base64', type)
  const inner = parse(Buffer.from(base64, 'base64'))
  return 'reason' in inner ? { type, reason: inner.reason } : { type, value: inner.value }
}

/** Checks only the attributes that decide how to read the rest. */
function attributeFault(specversion: unknown, type: unknown): Unreadable | undefined {
  if (specversion === undefined) return fault('no_specversion', 'the CloudEvent does not say its specversion')
  if (specversion !== '1.0')
    return fault('cloudevent_invalid', `specversion ${quoted(specversion)} is not 1.0`)
  if (typeof type !== 'string' || type === '')
    return fault('cloudevent_invalid', 'the CloudEvent has no type')
}

/** Text as it is; of any other value only its type, since it may be too large or too deep to print. */
const quoted = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value.slice(0, 40))
    : `of type ${value === null ? 'null' : typeof value}`

function parse(bytes: Uint8Array | null): { value: unknown } | Failed {
  if (!bytes) return { reason: fault('no_value', 'the record has no value') }
  let text = ''
  try {
    text = utf8.decode(bytes)
    return { value: parseJson(text) }
  } catch (error) {
    const code = error instanceof RefusedJson ? error.code : 'not_json'
    const reason = fault(code, (error as Error).message)
    return code === 'inexact_number' ? { reason, rounded: parseRounded(text) } : { reason }
  }
}

function parseRounded(text: string): Failed['rounded'] {
  try {
    return parseRoundedJson(text)
  } catch {
    return undefined
  }
}

/** Whether the type of a CloudEvent is none of ours, in any version. */
function isForeign(type: string | undefined, definitions: Definitions): type is string {
  if (type === undefined) return false
  return !Object.values(definitions).some((definition) => stemOf(definition.type) === stemOf(type))
}

/** The major version at the end of a type of ours; 1 without a type, or with another writer's. */
const majorOf = (type: string | undefined, definition: EventDefinition): number =>
  type !== undefined && stemOf(type) === stemOf(definition.type)
    ? Number(majorSuffix.exec(type)?.[1] ?? 1)
    : 1

const stemOf = (type: string): string => type.replace(majorSuffix, '')

const majorSuffix = /\.v(\d{1,9})$/
const structuredMode = /^application\/cloudevents/i
const structuredJson = /^application\/cloudevents\+json *(;|$)/i
const isBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Rejects invalid UTF-8, rather than putting replacement characters into a name. */
const utf8 = new TextDecoder('utf-8', { fatal: true })

function faultOf({ check }: EventDefinition, payload: unknown): string {
  const first = check.Errors(payload).First()
  return first ? `${first.path || '/'}: ${first.message}` : 'does not match its schema'
}

const fault = (cause: Unreadable['cause'], detail: string): Unreadable => ({ cause, detail })
const unreadable = (reason: Unreadable): Decoded => ({ kind: 'unreadable', reason })
const skip = (name: string): Decoded => ({ kind: 'unknown', name })
