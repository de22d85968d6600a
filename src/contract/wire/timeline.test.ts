import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { headersOf } from '../../testing/headers'
import { encodeTimeline, parseTimeline, type Timeline, timelineHeader, timelineOf } from './timeline'

const at = 1764284400123.4
const none = { decided: null, appended: null, published: null }

test.each<[string, Timeline]>([
  [
    '1764284400123.4,0.8,3.9,5.2',
    { requested: at, decided: at + 0.8, appended: at + 3.9, published: at + 5.2 },
  ],
  ['1764284400123.4,0,0,0', { requested: at, decided: at, appended: at, published: at }],
  ['1764284400123.4,0.8,,5.2', { requested: at, decided: at + 0.8, appended: null, published: at + 5.2 }],
  ['1764284400123.4,,,', { requested: at, ...none }],
  ['1764284400123,,,86400000', { ...none, requested: 1764284400123, published: 1764370800123 }],
  // Sent by another process, whose clock is behind.
  ['1764284400123.4,,,-2000.5', { requested: at, ...none, published: at - 2000.5 }],
  ['0,,,', { requested: 0, ...none }],
])('%s is read, and written', (text, timeline) => {
  const read = parseTimeline(text)
  expect(read).toEqual(rounded(timeline))
  expect(encodeTimeline(read as Timeline)).toBe(text)
})

test.each([
  ...['', ',', ',,,', '1764284400123.4', '1764284400123.4,,', '1764284400123.4,,,,', ',0.8,3.9,5.2'],
  ...['1764284400123.45,,,', '17642844001234,,,', '-1,,,', '+1,,,', '1.,,,', 'NaN,,,', 'Infinity,,,'],
  ...[
    '1e3,,,',
    '0x10,,,',
    '1,--1,,',
    '1,1e9,,',
    '1,1234567890123,,',
    '1,.5,,',
    '1,1.,,',
    '1, 1,,',
    '1,,,1\n',
  ],
  ...['１,,,', '1;2;3;4', '2026-11-28T00:00:00Z,,,', '<script>,,,'],
])('%p is no timeline', (text) => {
  expect(parseTimeline(text)).toBeUndefined()
})

test('without a header there is no timeline', () => {
  expect(parseTimeline(undefined)).toBeUndefined()
  expect(parseTimeline(null)).toBeUndefined()
  expect(timelineOf({ value: null })).toBeUndefined()
  expect(timelineOf({ value: null, headers: headersOf({ ce_id: '1' }) })).toBeUndefined()
})

/** From 2017 to 2033. */
const ms = fc.double({ min: 1.5e12, max: 2e12, noNaN: true })
const timeline = fc.record({
  requested: ms,
  decided: fc.option(ms),
  appended: fc.option(ms),
  published: fc.option(ms),
})

test('what is written is read to a tenth of a millisecond, and is the same when it is written again', () => {
  fc.assert(
    fc.property(timeline, (times) => {
      const text = encodeTimeline(times)
      const read = parseTimeline(text) as Timeline
      expect(encodeTimeline(read)).toBe(text)
      for (const stage of ['requested', 'decided', 'appended', 'published'] as const)
        if (times[stage] === null) expect(read[stage]).toBeNull()
        else expect(Math.abs(Number(read[stage]) - times[stage])).toBeLessThan(0.16)
    }),
  )
})

const bytes = fc.oneof(
  fc.uint8Array(),
  fc.string().map((text) => Buffer.from(text)),
)

test('any bytes are a timeline of finite times or none', () => {
  const name = Buffer.from(timelineHeader)
  fc.assert(
    fc.property(fc.option(bytes), fc.array(fc.tuple(bytes, fc.option(bytes))), (value, others) => {
      const read = timelineOf({ value: null, headers: [...others, [name, value]] })
      if (read) for (const time of Object.values(read)) expect(Number.isFinite(time ?? 0)).toBe(true)
    }),
  )
})

test('of a repeated header the last counts, in both kinds of records', () => {
  const [first = [], second = []] = ['1,,,', '2,,,'].map((text) => headersOf({ [timelineHeader]: text }))
  expect(timelineOf({ value: null, headers: [...first, ...second] })).toEqual({ requested: 2, ...none })
  const lastHeaders = () => [Buffer.from('2,,,')]
  expect(timelineOf({ value: null, headers: first, lastHeaders })).toEqual({ requested: 2, ...none })
  expect(timelineOf({ value: null, lastHeaders: () => [undefined] })).toBeUndefined()
})

const rounded = (times: Timeline): Timeline =>
  Object.fromEntries(
    Object.entries(times).map(([stage, time]) => [stage, time === null ? null : Math.round(time * 10) / 10]),
  ) as Timeline
