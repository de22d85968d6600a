import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { deliveriesOf, type PublishedEvent, placesAt } from './places'

const time = '2026-01-31T00:00:00.000Z'
const published = (topic: string, subject: string, partition: number, offset: number): PublishedEvent => ({
  event: { topic, subject, time },
  partition,
  offset: BigInt(offset),
})

test('records that follow each other in a partition are one run', () => {
  const events = [
    published('transactions', 'a', 0, 10),
    published('balances', 'a', 3, 7),
    published('transactions', 'b', 0, 11),
    published('balances', 'b', 3, 8),
  ]
  expect(deliveriesOf(events)).toEqual([
    {
      occurredAt: time,
      runs: 'transactions/0/10/2 balances/3/7/2',
      subjects: ['a', 'b', 'a', 'b'],
      legs: null,
    },
  ])
})

test('what was sent later, or by others in between, begins another run; legs are kept', () => {
  const events = [
    published('balances', 'a/0', 1, 5),
    published('balances', 'a/1', 1, 6),
    published('balances', 'b', 1, 9),
  ]
  expect(deliveriesOf(events)).toEqual([
    { occurredAt: time, runs: 'balances/1/5/2 balances/1/9/1', subjects: ['a', 'a', 'b'], legs: [0, 1, 0] },
  ])
})

test('every event is found where it was sent, by its time and subject', () => {
  const event = fc.record({
    topic: fc.constantFrom('transactions', 'balances'),
    subject: fc.constantFrom('a', 'b', 'c'),
    leg: fc.constantFrom('', '/1', '/12'),
    second: fc.nat(2),
    partition: fc.nat(2),
    gap: fc.nat(1),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (list) => {
      const next = new Map<string, number>()
      const events = list.map(({ topic, subject, leg, second, partition, gap }) => {
        const offset = (next.get(`${topic}${partition}`) ?? 0) + gap
        next.set(`${topic}${partition}`, offset + 1)
        const name = { topic, subject: subject + leg, time: String(second) }
        return { event: name, partition, offset: BigInt(offset) }
      })
      const found = deliveriesOf(events).flatMap(({ occurredAt, subjects, ...row }) =>
        [...new Set(subjects)].flatMap((subject) => {
          const positions = subjects.flatMap((one, index) => (one === subject ? index + 1 : []))
          return placesAt(positions, row).map((place) => [occurredAt, subject, place])
        }),
      )
      const sent = events.map(({ event: { topic, subject, time: at }, ...place }) => {
        const [id, leg] = subject.split('/')
        return [at, id, { topic, ...place, leg: Number(leg ?? 0) }]
      })
      const texts = (all: unknown[]) =>
        all.map((one) =>
          JSON.stringify(one, (_, value) => (typeof value === 'bigint' ? Number(value) : value)),
        )
      expect(found.length).toBe(sent.length)
      expect(texts(found.map(sorted)).toSorted()).toEqual(texts(sent.map(sorted)).toSorted())
    }),
  )
})

const sorted = ([at, id, place]: unknown[]) => [
  at,
  id,
  Object.entries(place as object).toSorted(([one], [other]) => (one < other ? -1 : 1)),
]
