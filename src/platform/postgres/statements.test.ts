import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { rfc3339 } from './statements'

/** The server's format: without trailing zeros. */
const written = (time: Date) => {
  const [date, clock = ''] = time.toISOString().slice(0, -1).split('T')
  return `${date} ${clock.replace(/0+$/, '').padEnd(8, '0').replace(/\.$/, '')}+00`
}

test('times with any milliseconds are converted exactly', () => {
  expect(rfc3339('2024-01-27 17:13:48.5+00')).toBe('2024-01-27T17:13:48.500Z')
  expect(rfc3339('0001-01-01 00:00:00+00')).toBe('0001-01-01T00:00:00.000Z')
  const times = fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  })
  fc.assert(fc.property(times, (time) => expect(rfc3339(written(time))).toBe(time.toISOString())))
})
