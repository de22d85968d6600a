/**
 * Tells when consuming stands still although it could go on. Pure: it is shown what can be seen,
 * look by look.
 */
import { lagOf, type Offsets } from './offsets'

/** What one look showed. Undefined is what could not be found out. */
export type Observation = {
  atMs: number
  /** Where the logs end. */
  ends: Offsets | undefined
  /** How far they were applied. To be known, both the broker and the database have to have answered. */
  positions: Offsets | undefined
  /** The partitions of this process, as `topic/partition`; undefined while none were dealt to it. */
  mine: readonly string[] | undefined
}

export type StallState = {
  /** The last time at which something moved, or nothing was to be expected. */
  sinceMs: number
  positions: Offsets
  /** What is wrong, once it has lasted for too long. */
  stall: string | undefined
}

/**
 * For so long nothing may move, in milliseconds. Beyond every wait that ends by itself: for a lock,
 * for a dead member, for the broker's group.
 */
export const standstillMaxMs = 60_000

/** An absent broker or database excuses everything: that is told elsewhere, and what is known is served. */
export function detectStall(before: StallState, sight: Observation, maxMs: number): StallState {
  const { atMs, ends, mine, positions = before.positions } = sight
  const mineOf = (all: Offsets): Offsets => new Map([...all].filter(([place]) => mine?.includes(place)))
  const waiting = ends ? lagOf(mineOf(ends), positions) : 0n
  const isExcused = !sight.positions || (mine !== undefined && waiting === 0n)
  const hasMoved = mine?.some((place) => positions.get(place) !== before.positions.get(place))
  const sinceMs = isExcused || hasMoved ? atMs : before.sinceMs
  const complaint = mine
    ? `${waiting} records wait, and none was applied`
    : 'no partitions were dealt to this process, though the broker answers,'
  const seconds = Math.round((atMs - sinceMs) / 1000)
  return { sinceMs, positions, stall: atMs - sinceMs < maxMs ? undefined : `${complaint} for ${seconds} s` }
}
