import { expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { headersOf } from '../../testing/headers'
import { defineEvent, upcast } from '../events/define-event'
import { events, type SaldoEvent } from '../events/events'
import { cloudEventHeaders, decodeRecord, encodeEvent } from './envelope'

const decode = (text: string | null) =>
  decodeRecord({ value: text === null ? null : new TextEncoder().encode(text) })

const updated: SaldoEvent = {
  name: 'BalanceUpdated',
  payload: {
    account_id_from: 'eva',
    account_id_to: 'frank',
    balance_account_id_from: 700,
    balance_account_id_to: 1300,
    version_account_id_from: 5,
    version_account_id_to: 5,
    transaction_id: 't1',
    amount: 100,
    currency: 'BRL',
    created_at: '2024-01-27T17:13:55.000Z',
  },
}

test('an event is read back as it was written, in the envelope of the course', () => {
  const record = encodeEvent(updated, '2026-01-01T00:00:00.000Z')
  expect(record).toMatchObject({
    topic: 'balances',
    key: 'eva',
    subject: 't1',
    time: '2024-01-27T17:13:55.000Z',
  })
  expect(JSON.parse(record.value)).toEqual({ Name: 'BalanceUpdated', Payload: updated.payload })
  expect(decode(record.value)).toEqual({ kind: 'event', event: updated })
})

test('headers are CloudEvents attributes, and the same fact has the same id', () => {
  const record = encodeEvent(updated, '2026-01-01T00:00:00.000Z')
  expect(cloudEventHeaders('/saldo/wallet', record)).toEqual({
    ce_specversion: '1.0',
    ce_id: 'BalanceUpdated/t1',
    ce_source: '/saldo/wallet',
    ce_type: 'saldo.balance-updated.v1',
    ce_time: '2024-01-27T17:13:55.000Z',
    ce_subject: 't1',
    'content-type': 'application/json',
  })
})

test('an event that we could not read ourselves is not encoded', () => {
  const payload = { ...updated.payload, version_account_id_from: -1 }
  expect(() => encodeEvent({ name: 'BalanceUpdated', payload }, '')).toThrow('/version_account_id_from')
})

const payloadOf = (fields: string) => `{"Name":"BalanceUpdated","Payload":{${fields}}}`
const accountsAB = '"account_id_from":"a","account_id_to":"b"'

const courseRecords = [
  // As the course's services and public copies of them write it: without versions and currency,
  // sometimes under other names.
  payloadOf(`${accountsAB},"balance_account_id_from":775,"balance_account_id_to":999.5`),
  payloadOf(
    '"account_from_id":"a","account_to_id":"b","balance_account_from":775,"balance_account_to":999.5',
  ),
  payloadOf(
    `${accountsAB},"balance_account_id_from":775,"balance_account_id_to":999.5,"extra":[1]},"More":{"a":1`,
  ),
]

test.each(courseRecords)('a record of the course is read: %s', (text) => {
  expect(decode(text)).toMatchObject({
    kind: 'event',
    event: {
      name: 'BalanceUpdated',
      payload: {
        account_id_from: 'a',
        account_id_to: 'b',
        balance_account_id_from: 775,
        balance_account_id_to: 999.5,
      },
    },
  })
})

// As C, Go and Java print a double with more digits than identify it.
test.each([
  ['999.69999999999993', 999.6999999999999],
  ['0.29999999999999999', 0.3],
  ['999.6999999999999317878973670303821563720703125', 999.6999999999999],
  ['9.9969999999999993e2', 999.6999999999999],
  ['-0.1000000000000000055511151231257827021181583404541015625', -0.1],
  ['99.99999999999999999', 100],
])('a computed number is read as the nearest double: %s', (text, number) => {
  const all = `"balance_account_id_from":${text},"balance_account_id_to":${text},"amount":${text}`
  expect(decode(payloadOf(`${accountsAB},${all}`))).toMatchObject({
    kind: 'event',
    event: {
      payload: { balance_account_id_from: number, balance_account_id_to: number, amount: number },
    },
  })
  const accounts = '"accountIdFrom":"a","accountIdTo":"b"'
  const spelled = `${accounts},"balanceAccountIdTo":1,"balanceAccountIdFrom":${text}`
  expect(decode(payloadOf(spelled))).toMatchObject({
    kind: 'event',
    event: { payload: { balance_account_id_from: number } },
  })
})

test('null for an optional field of any event is its absence', () => {
  for (const { name, payload, example } of Object.values(events)) {
    const required: Record<string, unknown> = { ...example }
    for (const field of Object.keys(payload.properties))
      if (!(payload.required as readonly string[]).includes(field)) delete required[field]
    const nulls = Object.fromEntries(Object.keys(payload.properties).map((field) => [field, null]))
    const read = (value: object) => decode(JSON.stringify({ Name: name, Payload: value }))
    const absent = read(required)
    expect(absent.kind).toBe('event')
    const withNulls = read({ ...nulls, ...required })
    expect(withNulls).toMatchObject({ kind: 'event', event: { name } })
    if (withNulls.kind !== 'event') continue
    const given = Object.entries(withNulls.event.payload).filter(([, value]) => value !== null)
    expect({ kind: 'event', event: { name, payload: Object.fromEntries(given) } } as unknown).toEqual(absent)
  }
})

const unreadable = [
  [null, 'no_value'],
  ['', 'not_json'],
  ['{"Name":', 'not_json'],
  ['null', 'no_envelope'],
  ['{"Payload":{}}', 'no_envelope'],
  ['{"Name":"BalanceUpdated","Payload":[]}', 'no_envelope'],
  ['{"Name":"BalanceUpdated","Payload":{}}', 'payload_invalid'],
  [payloadOf(`${accountsAB},"balance_account_id_from":"775","balance_account_id_to":1`), 'payload_invalid'],
  ['{"Name":"ClientRegistered","Payload":{"id":"","name":"","email":"","created_at":""}}', 'payload_invalid'],
  // A writer of versions does not compute with doubles.
  [
    payloadOf(
      `${accountsAB},"balance_account_id_from":99.99999999999999999,"balance_account_id_to":1,` +
        '"version_account_id_from":1',
    ),
    'inexact_number',
  ],
  [payloadOf(`${accountsAB},"balance_account_id_from":1,"balance_account_id_to":1e-400`), 'inexact_number'],
  [payloadOf(`${accountsAB},"balance_account_id_from":1,"balance_account_id_to":1e400`), 'inexact_number'],
  [
    payloadOf(
      `${accountsAB},"balance_account_id_from":1,"balance_account_id_to":1,"sent":1706375635.12345678901`,
    ),
    'inexact_number',
  ],
  [
    payloadOf(
      `${accountsAB},"balance_account_id_from":1,"balance_account_id_to":1,"version_account_id_to":1,` +
        '"amount":0.1000000000000000055',
    ),
    'inexact_number',
  ],
  [
    '{"Name":"TransactionCreated","Payload":' +
      `{"id":"t",${accountsAB},"amount":0.1000000000000000055,"currency":"BRL"}}`,
    'inexact_number',
  ],
  ['{"Name":"BalanceUpdated","Payload":{"amount":1e999}}', 'inexact_number'],
  ['{"Name":"A","Payload":{},"Name":"B"}', 'duplicate_member'],
  ['{"Name":"A","Payload":{"x":[{"a":1,"\\u0061":1}]}}', 'duplicate_member'],
  ['{"Name":"A","Payload":{"a":"\\ud800"}}', 'not_unicode'],
  [`{"Name":"A","Payload":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 'too_deep'],
  [`{"Name":"A","Payload":{${Array.from({ length: 20_000 }, (_, index) => `"${index}":1`)}}}`, 'too_wide'],
] as const

test.each(unreadable)('%p is unreadable: %s', (text, cause) => {
  expect(decode(text)).toMatchObject({ kind: 'unreadable', reason: { cause } })
})

test('what a structured CloudEvent holds is read as strictly', () => {
  const inner = Buffer.from('{"Name":"A","Payload":{},"Payload":{}}').toString('base64')
  const deep = `{"specversion":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
  expect(decodeWith(structured, { ...cloudEvent, data_base64: inner })).toMatchObject({
    reason: { cause: 'duplicate_member' },
  })
  expect(decodeWith(structured, deep)).toMatchObject({ reason: { cause: 'too_deep' } })
})

test('a byte order mark before a value is no part of it', () => {
  expect(decode(`\ufeff${JSON.stringify({ Name: 'Newer', Payload: {} })}`)).toEqual({
    kind: 'unknown',
    name: 'Newer',
  })
})

test('invalid UTF-8 is unreadable, not a replacement character', () => {
  const value = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])
  expect(decodeRecord({ value })).toMatchObject({ kind: 'unreadable', reason: { cause: 'not_json' } })
})

test.each(['SomethingNewer', 'toString', '__proto__'])(
  'an event called %s is unknown, not an error',
  (name) => {
    expect(decode(JSON.stringify({ Name: name, Payload: {} }))).toEqual({ kind: 'unknown', name })
  },
)

const binary = {
  ce_specversion: '1.0',
  ce_id: '1',
  ce_source: '/elsewhere',
  ce_type: 'saldo.balance-updated.v1',
}
const structured = { 'content-type': 'Application/CloudEvents+JSON; charset=UTF-8' }
const data = { Name: 'BalanceUpdated', Payload: updated.payload }
const cloudEvent = { specversion: '1.0', id: '1', source: '/elsewhere', type: 'saldo.balance-updated.v1' }
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')
const decodeWith = (headers: Record<string, string>, value: unknown) =>
  decodeRecord({
    headers: headersOf(headers),
    value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  })

test.each([
  ['binary mode', binary, data],
  [
    'binary mode, another writer’s type around our envelope',
    { ...binary, ce_type: 'com.example.balance.v7' },
    data,
  ],
  ['structured mode', structured, { ...cloudEvent, data }],
  ['structured mode with Base64', structured, { ...cloudEvent, data_base64: base64(data) }],
])('a CloudEvent is read: %s', (_, headers, value) => {
  expect(decodeWith(headers, value)).toEqual({ kind: 'event', event: updated })
})

test.each([
  ['binary', { ...binary, ce_type: 'com.example.paid.v1' }, 'not even JSON'],
  ['binary', { ...binary, ce_type: 'com.example.paid.v1' }, { invoice: 7 }],
  ['structured', structured, { ...cloudEvent, type: 'com.example.paid.v1', data: { invoice: 7 } }],
  ['structured', structured, { ...cloudEvent, type: 'com.example.paid.v1', data_base64: 'bm90IEpTT04=' }],
])('a CloudEvent of a type that is not ours is unknown, with any content: %s', (_, headers, value) => {
  expect(decodeWith(headers, value)).toMatchObject({ kind: 'unknown', name: 'com.example.paid.v1' })
})

const { ce_specversion: _, ...unspecified } = binary
const faults = [
  ['no_specversion', /specversion/, unspecified, data],
  ['no_specversion', /specversion/, structured, { ...cloudEvent, specversion: undefined, data }],
  ['cloudevent_invalid', /"2.0" is not 1.0/, { ...binary, ce_specversion: '2.0' }, data],
  ['cloudevent_invalid', /"0.3" is not 1.0/, structured, { ...cloudEvent, specversion: '0.3', data }],
  ['cloudevent_invalid', /has no type/, { ce_specversion: '1.0' }, data],
  ['cloudevent_invalid', /has no type/, structured, { ...cloudEvent, type: 7, data }],
  ['cloudevent_invalid', /not a single CloudEvent/, structured, [{ ...cloudEvent, data }]],
  ['cloudevent_invalid', /avro is not supported/, { 'content-type': 'application/cloudevents+avro' }, 'x'],
  ['cloudevent_invalid', /both/, structured, { ...cloudEvent, data, data_base64: base64(data) }],
  ['cloudevent_invalid', /not Base64/, structured, { ...cloudEvent, data_base64: '***' }],
  ['not_json', /./, structured, 'not JSON'],
  ['not_json', /./, structured, { ...cloudEvent, data_base64: 'bm90IEpTT04=' }],
  ['no_envelope', /Payload/, structured, cloudEvent],
  ['no_envelope', /Payload/, binary, {}],
  [
    'unknown_version',
    /version 2 of BalanceUpdated/,
    { ...binary, ce_type: 'saldo.balance-updated.v2' },
    data,
  ],
  [
    'unknown_version',
    /version 0 of BalanceUpdated/,
    { ...binary, ce_type: 'saldo.balance-updated.v0' },
    data,
  ],
  ['unknown_version', /version 9/, structured, { ...cloudEvent, type: 'saldo.balance-updated.v9', data }],
] as const

test.each(faults)('%s: %p', (cause, detail, headers, value) => {
  const decoded = decodeWith(headers, value)
  expect(decoded).toMatchObject({ kind: 'unreadable', reason: { cause } })
  expect((decoded as { reason: { detail: string } }).reason.detail).toMatch(detail)
})

test('other writers’ names for the fields of a TransactionCreated are read as ours', () => {
  const Payload = { id: 't1', account_from_id: 'a', account_to_id: 'b', amount: 25.5 }
  expect(decode(JSON.stringify({ Name: 'TransactionCreated', Payload }))).toEqual({
    kind: 'event',
    event: {
      name: 'TransactionCreated',
      payload: { id: 't1', account_id_from: 'a', account_id_to: 'b', amount: 25.5 },
    },
  })
})

const ParcelSent = defineEvent({
  name: 'ParcelSent',
  topic: 'parcels',
  version: 3,
  kind: 'event notification',
  description: 'A parcel was sent.',
  payload: Type.Object({ id: Type.String(), weight_grams: Type.Integer(), carrier: Type.String() }),
  example: { id: 'p1', weight_grams: 1500, carrier: 'post' },
  key: 'id',
  upcasts: {
    1: ({ weight_kg, ...rest }) => ({ ...rest, weight_grams: Number(weight_kg) * 1000 }),
    2: (payload) => ({ ...payload, carrier: 'post' }),
  },
})

test.each([
  ['without a type', {}, { id: 'p1', weight_kg: 1.5 }],
  ['of version 1', { ...binary, ce_type: 'saldo.parcel-sent.v1' }, { id: 'p1', weight_kg: 1.5 }],
  ['of version 2', { ...binary, ce_type: 'saldo.parcel-sent.v2' }, { id: 'p1', weight_grams: 1500 }],
  ['of version 3', { ...binary, ce_type: 'saldo.parcel-sent.v3' }, ParcelSent.example],
])('an event %s is brought to the newest version', (_, headers, Payload) => {
  const value = Buffer.from(JSON.stringify({ Name: 'ParcelSent', Payload }))
  const decoded: unknown = decodeRecord({ headers: headersOf({ ...headers }), value }, { ParcelSent })
  expect(decoded).toEqual({ kind: 'event', event: { name: 'ParcelSent', payload: ParcelSent.example } })
})

test('without upcasts from a version to the newest there is no payload', () => {
  const { version } = ParcelSent
  expect(upcast({ version, upcasts: { 2: (payload) => payload } }, {}, 1)).toBeUndefined()
  expect(upcast(ParcelSent, {}, 4)).toBeUndefined()
})

test('anything thrown while a record is decoded becomes a short reason', () => {
  const value = Buffer.from(JSON.stringify({ Name: 'Odd', Payload: {} }))
  for (const thrown of [
    new RangeError('x'.repeat(5000)),
    'text',
    undefined,
    { toString: () => JSON.parse('[') },
  ]) {
    const check = {
      Check: () => {
        throw thrown
      },
      Errors: () => ({ First: () => undefined }),
    }
    const known = { Odd: { version: 1, type: 'saldo.odd.v1', check } }
    const decoded = decodeRecord({ value }, known as never)
    expect(decoded).toMatchObject({ kind: 'unreadable', reason: { cause: 'not_decodable' } })
    expect(JSON.stringify(decoded).length).toBeLessThan(500)
  }
})

test('of headers in bytes the last of a name counts, and one without a value is none', () => {
  const value = Buffer.from(JSON.stringify({ Name: 'Other', Payload: {} }))
  const header = (name: string, text: string | null) =>
    [Buffer.from(name), text === null ? null : Buffer.from(text)] as const
  const decode = (...headers: ReturnType<typeof header>[]) => decodeRecord({ value, headers })
  expect(
    decode(header('ce_specversion', '0.3'), header('ce_specversion', '1.0'), header('ce_type', 'x')).kind,
  ).toBe('unknown')
  expect(
    decode(header('ce_specversion', '1.0'), header('ce_specversion', null), header('ce_type', 'x')),
  ).toMatchObject({
    reason: { cause: 'no_specversion' },
  })
  expect(decode(header('content-type', null), header('__proto__', 'x'), header('', '')).kind).toBe('unknown')
})
