import { expect, test } from 'bun:test'
import { cloudEventHeaders, decodeRecord, encodeEvent } from './envelope'
import type { SaldoEvent } from './events'

const decode = (text: string | null) => decodeRecord({ value: text === null ? null : new TextEncoder().encode(text) })

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

test('an event is read back as it was told, in the envelope of the course', () => {
  const record = encodeEvent(updated, '2026-01-01T00:00:00.000Z')
  expect(record).toMatchObject({ topic: 'balances', key: 'eva', subject: 't1', time: '2024-01-27T17:13:55.000Z' })
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

test('what we could not read ourselves is not sent', () => {
  const payload = { ...updated.payload, version_account_id_from: -1 }
  expect(() => encodeEvent({ name: 'BalanceUpdated', payload }, '')).toThrow('/version_account_id_from')
})

const courseRecords = [
  // As the course's services and public copies of them write it: no versions, no currency, sometimes other words.
  '{"Name":"BalanceUpdated","Payload":{"account_id_from":"a","account_id_to":"b","balance_account_id_from":775,"balance_account_id_to":999.5}}',
  '{"Name":"BalanceUpdated","Payload":{"account_from_id":"a","account_to_id":"b","balance_account_from":775,"balance_account_to":999.5}}',
  '{"Name":"BalanceUpdated","Payload":{"account_id_from":"a","account_id_to":"b","balance_account_id_from":775,"balance_account_id_to":999.5,"extra":[1]},"More":true}',
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

const unreadable = [
  [null, 'no_value'],
  ['', 'not_json'],
  ['{"Name":', 'not_json'],
  ['null', 'no_envelope'],
  ['{"Payload":{}}', 'no_envelope'],
  ['{"Name":"BalanceUpdated","Payload":[]}', 'no_envelope'],
  ['{"Name":"BalanceUpdated","Payload":{}}', 'payload_invalid'],
  [
    '{"Name":"BalanceUpdated","Payload":{"account_id_from":"a","account_id_to":"b","balance_account_id_from":"775","balance_account_id_to":1}}',
    'payload_invalid',
  ],
  ['{"Name":"ClientRegistered","Payload":{"id":"","name":"","email":"","created_at":""}}', 'payload_invalid'],
  [
    '{"Name":"BalanceUpdated","Payload":{"account_id_from":"a","account_id_to":"b","balance_account_id_from":99.99999999999999999,"balance_account_id_to":1}}',
    'inexact_number',
  ],
] as const

test.each(unreadable)('%p is unreadable: %s', (text, cause) => {
  expect(decode(text)).toMatchObject({ kind: 'unreadable', reason: { cause } })
})

test('invalid UTF-8 is unreadable, not a replacement character', () => {
  const value = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])
  expect(decodeRecord({ value })).toMatchObject({ kind: 'unreadable', reason: { cause: 'not_json' } })
})

test.each(['SomethingNewer', 'toString', '__proto__'])('an event called %s is unknown, not an error', (name) => {
  expect(decode(JSON.stringify({ Name: name, Payload: {} }))).toEqual({ kind: 'unknown', name })
})
