import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { HoldPlaced, TransactionCreated } from '../../contract/events/events'
import { decodeFrom } from '../projection/topics'
import { selectLarge } from './large-movements'

const at = '2024-01-27T17:13:55.000Z'
const record = (value: string | Uint8Array) => ({
  key: null,
  value: Buffer.from(value),
  headers: [],
  timestampMs: Date.parse(at),
})
const event = (part: object, name = 'TransactionCreated') =>
  record(
    JSON.stringify({
      Name: name,
      Payload: { ...TransactionCreated.example, created_at: undefined, ...part },
    }),
  )

type Selected = Parameters<typeof selectLarge>[0]['records']
const select = (records: Selected, min = 10_000) =>
  selectLarge({ topic: 'transactions', records }, { min, read: decodeFrom })
const selectionOf = (part: object) => select([event(part)])

test('a movement is recorded as published, with the time of its record when the event has none', () => {
  const { id, account_id_from, account_id_to } = TransactionCreated.example
  const recorded = {
    transactionId: id,
    leg: 0,
    accountIdFrom: account_id_from,
    accountIdTo: account_id_to,
    amountMinor: 1_000_000n,
    currency: 'BRL',
    reference: null,
    createdAt: at,
  }
  expect(selectionOf({ amount: 10_000 })).toEqual({ rows: [recorded], skipped: [], large: new Set([0]) })
  const created_at = '2020-01-01T01:00:00+01:00'
  expect(selectionOf({ amount: 10_000, reference: 'rent', created_at }).rows).toEqual([
    { ...recorded, reference: 'rent', createdAt: '2020-01-01T00:00:00.000Z' },
  ])
})

test.each([
  [9999.99, 'BRL', undefined],
  [10_000, 'BRL', 1_000_000n],
  [10_000, undefined, 1_000_000n],
  [9999, 'JPY', undefined],
  [10_000, 'JPY', 10_000n],
  [9999.999, 'KWD', undefined],
  [10_000.001, 'KWD', 10_000_001n],
  [-20_000, 'BRL', undefined],
])('%p %s is recorded as %p', (amount, currency, minor) => {
  const { rows, skipped } = selectionOf({ amount, currency })
  expect({ recorded: rows.map((row) => row.amountMinor), skipped }).toEqual({
    recorded: minor ? [minor] : [],
    skipped: [],
  })
})

const half = String.fromCharCode(0xd800)

test.each([
  [record('nonsense'), /JSON/],
  [record('{"Name":"TransactionCreated","Payload":{}}'), /^\/id/],
  [{ ...record(''), value: null }, /no value/],
  [event({}, 'TransactionForgotten'), /TransactionForgotten/],
  [event({ currency: 'ABC' }), /^\/amount.*ISO 4217/],
  [event({ amount: 20_000.001 }), /^\/amount/],
  [event({ amount: 20_000, created_at: 'yesterday' }), /a time/],
  [event({ amount: 20_000, reference: 'a\0b' }), /a text/],
  [event({ amount: 20_000, account_id_to: half }), /a text/],
])('an unreadable record is skipped with its reason, the next one is not: %#', (odd, reason) => {
  const { rows, skipped, large } = select([odd, event({ amount: 20_000 })])
  expect(rows).toHaveLength(1)
  expect([...large]).toEqual([1])
  expect(skipped).toEqual([expect.stringMatching(reason)])
})

test('a hold moves nothing', () => {
  const hold = JSON.stringify({ Name: 'HoldPlaced', Payload: { ...HoldPlaced.example, amount: 20_000 } })
  expect(select([record(hold)])).toEqual({ rows: [], skipped: [], large: new Set() })
})

test('any record is recorded, ignored or skipped', () => {
  const payload = fc.record({
    id: fc.string(),
    account_id_from: fc.string(),
    amount: fc.double(),
    created_at: fc.string(),
  })
  const records = fc.oneof(fc.uint8Array(), fc.json()).map(record)
  fc.assert(
    fc.property(
      fc.oneof(
        records,
        payload.map((part) => event(part)),
      ),
      (one) => {
        const { rows, skipped } = select([one], 1)
        expect(rows.length + skipped.length).toBeLessThanOrEqual(1)
      },
    ),
  )
})
