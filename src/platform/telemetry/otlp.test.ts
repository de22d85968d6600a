import { expect, test } from 'bun:test'
import type { Log } from './log'
import { createTracing } from './otlp'
import type { Sampler } from './spans'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const header = (flags: string) => `00-${traceId}-00f067aa0ba902b7-${flags}`

/** Nothing is exported: the delay is longer than the test. */
const tracingOf = (sampler: Sampler) =>
  createTracing(
    {
      ...{ url: 'http://127.0.0.1:1/', headers: {}, timeoutMs: 100, resource: {} },
      ...{ sampler, queueMax: 10, batchMax: 10, delayMs: 600_000 },
    },
    silent,
  )

const follow = { root: 'on', ratio: 1, isParentBased: true } as const
const never = { root: 'off', ratio: 1, isParentBased: true } as const
const always = { root: 'on', ratio: 1, isParentBased: false } as const

test.each<[Sampler, string | null, boolean, string]>([
  [follow, header('01'), true, '01'],
  // That its ids are random is passed on.
  [follow, header('03'), true, '03'],
  [follow, header('00'), false, '00'],
  [follow, header('02'), false, '02'],
  [follow, null, true, '01'],
  [never, header('01'), true, '01'],
  [never, null, false, '00'],
  [always, header('00'), true, '01'],
])('%j and %p: recorded %p, with flags %s', (sampler, parent, isRecorded, flags) => {
  const span = tracingOf(sampler).begin('work', { kind: 'internal', parent })
  expect(span.isRecorded).toBe(isRecorded)
  expect(span.traceparent).toMatch(new RegExp(`^00-[0-9a-f]{32}-[0-9a-f]{16}-${flags}$`))
  expect(span.traceparent.includes(traceId)).toBe(parent !== null)
  expect(span.traceparent).not.toContain('00f067aa0ba902b7')
})

test.each(['nonsense', header('01').toUpperCase(), `${header('01')}, ${header('01')}`, ''])(
  'a trace begins below what is no traceparent: %p',
  (parent) => {
    const span = tracingOf(follow).begin('work', { kind: 'server', parent, links: [parent] })
    expect(span.isRecorded).toBe(true)
    expect(span.traceparent).not.toContain(traceId)
  },
)

test('what is below a span that is not sampled is not recorded', () => {
  const tracing = tracingOf(follow)
  const above = tracing.begin('above', { kind: 'server', parent: header('00') })
  const below = tracing.begin('below', { kind: 'client', parent: above })
  expect(below.isRecorded).toBe(false)
  expect(below.traceparent).toContain(traceId)
})
