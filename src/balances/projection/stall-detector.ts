/** Detects a consumer that makes no progress although it could. Pure: one observation after another. */
import { lagOf, type Offsets } from './offsets'

/** Undefined is what could not be found out. */
export type Observation = {
  atMs: number
  /** Log ends. */
  ends: Offsets | undefined
  /** Next offsets to apply. Known only when both broker and database answered. */
  applied: Offsets | undefined
  /** Partitions of this process, as `topic/partition`; undefined while none are assigned. */
  assigned: readonly string[] | undefined
}

export type StallState = {
  /** The last time at which there was progress, or none was due. */
  sinceMs: number
  applied: Offsets
  /** Set once it has lasted too long. */
  stall: string | undefined
}

/**
 * How long there may be no progress, in milliseconds. Beyond every wait that ends by itself: for a
 * lock, a dead member, or the group coordinator.
 */
export const standstillMaxMs = 60_000

/**
 * Not a stall while broker or database is down: their own checks report that, and reads keep being
 * served.
 */
export function detectStall(before: StallState, observation: Observation, maxMs: number): StallState {
  const { atMs, ends, assigned, applied = before.applied } = observation
  const isOurs = ([partition]: [string, bigint]) => assigned?.includes(partition)
  const lag = ends ? lagOf(new Map([...ends].filter(isOurs)), applied) : 0n
  const isExcused = !observation.applied || (assigned !== undefined && lag === 0n)
  const hasMoved = assigned?.some((partition) => applied.get(partition) !== before.applied.get(partition))
  const sinceMs = isExcused || hasMoved ? atMs : before.sinceMs
  const seconds = Math.round((atMs - sinceMs) / 1000)
  const stall = assigned
    ? `no progress for ${seconds} s with ${lag} records to apply`
    : `no partitions assigned for ${seconds} s although the broker is reachable`
  return { sinceMs, applied, stall: atMs - sinceMs < maxMs ? undefined : stall }
}
