import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseInstant, parseTime, sqlBoundOf, timeOf } from './time'

const times = [
  ['2026-01-31T00:00:00Z', '2026-01-31T00:00:00.000Z'],
  ['2026-01-31t00:00:00z', '2026-01-31T00:00:00.000Z'],
  ['2024-02-29T23:59:59.9Z', '2024-02-29T23:59:59.900Z'],
  ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
  ['2026-01-31T00:00:00+00:00', '2026-01-31T00:00:00.000Z'],
  ['2026-01-31T00:00:00-00:00', '2026-01-31T00:00:00.000Z'],
  ['2026-01-31T00:00:00+23:59', '2026-01-30T00:01:00.000Z'],
  ['2026-12-31T23:30:00-05:30', '2027-01-01T05:00:00.000Z'],
  ['2026-01-31T00:00:00.123456789Z', '2026-01-31T00:00:00.123Z'],
  [`2026-01-31T00:00:00.${'9'.repeat(400)}Z`, '2026-01-31T00:00:00.999Z'],
  ['1969-12-31T23:59:59.9999Z', '1969-12-31T23:59:59.999Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['0001-01-01T01:00:00+01:00', '0001-01-01T00:00:00.000Z'],
  ['0099-03-01T00:00:00Z', '0099-03-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ['9999-12-31T22:59:59.999-01:00', '9999-12-31T23:59:59.999Z'],
] as const

test.each(times)('%s is %s', (text, time) => {
  expect(parseTime(text)).toBe(time)
})

const none = [
  ['no year 0', '0000-01-01T00:00:00Z'],
  ['no year 0, though it is year 1 in UTC', '0000-12-31T23:30:00-01:00'],
  ['before year 1 by its offset', '0001-01-01T00:00:00+00:01'],
  ['after year 9999 by its offset', '9999-12-31T23:59:59.999-00:01'],
  ['five digits of a year', '10000-01-01T00:00:00Z'],
  ['a sign before the year', '+002026-01-01T00:00:00Z'],
  ['30 February', '2024-02-30T00:00:00Z'],
  ['29 February of a common year', '2026-02-29T00:00:00Z'],
  ['29 February of 1900', '1900-02-29T00:00:00Z'],
  ['31 April', '2026-04-31T00:00:00Z'],
  ['32 January', '2026-01-32T00:00:00Z'],
  ['day 0', '2026-01-00T00:00:00Z'],
  ['month 13', '2026-13-01T00:00:00Z'],
  ['month 0', '2026-00-01T00:00:00Z'],
  ['hour 24', '2026-01-01T24:00:00Z'],
  ['minute 60', '2026-01-01T00:60:00Z'],
  ['a leap second', '2016-12-31T23:59:60Z'],
  ['offset of 24 hours', '2026-01-01T00:00:00+24:00'],
  ['offset of 60 minutes', '2026-01-01T00:00:00+00:60'],
  ['no seconds', '2026-01-01T00:00Z'],
  ['no offset', '2026-01-01T00:00:00'],
  ['an offset without a colon', '2026-01-01T00:00:00+0100'],
  ['an offset of hours', '2026-01-01T00:00:00+01'],
  ['a comma', '2026-01-01T00:00:00,5Z'],
  ['a point and no digits', '2026-01-01T00:00:00.Z'],
  ['a space', '2026-01-01 00:00:00Z'],
  ['one digit', '2026-1-01T00:00:00Z'],
  ['a day', '2026-01-01'],
  ['space around', ' 2026-01-01T00:00:00Z'],
  ['a line break behind', '2026-01-01T00:00:00Z\n'],
  ['a minus that is none', '2026-01-01T00:00:00\u221201:00'],
  ['digits of another script', '\u0662\u0660\u0662\u0666-01-01T00:00:00Z'],
  ['a number', '1767225600'],
  ['nothing', ''],
] as const

test.each(none)('no time: %s', (_, text) => {
  expect(parseInstant(text)).toBeUndefined()
})

test('what is written of a time reads back as the same', () => {
  const min = Date.parse('0001-01-01T00:00:00.000Z')
  fc.assert(
    fc.property(fc.integer({ min, max: 253_402_300_799_999 }), (ms) => {
      expect(parseInstant(timeOf(ms) as string)).toEqual({ ms, finer: false })
    }),
  )
  expect([timeOf(min - 1), timeOf(253_402_300_800_000), timeOf(Number.NaN)]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test('a limit stands to every millisecond as the instant does', () => {
  const limit = (fraction: string) => sqlBoundOf(parseInstant(`2026-01-31T00:00:00.${fraction}Z`) as never)
  expect(limit('001')).toBe('2026-01-31T00:00:00.001Z')
  expect(limit('001000000000')).toBe('2026-01-31T00:00:00.001Z')
  for (const fraction of ['0010000001', '0015', '0019999999999'])
    expect(limit(fraction)).toBe('2026-01-31T00:00:00.0015Z')
})
