/**
 * Decides holds. A hold ends once: captured whole or in part (the rest is freed), released, or
 * expired. Until then it can be extended. Each step is an entry of the paying account. Pure.
 */
import { type Account, entryBetween, evolve, isOverdrawn, isWithinDigits } from './account'
import { changeOf } from './change'
import { moveMoney } from './movement'
import { type Accounts, findParties, type Parties, refusalByStatus } from './parties'
import type { Rejection } from './rejection'
import { expiryByDefault } from './timing'
import {
  type Decision,
  type Hold,
  type HoldStatus,
  type Remarks,
  reject,
  type Sent,
  type SentRemarks,
} from './types'

export type PlaceHold = SentRemarks & {
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
  endedActor: null,
} as const

/** The hold as it was before it ended. */
export const asOpen = (hold: Hold): Hold => ({ ...hold, ...open })

/** The hold as it was before it was extended or ended. */
export const asPlaced = (hold: Hold): Hold => ({
  ...asOpen(hold),
  expiresAt: hold.expiresAtPlaced ?? hold.expiresAt,
  expiresAtPlaced: null,
  versionExtended: null,
  extendedActor: null,
})

type OfHold = Sent & { holdId: string; accountIdFrom: string; accountIdTo: string }

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

export type ExtendHold = OfHold & {
  type: 'extension'
  /** Becomes that of the change. */
  id: string
  expiresAt: Date
}

export function decideHold(command: PlaceHold, accounts: Accounts, at: Date): Decision {
  const parties = findParties(command, accounts, { fromWorld: false, toWorld: command.toWorld })
  if (!parties.accepted) return parties
  const { from, to } = parties
  const refusal = refusalByStatus(parties)
  if (refusal) return reject(refusal)
  const after = evolve(from, { amountMinor: 0n, heldMinor: command.amountMinor }, at)
  if (isOverdrawn(after)) return reject('insufficient_funds')
  if (!isWithinDigits(after)) return reject('balance_limit_reached')

  const { type: _, toWorld: __, actor = null, ...terms } = command
  const hold: Hold = {
    ...terms,
    actor,
    expiresAt: command.expiresAt ?? expiryByDefault(at),
    expiresAtPlaced: null,
    createdAt: at,
    versionPlaced: after.version,
    versionExtended: null,
    extendedActor: null,
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
  const { id, actor = null, effectiveAt } = command
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
    actor,
    effectiveAt,
    hold,
    since,
  } as const
  const moved = moveMoney(parties, movement, at)
  if (!moved.accepted) return moved
  const captured = { status: 'captured', capturedMinor: amountMinor, endedBy: id, endedActor: actor } as const
  const [fact] = moved.facts
  const ended = endHold(hold, captured, fact.from, at)
  return { accepted: true, facts: [{ ...fact, type: 'capture', hold: ended }] }
}

/**
 * Also of a frozen account: nothing moves, and a freeze does not let the promise to the payee lapse.
 */
export function decideExtension(
  { id, actor = null, expiresAt }: ExtendHold,
  hold: Hold,
  { from, to }: Parties,
  at: Date,
): Decision {
  if (hold.status !== 'placed') return reject(rejectionOfEnded[hold.status])
  if (hold.expiresAt <= at) return reject('hold_expired')
  if (expiresAt < hold.expiresAt) return reject('expires_at_not_later')
  if (expiresAt.getTime() === hold.expiresAt.getTime()) return { accepted: true, facts: [] }

  const after = evolve(from, { amountMinor: 0n, heldMinor: 0n }, at)
  const what = { id, kind: 'expiry', holdId: hold.id, expiresAt, reference: null, actor } as const
  const change = changeOf(after, what, at)
  const extended = {
    ...hold,
    expiresAt,
    expiresAtPlaced: hold.expiresAtPlaced ?? hold.expiresAt,
    versionExtended: after.version,
    extendedActor: actor,
  }
  const entries = [entryBetween(from, after)]
  const fact = { type: 'extension', id, entries, from: after, to, createdAt: at, hold: extended } as const
  return { accepted: true, facts: [{ ...fact, change }] }
}

/**
 * By its owner also past its expiry: a hold counts until a release or the expiry sweep ends it. The
 * sweep may have read it before it was extended: then nothing happens.
 */
export function decideRelease(
  { id, reason, actor = null }: ReleaseHold,
  hold: Hold,
  { from, to }: Parties,
  at: Date,
): Decision {
  if (hold.status !== 'placed') return reject(rejectionOfEnded[hold.status])
  if (reason === 'expired' && hold.expiresAt > at) return { accepted: true, facts: [] }
  const after = evolve(from, { amountMinor: 0n, heldMinor: -hold.amountMinor }, at)
  const entries = [entryBetween(from, after)]
  const end = { status: reason, capturedMinor: 0n, endedBy: id, endedActor: actor }
  const ended = endHold(hold, end, after, at)
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
  end: Pick<Hold, 'status' | 'capturedMinor' | 'endedBy' | 'endedActor'>,
  { version }: Account,
  at: Date,
): Hold => ({ ...hold, ...end, endedAt: at, versionEnded: version })
