/** Checks the times of a command against the clock that it is decided by. Pure. */

export const timeFaults = ['effective_at_in_future', 'expires_at_passed', 'expires_at_too_far'] as const
export type TimeFault = (typeof timeFaults)[number]

const dayMs = 24 * 60 * 60 * 1000
const holdMs = { byDefault: 7 * dayMs, longest: 366 * dayMs }

type Timed = { id: string; effectiveAt?: Date | null; expiresAt?: Date | null }

export function findTimeFault({ effectiveAt, expiresAt }: Timed, at: Date): TimeFault | undefined {
  // The balance changes now: a later time would put it ahead of the books.
  if (effectiveAt && effectiveAt > at) return 'effective_at_in_future'
  if (!expiresAt) return undefined
  const lastsMs = expiresAt.getTime() - at.getTime()
  if (lastsMs <= 0) return 'expires_at_passed'
  return lastsMs > holdMs.longest ? 'expires_at_too_far' : undefined
}

/** When a hold expires that was placed without `expires_at`. */
export const expiryByDefault = (at: Date): Date => new Date(at.getTime() + holdMs.byDefault)
