import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { eventsOfLines, linesOfEvents, type OutboxEvent } from './lines'

const token = fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', '/', ' ', 'ü', '-1') })
const tenths = fc.integer({ min: 17_600_000_000_000, max: 17_700_000_000_000 }).map((ms) => ms / 10)
const timeline = fc.record({
  requested: fc.oneof(tenths, fc.constant(1764284400123.4)),
  decided: fc.constantFrom(null, 1764284400124),
  appended: fc.constant(null),
  published: fc.constant(null),
})
const plain: fc.Arbitrary<OutboxEvent> = fc.record({
  topic: fc.constantFrom('transactions', 'balances', 'personal-data'),
  key: token,
  name: fc.constantFrom('TransactionCreated', 'BalanceUpdated'),
  value: fc.anything().map((value) => JSON.stringify({ value }) ?? '{}'),
  subject: token,
  time: fc.constantFrom('2026-01-31T00:00:00.000Z', '2026-01-31T00:00:00.001Z'),
  traceparent: fc.option(fc.constantFrom('00-1-2-01', '00-1-2-00')),
})
const event = fc.oneof(
  plain,
  fc.tuple(plain, timeline).map(([event, timeline]): OutboxEvent => ({ ...event, timeline })),
)

test('events are read as they were written, also what they share with the event before', () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 6 }), (events) => {
      expect(eventsOfLines(linesOfEvents(events))).toEqual(events)
    }),
  )
})

test('what two events of a transfer share is written once', () => {
  const shared = { key: 'k', subject: 's', time: 't', traceparent: null }
  const events = [
    { topic: 'transactions', name: 'TransactionCreated', value: '{"a": 1}', ...shared },
    { topic: 'balances', name: 'BalanceUpdated', value: '{"b": 2}', ...shared },
  ] as const
  expect(linesOfEvents(events)).toBe(
    'transactions\tk\tTransactionCreated\ts\tt\t-\t{"a": 1}\nbalances\t\tBalanceUpdated\t\t\t\t{"b": 2}',
  )
})

test('a timeline follows the value, where earlier versions see nothing', () => {
  const shared = { key: 'k', subject: 's', time: 't', traceparent: null }
  const timeline = { requested: 1764284400123.4, decided: 1764284400124.2, appended: null, published: null }
  const events = [
    { topic: 'transactions', name: 'TransactionCreated', value: '{"a": 1}', ...shared, timeline },
    { topic: 'balances', name: 'BalanceUpdated', value: '{"b": 2}', ...shared, timeline },
    { topic: 'balances', name: 'BalanceUpdated', value: '{"b": 3}', ...shared },
  ] as const
  const lines = linesOfEvents(events).split('\n')
  expect(lines).toEqual([
    'transactions\tk\tTransactionCreated\ts\tt\t-\t{"a": 1}\t1764284400123.4,0.8,,',
    'balances\t\tBalanceUpdated\t\t\t\t{"b": 2}\t',
    'balances\t\tBalanceUpdated\t\t\t\t{"b": 3}',
  ])
  expect(eventsOfLines(lines.join('\n'))).toEqual([...events])
  expect(lines.map((line) => line.split('\t')[6])).toEqual(events.map(({ value }) => value))
})

test('an event that could not be read back is refused', () => {
  const [one] = eventsOfLines('transactions\tk\tTransactionCreated\ts\tt\t-\t{}')
  for (const value of ['a\tb', 'a\nb'])
    expect(() => linesOfEvents([{ ...(one as OutboxEvent), value }])).toThrow('a tab or a line break')
})
