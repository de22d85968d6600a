/**
 * Holds: money promised to somebody, which stays in the balance and is no longer available. A hold
 * ends once: captured whole or in part (the rest is free again), released, or expired. Every step
 * is an entry of the account that promised. Pure.
 */
import { type Account, entryBetween, evolve, isOverdrawn, isWithinDigits } from './account'
import { type Decision, moveMoney, type Remarks, reject } from './movement'
import type { Rejection } from './rejection'
import { expiryByDefault } from './timing'
import { findParties } from './transfer'

export const holdStatuses = ['placed', 'captured', 'released', 'expired'] as const
export type HoldStatus = (typeof holdStatuses)[number]

export type Hold = Remarks & {
  id: string
  accountIdFrom: string
  accountIdTo: string
  amountMinor: bigint
  currency: string
  expiresAt: Date
  createdAt: Date
  status: HoldStatus
  /** How much of it was paid in the end. Null while it is open, 0 when nothing was. */
  capturedMinor: bigint | null
  /** The transaction or the release that ended it. */
  endedBy: string | null
  endedAt: Date | null
  /** The numbers of the entries that the paying account got by it. */
  versionPlaced: bigint
  versionEnded: bigint | null
}

export type PlaceHold = Remarks & {
  type: 'hold'
  /** Of the hold to be. */
  id: string
  accountIdFrom: string
  accountIdTo: string
  /** Whether it is for a payment to the outside: then `accountIdTo` is `world`. */
  toWorld: boolean
  amountMinor: bigint
  currency: string
  /** Some days after it is placed when null. */
  expiresAt: Date | null
}

const open = {
  status: 'placed',
  capturedMinor: null,
  endedBy: null,
  endedAt: null,
  versionEnded: null,
} as const

/** The hold as it was before it ended. */
export const asPlaced = (hold: Hold): Hold => ({ ...hold, ...open })

type OfHold = { holdId: string; accountIdFrom: string; accountIdTo: string }

export type CaptureHold = Remarks &
  OfHold & {
    type: 'capture'
    /** Of the transaction to be. */
    id: string
    /** Null for all of it. */
    amountMinor: bigint | null
    /** The time of the decision when null. */
    effectiveAt: Date | null
  }

export type ReleaseHold = OfHold & {
  type: 'release'
  /** Of the release itself. */
  id: string
  reason: 'released' | 'expired'
}

export function decideHold(command: PlaceHold, accounts: ReadonlyMap<string, Account>, at: Date): Decision {
  const parties = findParties(command, accounts, { fromWorld: false, toWorld: command.toWorld })
  if (!parties.accepted) return parties
  const { from, to } = parties
  const after = evolve(from, { amountMinor: 0n, heldMinor: command.amountMinor })
  if (isOverdrawn(after)) return reject('insufficient_funds')
  if (!isWithinDigits(after)) return reject('balance_limit_reached')

  const { type: _, toWorld: __, ...asked } = command
  const hold: Hold = {
    ...asked,
    expiresAt: command.expiresAt ?? expiryByDefault(at),
    createdAt: at,
    versionPlaced: after.version,
    ...open,
  }
  const entries = [entryBetween(from, after)]
  return {
    accepted: true,
    fact: { type: 'hold', id: hold.id, entries, from: after, to, createdAt: at, hold },
  }
}

type Parties = { from: Account; to: Account }

/**
 * What was held is there, so only the payee can be in the way. Reference and metadata are those of
 * the hold where the capture has none.
 */
export function decideCapture(command: CaptureHold, hold: Hold, parties: Parties, at: Date): Decision {
  const { id, effectiveAt } = command
  const amountMinor = command.amountMinor ?? hold.amountMinor
  if (amountMinor <= 0n) return reject('amount_not_positive')
  if (hold.status !== 'placed') return reject(endings[hold.status])
  if (hold.expiresAt <= at) return reject('hold_expired')
  if (amountMinor > hold.amountMinor) return reject('amount_exceeds_hold')

  const reference = command.reference ?? hold.reference
  const metadata = command.metadata ?? hold.metadata
  const since = { time: hold.createdAt, otherwise: 'effective_before_hold' } as const
  const payment = { id, kind: 'capture', amountMinor, reference, metadata, effectiveAt, hold, since } as const
  const moved = moveMoney(parties, payment, at)
  if (!moved.accepted) return moved
  const ended = end(hold, {
    status: 'captured',
    capturedMinor: amountMinor,
    endedBy: id,
    at,
    from: moved.fact.from,
  })
  return { accepted: true, fact: { ...moved.fact, type: 'capture', hold: ended } }
}

/** A hold that is past its time can be released as well: until somebody has done so, it counts. */
export function decideRelease(
  { id, reason }: ReleaseHold,
  hold: Hold,
  { from, to }: Parties,
  at: Date,
): Decision {
  if (hold.status !== 'placed') return reject(endings[hold.status])
  const after = evolve(from, { amountMinor: 0n, heldMinor: -hold.amountMinor })
  const entries = [entryBetween(from, after)]
  const ended = end(hold, { status: reason, capturedMinor: 0n, endedBy: id, at, from: after })
  return {
    accepted: true,
    fact: { type: 'release', id, entries, from: after, to, createdAt: at, hold: ended },
  }
}

const endings = {
  captured: 'hold_already_captured',
  released: 'hold_already_released',
  expired: 'hold_expired',
} as const satisfies Record<Exclude<HoldStatus, 'placed'>, Rejection>

type Ending = { status: HoldStatus; capturedMinor: bigint; endedBy: string; at: Date; from: Account }

const end = (hold: Hold, { at, from, ...ending }: Ending): Hold => ({
  ...hold,
  ...ending,
  endedAt: at,
  versionEnded: from.version,
})
