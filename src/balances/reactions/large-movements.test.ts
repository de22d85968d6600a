import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { HoldPlaced, TransactionCreated } from '../../contract/events/events'
import { selectLarge } from './large-movements'

const at = '2024-01-27T17:13:55.000Z'
const record = (value: string | Uint8Array) => ({
  value: Buffer.from(value),
  headers: [],
  timestampMs: Date.parse(at),
})
const told = (part: object, name = 'TransactionCreated') =>
  record(
    JSON.stringify({
      Name: name,
      Payload: { ...TransactionCreated.example, created_at: undefined, ...part },
    }),
  )

const notesOf = (part: object) => selectLarge([told(part)], 10_000)

test('a movement is noted as it is told, with the time of its record where it has none of its own', () => {
  const { id, account_id_from, account_id_to } = TransactionCreated.example
  const noted = {
    transactionId: id,
    accountIdFrom: account_id_from,
    accountIdTo: account_id_to,
    amountMinor: 1_000_000n,
    currency: 'BRL',
    reference: null,
    createdAt: at,
  }
  expect(notesOf({ amount: 10_000 })).toEqual({ rows: [noted], skipped: [] })
  const created_at = '2020-01-01T01:00:00+01:00'
  expect(notesOf({ amount: 10_000, reference: 'rent', created_at }).rows).toEqual([
    { ...noted, reference: 'rent', createdAt: '2020-01-01T00:00:00.000Z' },
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
])('%p %s is noted as %p', (amount, currency, minor) => {
  const { rows, skipped } = notesOf({ amount, currency })
  expect({ noted: rows.map((row) => row.amountMinor), skipped }).toEqual({
    noted: minor ? [minor] : [],
    skipped: [],
  })
})

const half = String.fromCharCode(0xd800)

test.each([
  [record('nonsense'), /JSON/],
  [record('{"Name":"TransactionCreated","Payload":{}}'), /^\/id/],
  [{ ...record(''), value: null }, /no value/],
  [told({}, 'TransactionForgotten'), /TransactionForgotten/],
  [told({ currency: 'ABC' }), /^\/amount.*ISO 4217/],
  [told({ amount: 20_000.001 }), /^\/amount/],
  [told({ amount: 20_000, created_at: 'yesterday' }), /a time/],
  [told({ amount: 20_000, reference: 'a\0b' }), /a text/],
  [told({ amount: 20_000, account_id_to: half }), /a text/],
])('what cannot be read is skipped with its reason, and what comes after it is not: %#', (odd, reason) => {
  const { rows, skipped } = selectLarge([odd, told({ amount: 20_000 })], 10_000)
  expect(rows).toHaveLength(1)
  expect(skipped).toEqual([expect.stringMatching(reason)])
})

test('a hold moves nothing', () => {
  const hold = JSON.stringify({ Name: 'HoldPlaced', Payload: { ...HoldPlaced.example, amount: 20_000 } })
  expect(selectLarge([record(hold)], 10_000)).toEqual({ rows: [], skipped: [] })
})

test('whatever a record holds, it is noted, passed over or skipped', () => {
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
        payload.map((part) => told(part)),
      ),
      (one) => {
        const { rows, skipped } = selectLarge([one], 1)
        expect(rows.length + skipped.length).toBeLessThanOrEqual(1)
      },
    ),
  )
})
