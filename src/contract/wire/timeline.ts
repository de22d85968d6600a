/**
 * When an event passed the stages of the wallet, by the wallet's clock, as a header of its record. It is for
 * display: clocks differ, and a redelivered record may have other times, so nothing is decided by it.
 */
import type { ReceivedRecord } from './envelope'

/** An extension attribute of CloudEvents. Events that no request led to have none. */
export const timelineHeader = 'ce_timeline'

/** Milliseconds since 1970, with at most one decimal. Null where unknown. */
export type Timeline = {
  /** The request arrived. */
  requested: number
  /** The command was decided. */
  decided: number | null
  /** The database acknowledged the commit. */
  appended: number | null
  /** The relay took the event up for sending. */
  published: number | null
}

/** `1764284400123.4,0.8,3.9,5.2`: the request, and how many milliseconds after it each of the others was. */
export function encodeTimeline({ requested, decided, appended, published }: Timeline): string {
  const after = (ms: number | null) => (ms === null ? '' : tenths(ms - requested))
  return `${tenths(requested)},${after(decided)},${after(appended)},${after(published)}`
}

/** Undefined for anything that `encodeTimeline` does not write. Stages may be in any order. */
export function parseTimeline(text: string | null | undefined): Timeline | undefined {
  const match = text ? pattern.exec(text) : null
  if (!match) return undefined
  const requested = Number(match[1])
  const at = (after: string | undefined) => (after ? tenths(requested + Number(after)) : null)
  return { requested, decided: at(match[2]), appended: at(match[3]), published: at(match[4]) }
}

/** That of a received record. Of a repeated header the last counts. */
export function timelineOf(record: ReceivedRecord): Timeline | undefined {
  const value = record.lastHeaders
    ? record.lastHeaders([nameInBytes])[0]
    : record.headers?.findLast(([name]) => nameInBytes.equals(name))?.[1]
  return value && value.length <= lengthMax ? parseTimeline(Buffer.from(value).toString('latin1')) : undefined
}

const nameInBytes = Buffer.from(timelineHeader)
/** A time until the year 2286, and differences of up to 31 years. */
const pattern = /^(\d{1,13}(?:\.\d)?),(-?\d{1,12}(?:\.\d)?)?,(-?\d{1,12}(?:\.\d)?)?,(-?\d{1,12}(?:\.\d)?)?$/
const lengthMax = 64

const tenths = (ms: number): number => Math.round(ms * 10) / 10
