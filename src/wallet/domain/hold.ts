/**
 * Decides holds. A hold ends once: captured whole or in part (the rest is freed), released, or
 * expired. Each step is an entry of the paying account. Pure.
 */
import { type Account, entryBetween, evolve, isOverdrawn, isWithinDigits } from './account'
import { moveMoney } from './movement'
import { type Accounts, findParties, type Parties } from './parties'
import type { Rejection } from './rejection'
import { expiryByDefault } from './timing'
import { type Decision, type Hold, type HoldStatus, type Remarks, reject } from './types'

export type PlaceHold = Remarks & {
  type: 'hold'
  /** Becomes that of the hold. */
  id: string
  accountIdFrom: string
  accountIdTo: string
  /** Whether the payee is outside the wallet: then `accountIdTo` is `world`. */
  toWorld: boolean
  amountMinor: bigint
  currency: string
  /** See `expiryByDefault` when null. */
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
    /** Becomes that of the transaction. */
    id: string
    /** Null for the whole hold. */
    amountMinor: bigint | null
    /** The time of the decision when null. */
    effectiveAt: Date | null
  }

export type ReleaseHold = OfHold & {
  type: 'release'
  id: string
  reason: 'released' | 'expired'
}

export function decideHold(command: PlaceHold, accounts: Accounts, at: Date): Decision {
  const parties = findParties(command, accounts, { fromWorld: false, toWorld: command.toWorld })
  if (!parties.accepted) return parties
  const { from, to } = parties
  const after = evolve(from, { amountMinor: 0n, heldMinor: command.amountMinor })
  if (isOverdrawn(after)) return reject('insufficient_funds')
  if (!isWithinDigits(after)) return reject('balance_limit_reached')

  const { type: _, toWorld: __, ...terms } = command
  const hold: Hold = {
    ...terms,
    expiresAt: command.expiresAt ?? expiryByDefault(at),
    createdAt: at,
    versionPlaced: after.version,
    ...open,
  }
  const entries = [entryBetween(from, after)]
  return {
    accepted: true,
    facts: [{ type: 'hold', id: hold.id, entries, from: after, to, createdAt: at, hold }],
  }
}

/**
 * The funds are held already, so only the payee's limit can reject it. Reference and metadata
 * default to those of the hold.
 */
export function decideCapture(command: CaptureHold, hold: Hold, parties: Parties, at: Date): Decision {
  const { id, effectiveAt } = command
  const amountMinor = command.amountMinor ?? hold.amountMinor
  if (amountMinor <= 0n) return reject('amount_not_positive')
  if (hold.status !== 'placed') return reject(rejectionOfEnded[hold.status])
  if (hold.expiresAt <= at) return reject('hold_expired')
  if (amountMinor > hold.amountMinor) return reject('amount_exceeds_hold')

  const reference = command.reference ?? hold.reference
  const metadata = command.metadata ?? hold.metadata
  const since = { time: hold.createdAt, otherwise: 'effective_before_hold' } as const
  const movement = {
    id,
    kind: 'capture',
    amountMinor,
    reference,
    metadata,
    effectiveAt,
    hold,
    since,
  } as const
  const moved = moveMoney(parties, movement, at)
  if (!moved.accepted) return moved
  const captured = { status: 'captured', capturedMinor: amountMinor, endedBy: id } as const
  const [fact] = moved.facts
  const ended = endHold(hold, captured, fact.from, at)
  return { accepted: true, facts: [{ ...fact, type: 'capture', hold: ended }] }
}

/** Also past its expiry: a hold counts until a release or the expiry sweep ends it. */
export function decideRelease(
  { id, reason }: ReleaseHold,
  hold: Hold,
  { from, to }: Parties,
  at: Date,
): Decision {
  if (hold.status !== 'placed') return reject(rejectionOfEnded[hold.status])
  const after = evolve(from, { amountMinor: 0n, heldMinor: -hold.amountMinor })
  const entries = [entryBetween(from, after)]
  const ended = endHold(hold, { status: reason, capturedMinor: 0n, endedBy: id }, after, at)
  return {
    accepted: true,
    facts: [{ type: 'release', id, entries, from: after, to, createdAt: at, hold: ended }],
  }
}

const rejectionOfEnded = {
  captured: 'hold_already_captured',
  released: 'hold_already_released',
  expired: 'hold_expired',
} as const satisfies Record<Exclude<HoldStatus, 'placed'>, Rejection>

const endHold = (
  hold: Hold,
  end: Pick<Hold, 'status' | 'capturedMinor' | 'endedBy'>,
  { version }: Account,
  at: Date,
): Hold => ({ ...hold, ...end, endedAt: at, versionEnded: version })
