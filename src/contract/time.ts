/**
 * Converts times between RFC 3339 at the edges and whole milliseconds inside. A text that is no
 * instant of the years 0001 to 9999 is refused, never moved to a neighbour: no 30 February, no hour
 * 24, no leap second.
 */

/** `ms` since 1970, rounded down; `finer` when the text has more digits than that. */
export type Instant = { ms: number; finer: boolean }

const pattern = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i
const earliestMs = Date.parse('0001-01-01T00:00:00.000Z')
const latestMs = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * Accepts any number of fractional digits, either case of `T` and `Z`, and offsets up to 23:59. The
 * year has to be in range as written and in UTC.
 */
export function parseInstant(text: string): Instant | undefined {
  const match = pattern.exec(text)
  if (!match) return undefined
  const [, date, time, fraction = '', sign, hours = '0', minutes = '0'] = match
  const written = `${date}T${time}.000Z`
  const writtenMs = Date.parse(written)
  // Dates that do not exist, such as 30 February, are parsed as a neighbour.
  if (timeOf(writtenMs) !== written) return undefined

  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1)
  const ms = writtenMs + Number(fraction.slice(0, 3).padEnd(3, '0')) - offsetMs
  return timeOf(ms) === undefined ? undefined : { ms, finer: /[1-9]/.test(fraction.slice(3)) }
}

/** RFC 3339, UTC, with milliseconds; undefined outside the years 1 to 9999. */
export const timeOf = (ms: number): string | undefined =>
  ms >= earliestMs && ms <= latestMs ? new Date(ms).toISOString() : undefined

/** The timestamp of a record. Kafka's -1 means none, and no record is older than 1970. */
export const recordTime = (ms: number): string | undefined => (ms > 0 ? timeOf(ms) : undefined)

/** Like `timeOf`, truncated to milliseconds. */
export function parseTime(text: string): string | undefined {
  // Our own format: much faster to recognize than to parse.
  if (text.length === 24 && timeOf(Date.parse(text)) === text) return text
  const instant = parseInstant(text)
  return instant && timeOf(instant.ms)
}

/** The detail for anything else. */
export const timeExpected = 'must be an RFC 3339 time such as 2026-01-31T00:00:00Z'

/**
 * A bound for comparing with stored times, which are whole milliseconds: each of them is before, at or
 * after it exactly as it is before, at or after the instant. Half a millisecond stands for any finer
 * fraction, within PostgreSQL's precision.
 */
export const sqlBoundOf = ({ ms, finer }: Instant): string =>
  new Date(ms).toISOString().replace('Z', finer ? '5Z' : 'Z')
