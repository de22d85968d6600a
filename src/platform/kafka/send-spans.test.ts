import { expect, test } from 'bun:test'
import type { Attributes, Span, SpanOptions, Tracing } from '../telemetry/spans'
import { continueTrace, traceIdOf } from '../telemetry/trace'
import { SendSpans } from './send-spans'

type Ended = { name: string; trace: string | undefined; attributes: Attributes; error?: string }

/** Records spans when they end. */
function record(): { tracing: Tracing; ended: Ended[] } {
  const ended: Ended[] = []
  const begin = (name: string, { parent, attributes = {} }: SpanOptions): Span => {
    const above = typeof parent === 'string' ? parent : undefined
    const one: Ended = { name, trace: above && traceIdOf(above), attributes }
    return {
      traceparent: continueTrace(above),
      isRecorded: !above?.endsWith('-00'),
      set: (more) => Object.assign(one.attributes, more),
      link() {},
      fail: (error) => Object.assign(one, { error }),
      end: () => ended.push(one),
    }
  }
  return { tracing: { begin, close: async () => {} }, ended }
}

const header = (digit: string, flags = '01') => `00-${digit.repeat(32)}-00f067aa0ba902b7-${flags}`
const records = [
  { topic: 'balances', traceparent: header('a', '00') },
  { topic: 'transactions', traceparent: header('b') },
  { topic: 'balances', traceparent: header('b') },
  { topic: 'balances', traceparent: header('b') },
  { topic: 'balances', traceparent: header('c') },
]

test('a span for each trace and topic, and each record carries its own', () => {
  const { tracing, ended } = record()
  const spans = new SendSpans(tracing, records)
  const carried = records.map((_, index) => spans.traceparentOf(index) ?? '')
  expect(carried.map(traceIdOf)).toEqual(['a', 'b', 'b', 'b', 'c'].map((digit) => digit.repeat(32)))
  expect(carried[2]).toBe(carried[3] ?? '')
  expect(new Set(carried).size).toBe(4)

  const at = (partition: number, offset: bigint) => ({ partition, offset })
  spans.end([at(0, 1n), at(1, 7n), at(2, 5n), at(2, 6n), 'too_large'])
  expect(ended.map(({ name, trace, error }) => [name, trace?.[0], error])).toEqual([
    ['send balances', 'a', undefined],
    ['send transactions', 'b', undefined],
    ['send balances', 'b', undefined],
    ['send balances', 'c', 'too_large'],
  ])
  expect(ended[1]?.attributes).toMatchObject({
    'messaging.destination.partition.id': '1',
    'messaging.kafka.offset': 7,
  })
  expect(ended[2]?.attributes).toMatchObject({
    'messaging.destination.partition.id': '2',
    'messaging.batch.message_count': 2,
  })
  expect(ended[3]?.attributes).not.toHaveProperty('messaging.kafka.offset')
})

test('a send that fails is one span', () => {
  const { tracing, ended } = record()
  new SendSpans(tracing, records).fail('broker_unavailable')
  expect(ended).toMatchObject([{ name: 'send transactions', error: 'broker_unavailable' }])
})
