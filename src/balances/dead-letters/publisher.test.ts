import { expect, test } from 'bun:test'
import type { RecordHeader } from '../../platform/kafka/record-set'
import { headersOf, textsOf } from '../../testing/headers'
import { deadLetterTopic, recordOf } from './publisher'

const letter = {
  id: 7n,
  topic: 'x-balances',
  partition: 2,
  recordOffset: 40n,
  lastOffset: null,
  cause: 'not_json',
  detail: 'not JSON',
  key: Buffer.from([0xff]),
  value: Buffer.from('hello'),
  headers: [
    [Buffer.from('traceparent'), Buffer.from('00-1')],
    [Buffer.from([0xff]), Buffer.from([0xfe, 0])],
    [Buffer.from('nul'), null],
    [Buffer.from('traceparent'), Buffer.from('00-2')],
    [Buffer.from('dlq-offset'), Buffer.from('of a letter that was sent before')],
  ] as RecordHeader[],
  recordAt: null,
  recordedAt: '2024-01-27T17:13:55.000Z',
  attempts: 3,
  sentAt: null,
}

const reasons = {
  'dlq-topic': 'x-balances',
  'dlq-partition': '2',
  'dlq-offset': '40',
  'dlq-group': 'x-balances',
  'dlq-error-type': 'not_json',
  'dlq-error-message': 'not JSON',
  'dlq-attempts': '3',
  'dlq-first-failed-at': '2024-01-27T17:13:55.000Z',
}

test('a letter is published as it came, with its coordinates and reason', () => {
  const { key, value } = letter
  const headers = [...letter.headers, ...headersOf(reasons)]
  expect(recordOf(letter, 'x-balances')).toEqual({ topic: 'x-balances.x-balances.dlq', key, value, headers })
})

test('a letter too large for any broker is published without its contents', () => {
  const headers = headersOf({ ...reasons, 'dlq-omitted': 'key, value, headers' })
  const bare = { topic: 'x-balances.x-balances.dlq', key: null, value: null, headers }
  for (const large of [
    { value: Buffer.alloc(1_000_000) },
    { headers: headersOf({ a: 'ü'.repeat(500_000) }) },
  ])
    expect(recordOf({ ...letter, ...large }, 'x-balances')).toEqual(bare)
  const detail = 'x'.repeat(2_000_000)
  const { headers: cut } = recordOf({ ...letter, detail }, 'x-balances')
  expect(textsOf(cut)['dlq-error-message']).toHaveLength(1000)
})

test('an unreadable batch has its range of offsets', () => {
  const { headers } = recordOf({ ...letter, lastOffset: 49n }, 'x-balances')
  expect(textsOf(headers)).toMatchObject({ 'dlq-offset': '40', 'dlq-offset-last': '49' })
})

test('a group id is made a valid topic name', () => {
  expect(deadLetterTopic('balances', 'read side/1')).toBe('balances.read_side_1.dlq')
})
