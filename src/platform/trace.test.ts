import { expect, test } from 'bun:test'
import { continueTrace, traceIdOf } from './trace'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

test('a trace goes on under a new parent id, with its flags', () => {
  const header = `00-${traceId}-00f067aa0ba902b7-00`
  const traceparent = continueTrace(header)
  expect(traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
  expect(traceparent).not.toBe(header)
  expect(traceIdOf(traceparent)).toBe(traceId)
})

test.each([null, '', 'nonsense', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, `01-${traceId}-00f067aa0ba902b7-01`])(
  'a header that cannot be read begins a new trace: %p',
  (header) => {
    const traceparent = continueTrace(header)
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(traceIdOf(traceparent)).not.toBe(traceId)
  },
)
