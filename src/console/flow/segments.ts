/** From the times of hops to what is drawn of them. Pure. */
import { type HopName, type Hops, hopNames } from '../lanes.ts'

/** The way from one known hop to the next known one. */
export type Segment = {
  from: HopName
  to: HopName
  /** Negative where the clocks of the two services differ. */
  ms: number
  /** Of the width, in all 1. */
  share: number
  /** It is longer than it is drawn. */
  isCut: boolean
  /** Hops in between are not known. */
  isGap: boolean
}

/** Waiting longer than so many times the median is drawn as if it were that long. */
const cutAt = 10
/** What took no time can be seen, too. */
const shareMin = 0.015

export function segmentsOf(hops: Hops): Segment[] {
  const known = hopNames.filter((name) => hops[name] !== null)
  const steps = known.slice(1).map((to, index) => {
    const from = known[index] as HopName
    const ms = tenths((hops[to] as number) - (hops[from] as number))
    return { from, to, ms, isGap: hopNames.indexOf(to) - hopNames.indexOf(from) > 1 }
  })
  const longest = cutAt * medianOf(steps.map(({ ms }) => ms).filter((ms) => ms > 0))
  const drawn = steps.map(({ ms }) => Math.min(Math.max(0, ms), longest))
  const total = drawn.reduce((sum, ms) => sum + ms, 0)
  const rest = 1 - shareMin * steps.length
  return steps.map((step, index) => ({
    ...step,
    share: total === 0 ? 1 / steps.length : shareMin + (rest * (drawn[index] as number)) / total,
    isCut: step.ms > longest,
  }))
}

export type Step = { name: HopName; at: number | null; sinceMs: number | null }

/** Each hop with the time since the known one before it. */
export function stepsOf(hops: Hops): Step[] {
  let before: number | null = null
  return hopNames.map((name) => {
    const at = hops[name]
    const sinceMs = at === null || before === null ? null : tenths(at - before)
    before = at ?? before
    return { name, at, sinceMs }
  })
}

/** From the first known hop to the last one; null with fewer than two. */
export function totalMs(hops: Hops): number | null {
  const known = hopNames.flatMap((name) => hops[name] ?? [])
  return known.length < 2 ? null : tenths((known.at(-1) as number) - (known[0] as number))
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10

/** The lower one of two. */
function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}
