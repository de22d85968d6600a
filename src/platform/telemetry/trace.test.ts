import { expect, test } from 'bun:test'
import { continueTrace, traceIdOf } from './trace'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

test('a trace continues under a new parent id, with its flags', () => {
  const header = `00-${traceId}-00f067aa0ba902b7-00`
  const traceparent = continueTrace(header)
  expect(traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
  expect(traceparent).not.toBe(header)
  expect(traceIdOf(traceparent)).toBe(traceId)
})

const parentId = '00f067aa0ba902b7'

test.each([
  [`01-${traceId}-${parentId}-01`, '01'],
  [`cc-${traceId}-${parentId}-00`, '00'],
  [`cc-${traceId}-${parentId}-01-what-the-future-will-be-like`, '01'],
  [`fe-${traceId}-${parentId}-01-`, '01'],
  [`0a-${traceId}-${parentId}-ff-x`, '03'],
  // Undefined flags are not passed on.
  [`00-${traceId}-${parentId}-ff`, '03'],
  [`00-${traceId}-${parentId}-02`, '02'],
])('a trace of a later version continues as version 00: %p', (header, flags) => {
  expect(continueTrace(header)).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-${flags}$`))
})

test.each([
  null,
  '',
  'nonsense',
  `00-${'0'.repeat(32)}-${parentId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId}-${parentId}-01-more`,
  `00-${traceId}-${parentId}-01-`,
  `00-${traceId}-${parentId}-01, 00-${traceId}-${parentId}-01`,
  `00-${traceId}-${parentId}-1`,
  `00-${traceId.toUpperCase()}-${parentId}-01`,
  `ff-${traceId}-${parentId}-01`,
  `ff-${traceId}-${parentId}-01-more`,
  `FE-${traceId}-${parentId}-01`,
  `cc-${traceId}-${parentId}-01.more`,
  `cc-${traceId}-${parentId}-01more`,
  `cc-${traceId}-${parentId}-01-more, cc-${traceId}-${parentId}-01`,
  `cc-${traceId}-${parentId}`,
  `cc-${'0'.repeat(32)}-${parentId}-01`,
  `1-${traceId}-${parentId}-01`,
])('an invalid header starts a new trace: %p', (header) => {
  const traceparent = continueTrace(header)
  expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  expect(traceIdOf(traceparent)).not.toBe(traceId)
})
