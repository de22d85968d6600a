import { expect, test } from 'bun:test'
import type { Decoded } from '../../contract/wire/envelope'
import { encodeTimeline } from '../../contract/wire/timeline'
import type { IncomingRecord } from '../../platform/kafka/records'
import { entryOf } from '../../testing/read-model'
import { entryKey, type Observation } from '../projection/observation'
import { candidatesOf, laneOf, laneOfDeadLetter, lanesOfEntries } from './flow-lanes'

const createdAt = '2024-01-27T17:13:55.000Z'
const createdMs = Date.parse(createdAt)

const originOf = (offset: number, headers: Record<string, string> = {}) => ({
  record: {
    offset: BigInt(offset),
    lastHeaders: (names: readonly Uint8Array[]) =>
      names.map((name) => {
        const value = headers[Buffer.from(name).toString()]
        return value === undefined ? undefined : Buffer.from(value)
      }),
  } as unknown as IncomingRecord,
  partition: { topic: 'balances', partition: 1 },
})

const movement = (version: number, fields: object = {}): Decoded => ({
  kind: 'event',
  event: {
    name: 'BalanceUpdated',
    payload: {
      account_id_from: 'eva',
      account_id_to: 'frank',
      balance_account_id_from: 1,
      balance_account_id_to: 1,
      version_account_id_from: version,
      version_account_id_to: version,
      transaction_id: `tx${version}`,
      amount: 10.25,
      currency: 'BRL',
      created_at: createdAt,
      ...fields,
    },
  },
})

type Given = { decoded: Decoded; headers?: Record<string, string> }

function observe(given: Given[], more: Partial<Observation> = {}): Observation {
  const readings = given.map(({ decoded, headers }, offset) => ({
    decoded,
    timestampMs: 0,
    origin: originOf(offset, headers),
  }))
  return {
    ...{ readings, dead: [], entries: [], recorded: undefined, xid: undefined },
    ...{ receivedMs: 10, appliedMs: 14.04, visibleMs: 14.26 },
    ...more,
  }
}

const entriesOf = (...versions: number[]) =>
  versions.flatMap((version) => [entryOf(version, 'eva'), entryOf(version, 'frank')])

const outcomesOf = (observation: Observation) => candidatesOf(observation).map(({ outcome }) => outcome)

test('records whose entries are all there already are repeated', () => {
  const given = [movement(1), movement(2), movement(2), movement(3)].map((decoded) => ({ decoded }))
  const entries = entriesOf(1, 2, 2, 3)
  const recorded = (...versions: number[]) => entriesOf(...versions).map(entryKey)
  expect(outcomesOf(observe(given, { entries }))).toEqual(['applied', 'applied', 'applied', 'applied'])
  expect(outcomesOf(observe(given, { entries, recorded: [] }))).toEqual(Array(4).fill('repeated'))
  expect(outcomesOf(observe(given, { entries, recorded: recorded(2, 3) }))).toEqual([
    'repeated',
    'applied',
    'repeated',
    'applied',
  ])
  // One side is new, as after the other was moved by an event that came first.
  const half = observe(given.slice(0, 1), {
    entries: entriesOf(1),
    recorded: [entryKey(entryOf(1, 'frank'))],
  })
  expect(outcomesOf(half)).toEqual(['applied'])
})

test('records without versions, of other events, unknown ones and dead letters', () => {
  const versionless = movement(1, { version_account_id_from: undefined, version_account_id_to: undefined })
  const opened: Decoded = {
    kind: 'event',
    event: {
      name: 'AccountOpened',
      payload: { id: 'eva', client_id: null, currency: 'BRL', created_at: createdAt },
    },
  }
  const unknown: Decoded = { kind: 'unknown', name: 'Surprise' }
  const reason = { cause: 'not_json', detail: 'not JSON' } as const
  const unreadable: Decoded = { kind: 'unreadable', reason }
  const given = [versionless, opened, unknown, unreadable].map((decoded) => ({ decoded }))
  const observation = observe(given, { entries: entriesOf(1), recorded: [] })
  const rejected = { origin: originOf(9), reason: { cause: 'not_storable', detail: 'refused' } as const }
  const dead = [{ origin: observation.readings[3]?.origin ?? originOf(0), reason }, rejected]
  expect(outcomesOf({ ...observation, dead })).toEqual([
    'applied',
    'applied',
    'skipped',
    'dead_letter',
    'dead_letter',
  ])
})

const laneFor = (given: Given, more: Partial<Observation> = {}) => {
  const observation = observe([given], more)
  const [candidate] = candidatesOf(observation)
  if (!candidate) throw new Error('no candidate')
  return laneOf(candidate, observation, 1_000_000)
}

test('a lane has the times of the wallet, of the event, and of here', () => {
  const timeline = {
    requested: createdMs - 1.5,
    decided: createdMs,
    appended: createdMs + 4,
    published: null,
  }
  const headers = {
    ce_timeline: encodeTimeline(timeline),
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  }
  const hops = { received: 1_000_010, applied: 1_000_014, visible: 1_000_014.3 }
  expect(laneFor({ decoded: movement(1), headers })).toEqual({
    key: 'tx1 eva frank',
    name: 'BalanceUpdated',
    transactionId: 'tx1',
    holdId: null,
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    amountMinor: 1025n,
    currency: 'BRL',
    accountIdFrom: 'eva',
    accountIdTo: 'frank',
    place: { topic: 'balances', partition: 1, offset: 0n },
    outcome: 'applied',
    deadLetter: null,
    hops: { ...timeline, ...hops },
  })
  const none = { requested: null, decided: createdMs, appended: null, published: null }
  expect(laneFor({ decoded: movement(1) })).toMatchObject({ traceId: null, hops: { ...none, ...hops } })
})

test('an event that moves nothing has the account that it is about', () => {
  const payload = { id: 'eva', client_id: null, currency: 'BRL', created_at: createdAt }
  const lane = laneFor({ decoded: { kind: 'event', event: { name: 'AccountOpened', payload } } })
  const none = { transactionId: null, amountMinor: null, accountIdFrom: null }
  expect(lane).toMatchObject({ ...none, name: 'AccountOpened', accountIdTo: 'eva', key: 'balances 1 0' })
})

test('a repeated record and a dead letter have lanes of their own', () => {
  const entries = entriesOf(1)
  expect(laneFor({ decoded: movement(1) }, { entries, recorded: [] })).toMatchObject({
    key: 'balances 1 0',
    outcome: 'repeated',
    transactionId: 'tx1',
  })
  const reason = { cause: 'currency_mismatch', detail: 'USD' } as const
  const observation = observe([{ decoded: movement(1) }])
  const [reading] = observation.readings
  const dead = reading ? [{ origin: reading.origin, reason }] : []
  const [candidate] = candidatesOf({ ...observation, dead })
  expect(candidate && laneOf(candidate, observation, 0)).toMatchObject({
    key: 'balances 1 0',
    transactionId: 'tx1',
    deadLetter: { id: null, ...reason },
    hops: { visible: null },
  })
})

test.each([
  ['of the course', { amount: undefined, currency: undefined }, null, null],
  ['without a currency', { currency: undefined }, 1025n, 'BRL'],
  ['in an unknown currency', { currency: 'XXX' }, null, 'XXX'],
])('the amount of an event %s', (_, fields, amountMinor, currency) => {
  expect(laneFor({ decoded: movement(1, fields) })).toMatchObject({ amountMinor, currency })
})

test('both entries of a movement make the lane that its record makes, whichever comes first', () => {
  const shared = { currency: 'BRL', openingLimitMinor: 0n, transactionId: 'tx1', appliedAt: createdAt }
  const paying = { ...entryOf(4, 'eva'), ...shared, amountMinor: -1025n, counterpartyId: 'frank' }
  const paid = { ...entryOf(7, 'frank'), ...shared, amountMinor: 1025n, counterpartyId: 'eva' }
  const expected = {
    key: laneFor({ decoded: movement(1) }).key,
    accountIdFrom: 'eva',
    accountIdTo: 'frank',
    amountMinor: 1025n,
    place: null,
    hops: { decided: createdMs, applied: createdMs, received: null },
  }
  for (const entries of [[paying, paid], [paid, paying], [paid], [paying]]) {
    const lanes = lanesOfEntries(entries)
    expect(lanes).toHaveLength(1)
    expect(lanes[0]).toMatchObject(expected)
  }
  const hold = { ...paying, transactionId: 'hold1', amountMinor: 0n, appliedAt: null }
  expect(lanesOfEntries([paid, hold])).toMatchObject([
    { transactionId: 'tx1' },
    {
      transactionId: 'hold1',
      amountMinor: 0n,
      accountIdFrom: 'eva',
      accountIdTo: 'frank',
      hops: { applied: null },
    },
  ])
  const bare = { ...paying, transactionId: null }
  expect(lanesOfEntries([bare, { ...bare, version: 5n }])).toHaveLength(2)
})

test('a dead letter of the tables has the key of its record', () => {
  const row = { id: 7n, topic: 'balances', partition: 1, offset: 0n, cause: 'not_json', detail: 'not JSON' }
  expect(laneOfDeadLetter({ ...row, recordedAt: createdAt })).toMatchObject({
    key: 'balances 1 0',
    outcome: 'dead_letter',
    deadLetter: { id: 7n, cause: 'not_json', detail: 'not JSON' },
    hops: { applied: createdMs, decided: null },
  })
})
