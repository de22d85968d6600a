import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { headersOf } from '../../testing/headers'
import { type Decoded, decodeRecord } from '../wire/envelope'
import { spellingOf } from './dialect'
import { events } from './events'

const decode = (value: unknown, headers: Record<string, string> = {}) =>
  decodeRecord({ value: Buffer.from(JSON.stringify(value)), headers: headersOf(headers) })

const ours = {
  account_id_from: 'a',
  account_id_to: 'b',
  balance_account_id_from: 775,
  balance_account_id_to: 999.5,
}
const balanceUpdated = { kind: 'event', event: { name: 'BalanceUpdated', payload: ours } }
const camel = { accountIdFrom: 'a', accountIdTo: 'b', balanceAccountIdFrom: 775, balanceAccountIdTo: 999.5 }
const pascal = { AccountIDFrom: 'a', AccountIDTo: 'b', BalanceAccountIDFrom: 775, BalanceAccountIDTo: 999.5 }
const turned = { accountFromId: 'a', accountToId: 'b', balanceAccountFrom: 775, balanceAccountTo: 999.5 }

test.each([
  ['the payload alone', ours],
  ['the payload alone, in camelCase', camel],
  ['name and payload in lower case', { name: 'BalanceUpdated', payload: ours }],
  ['name and payload in upper case', { NAME: 'BalanceUpdated', PAYLOAD: ours }],
  ['Data', { Name: 'BalanceUpdated', Data: ours }],
  ['data', { name: 'BalanceUpdated', data: ours }],
  ['event and data', { event: 'BalanceUpdated', data: ours }],
  ['an event name, and fields beside it', { eventName: 'BalanceUpdated', ...camel }],
  ['a type', { type: 'BalanceUpdated', payload: pascal }],
  ['more members than these', { Name: 'BalanceUpdated', Payload: ours, DateTime: '2023-01-01', id: 7 }],
  ['a payload without a name', { Payload: ours }],
  ['a payload that is null, and data', { Name: 'BalanceUpdated', Payload: null, Data: ours }],
  ['the same twice', { Name: 'BalanceUpdated', name: 'BalanceUpdated', Payload: ours, payload: ours }],
  ['a name in another spelling', { Name: 'balance_updated', Payload: ours }],
  ['camelCase', { Name: 'BalanceUpdated', Payload: camel }],
  ['PascalCase', { Name: 'BalanceUpdated', Payload: pascal }],
  ['words turned round, in camelCase', { Name: 'BalanceUpdated', Payload: turned }],
  [
    'kebab-case',
    {
      Name: 'BalanceUpdated',
      Payload: Object.fromEntries(
        Object.entries(ours).map(([name, value]) => [name.replaceAll('_', '-'), value]),
      ),
    },
  ],
  ['a field in two spellings that agree', { Name: 'BalanceUpdated', Payload: { ...ours, ...camel } }],
  [
    'null in a field that may be absent',
    { Name: 'BalanceUpdated', Payload: { ...camel, transactionId: null, Currency: null } },
  ],
])('%s is read', (_, value) => {
  const { payload } = (decode(value) as { event: { payload: object } }).event
  expect(decode(value)).toMatchObject(balanceUpdated)
  for (const name of [
    ...Object.keys(camel),
    ...Object.keys(pascal),
    ...Object.keys(turned),
    'transactionId',
    'Currency',
  ])
    expect(payload).not.toHaveProperty(name)
})

const transaction = { id: 't', account_id_from: 'a', account_id_to: 'b', amount: 25 }
test.each([
  ['alone', transaction],
  ['in camelCase', { ID: 't', accountIdFrom: 'a', accountIdTo: 'b', Amount: 25 }],
  ['in an envelope of other names', { name: 'TransactionCreated', data: { ...transaction } }],
])('a transaction %s is read as one', (_, value) => {
  expect(decode(value)).toEqual({
    kind: 'event',
    event: { name: 'TransactionCreated', payload: transaction },
  })
})

test('a balance with the fields of a transaction beside it stays a balance', () => {
  expect(decode({ ...transaction, ...ours })).toMatchObject({ event: { name: 'BalanceUpdated' } })
})

test('amount and currency are read in any spelling; an optional time is not', () => {
  const Payload = { ...camel, Amount: 5, Currency: 'USD', createdAt: 'yesterday', transactionId: 't' }
  expect(decode({ Name: 'BalanceUpdated', Payload })).toEqual({
    kind: 'event',
    event: {
      name: 'BalanceUpdated',
      payload: { ...ours, amount: 5, currency: 'USD', transaction_id: 't', createdAt: 'yesterday' },
    },
  } as Decoded)
})

test.each([
  [
    'payload_invalid',
    /account_id_from: account_id_from and accountIdFrom are both given/,
    { Name: 'BalanceUpdated', Payload: { ...ours, accountIdFrom: 'x' } },
  ],
  [
    'payload_invalid',
    /account_id_from: account_id_from and account_from_id are both given/,
    { ...ours, account_from_id: 'x' },
  ],
  [
    'payload_invalid',
    /balance_account_id_to: balanceAccountTo and BalanceAccountIdTo are both given/,
    { Name: 'BalanceUpdated', Payload: { ...turned, BalanceAccountIdTo: 1 } },
  ],
  [
    'payload_invalid',
    /amount: amount and Amount are both given/,
    { Name: 'BalanceUpdated', Payload: { ...ours, amount: 1, Amount: 2 } },
  ],
  [
    'payload_invalid',
    /balance_account_id_from/,
    { Name: 'BalanceUpdated', Payload: { ...camel, balanceAccountIdFrom: null } },
  ],
  [
    'payload_invalid',
    /balance_account_id_from/,
    { Name: 'BalanceUpdated', Payload: { ...camel, balanceAccountIdFrom: '775' } },
  ],
  [
    'no_envelope',
    /Name and name are both given/,
    { Name: 'BalanceUpdated', name: 'TransactionCreated', Payload: ours },
  ],
  [
    'no_envelope',
    /Payload and Data are both given/,
    { Name: 'BalanceUpdated', Payload: ours, Data: { ...ours, account_id_to: 'c' } },
  ],
  ['no_envelope', /not an object/, { Name: 'BalanceUpdated', Payload: 'text' }],
  ['no_envelope', /Payload/, { Name: 'BalanceUpdated' }],
  ['no_envelope', /Payload/, { account_id_from: 'a', account_id_to: 'b', balance_account_id_from: 1 }],
  ['no_envelope', /Payload/, { name: 'Eva', email: 'eva@example.com', id: '1', created_at: 'now' }],
  ['no_envelope', /Payload/, { Name: 'TransactionCreated', ...ours }],
  [
    'no_envelope',
    /Name and name are both given/,
    { Name: 'BalanceUpdated', name: 'TransactionCreated', ...ours },
  ],
  ['no_envelope', /Payload/, {}],
] as const)('%s: %s', (cause, detail, value) => {
  expect(decode(value)).toEqual({
    kind: 'unreadable',
    reason: { cause, detail: expect.stringMatching(detail) },
  })
})

test('a payload alone in a CloudEvent is what its type says', () => {
  const headers = (type: string) => ({ ce_specversion: '1.0', ce_type: type })
  expect(decode(ours, headers('saldo.balance-updated.v1'))).toMatchObject(balanceUpdated)
  expect(decode(ours, headers('com.example.paid.v1'))).toEqual({
    kind: 'unknown',
    name: 'com.example.paid.v1',
  })
  expect(decode(ours, headers('saldo.transaction-created.v1'))).toMatchObject({ kind: 'unreadable' })
  const { example } = events.ClientRegistered
  expect(decode(example, headers('saldo.client-registered.v1'))).toMatchObject({
    event: { payload: example },
  })
})

test('names that every object has are no spellings of a field', () => {
  const Payload = JSON.parse(
    `{"__proto__":{"account_id_from":"x"},"constructor":1,${JSON.stringify(ours).slice(1)}`,
  )
  expect(decode({ Name: 'BalanceUpdated', Payload })).toMatchObject(balanceUpdated)
  expect(decode(JSON.parse('{"__proto__":1,"toString":2}'))).toMatchObject({ kind: 'unreadable' })
})

/** Any of the ways in which languages write several words as one name. */
const styles: ((words: string[]) => string)[] = [
  (words) => words.join('_'),
  (words) => words.join('-'),
  (words) => words.join('_').toUpperCase(),
  (words) => words.map((word, index) => (index ? word[0]?.toUpperCase() + word.slice(1) : word)).join(''),
  (words) => words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join(''),
]

test('every event is read alike in any spelling of its required fields', () => {
  const style = fc.constantFrom(...styles)
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(events)),
      fc.array(style, { minLength: 20, maxLength: 20 }),
      (event, chosen) => {
        const required: readonly string[] = event.payload.required ?? []
        const spelled = Object.entries(event.example).map(([field, value], index) => [
          required.includes(field) ? (chosen[index] as (typeof styles)[0])(field.split('_')) : field,
          value,
        ])
        expect(decode({ Name: event.name, Payload: Object.fromEntries(spelled) })).toEqual({
          kind: 'event',
          event: { name: event.name, payload: event.example },
        } as unknown as Decoded)
      },
    ),
  )
})

test('no two fields of an event are spelled the same', () => {
  for (const { payload, spellings } of Object.values(events)) {
    const fields = Object.keys(payload.properties)
    expect(new Set(fields.map(spellingOf)).size).toBe(fields.length)
    for (const [spelling, field] of spellings)
      if (fields.some((one) => spellingOf(one) === spelling)) expect(spellingOf(field)).toBe(spelling)
  }
})
