import { expect, test } from 'bun:test'
import { events } from '../contract/events/events'
import type { Decoded } from '../contract/wire/envelope'
import { type DecodedRecord, lineOf, presentRecord, select } from './event-lines'
import { merged, parsePlace } from './events'

const eva = events.BalanceUpdated.example.account_id_from
const at = Date.parse('2026-01-31T00:00:00Z')

const record = (decoded: Decoded, value = 'value', offset = 7n, timestampMs = at): DecodedRecord => ({
  topic: 'balances',
  partition: 2,
  record: { offset, timestampMs, key: Buffer.from('key'), value: Buffer.from(value) },
  decoded,
})
const updated = record({
  kind: 'event',
  event: { name: 'BalanceUpdated', payload: events.BalanceUpdated.example } as never,
})
const postings = record({
  kind: 'event',
  event: { name: 'PostingsCreated', payload: events.PostingsCreated.example } as never,
})
const unknown = record({ kind: 'unknown', name: 'Invented' })
const unreadable = record(
  { kind: 'unreadable', reason: { cause: 'not_json', detail: 'not JSON' } },
  '\x1b[2J',
)

test.each([
  [updated, {}, 'shown'],
  [unreadable, {}, 'shown'],
  [unknown, {}, 'shown'],
  [updated, { account: eva }, 'shown'],
  [postings, { account: eva }, 'shown'],
  [updated, { account: 'd6a40ce9-bbd0-11ee-8a24-0242ac120003' }, 'hidden'],
  [updated, { type: 'BalanceUpdated', account: eva }, 'shown'],
  [updated, { type: 'AccountOpened', account: eva }, 'hidden'],
  [unknown, { type: 'Invented' }, 'shown'],
  [unknown, { account: eva }, 'hidden'],
  // What cannot be read may be it.
  [unreadable, { account: eva }, 'unread'],
  [unreadable, { type: 'BalanceUpdated' }, 'unread'],
  [unreadable, { sinceMs: at + 1, type: 'BalanceUpdated' }, 'hidden'],
  [updated, { sinceMs: at }, 'shown'],
  [updated, { sinceMs: at + 1 }, 'hidden'],
] as const)('%# a record is selected', (one, filter, selection) => {
  const everything = { account: undefined, type: undefined, sinceMs: Number.NEGATIVE_INFINITY }
  expect(select(one, { ...everything, ...filter })).toBe(selection)
})

test('a line has the time, the place, the event and its fields; what cannot be read says so', () => {
  expect(lineOf(updated)).toStartWith(
    `2026-01-31T00:00:00.000Z balances/2/7 BalanceUpdated account_id_from=${eva} account_id_to=`,
  )
  expect(lineOf(unknown)).toBe('2026-01-31T00:00:00.000Z balances/2/7 Invented (unknown here) value')
  const line = lineOf(unreadable)
  expect(line).toContain('balances/2/7 UNREADABLE not_json: not JSON')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there.
  expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
  expect(presentRecord(unreadable)).toMatchObject({
    ...{ event: null, payload: null, unreadable: { cause: 'not_json' }, value: '\x1b[2J' },
  })
  const personal = { ...unreadable, topic: 'shop.personal-data' }
  expect(presentRecord(personal).value).toBeNull()
})

test('partitions are merged by time, and each keeps its own order', async () => {
  const closed: string[] = []
  async function* source(name: string, times: number[]) {
    try {
      for (const [offset, time] of times.entries())
        yield {
          ...updated,
          topic: name,
          record: { ...updated.record, offset: BigInt(offset), timestampMs: time },
        }
    } finally {
      closed.push(name)
    }
  }
  const names: string[] = []
  for await (const { topic, record } of merged([
    source('a', [1, 5, 4]),
    source('b', [2, 3, 6]),
    source('c', []),
  ]))
    names.push(`${topic}${record.offset}`)
  expect(names).toEqual(['a0', 'b0', 'b1', 'a1', 'a2', 'b2'])
  closed.length = 0
  for await (const _ of merged([source('a', [1]), source('b', [2])])) break
  expect(closed.sort()).toEqual(['a', 'b'])
})

test.each([
  ['beginning', { kind: 'beginning' }],
  ['end', { kind: 'end' }],
  ['120', { kind: 'offset', offset: 120n }],
  ['-10', { kind: 'last', count: 10n }],
  ['2026-01-31T00:00:00Z', { kind: 'time', ms: at }],
] as const)('%s is a place', (text, place) => {
  expect(parsePlace(text)).toEqual(place)
})

test.each(['', '-0', 'start', '1.5', '2026-01-31', 'yesterday'])('%p is no place', (text) => {
  expect(() => parsePlace(text)).toThrow('must be beginning, end, an offset')
})
