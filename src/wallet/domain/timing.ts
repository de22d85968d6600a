/** What a command says of time, seen from the clock by which it is decided. Pure. */
import type { Command } from './book'

export const timeFaults = ['effective_at_in_future', 'expires_at_passed', 'expires_at_too_far'] as const
export type TimeFault = (typeof timeFaults)[number]

const dayMs = 24 * 60 * 60 * 1000
/** A hold that nobody ends, ends by itself after this time; none may last longer than a year. */
const holdMs = { byDefault: 7 * dayMs, longest: 366 * dayMs }

export function findTimeFault(command: Command, at: Date): TimeFault | undefined {
  // What is to count later is to be sent later: the balance would be ahead of the books.
  if ('effectiveAt' in command && command.effectiveAt && command.effectiveAt > at)
    return 'effective_at_in_future'
  if (command.type !== 'hold' || !command.expiresAt) return undefined
  const lastsMs = command.expiresAt.getTime() - at.getTime()
  if (lastsMs <= 0) return 'expires_at_passed'
  return lastsMs > holdMs.longest ? 'expires_at_too_far' : undefined
}

export const expiryByDefault = (at: Date): Date => new Date(at.getTime() + holdMs.byDefault)
