/** Moves money between two accounts: one entry each, which add up to zero. Pure. */
import { entryBetween, evolve, isOverdrawn, isWithinDigits } from './account'
import { type Parties, refusalByStatus } from './parties'
import type { Rejection } from './rejection'
import {
  type Hold,
  type Movement,
  type Rejected,
  reject,
  type SentRemarks,
  type Transaction,
  type TransactionKind,
} from './types'

type Terms = SentRemarks & {
  id: string
  kind: TransactionKind
  amountMinor: bigint
  /** The time of the decision when null. */
  effectiveAt: Date | null
  reverses?: string
  /** The hold that it captures, which ends: all of it is freed. */
  hold?: Hold
  /** The earliest time at which it may take effect, and the rejection of an earlier one. */
  since: { time: Date; otherwise: Rejection }
}

export type Moved = { accepted: true; facts: [Extract<Movement, { type: 'transaction' }>] }

export const later = (one: Date, other: Date): Date => (one < other ? other : one)

/** Checks status, time, funds and limits. The caller has checked the parties. */
export function moveMoney({ from, to }: Parties, terms: Terms, at: Date): Moved | Rejected {
  const { id, kind, amountMinor, reference, metadata, actor = null, hold, since } = terms
  const refusal = refusalByStatus({ from, to })
  if (refusal) return reject(refusal)
  if (terms.effectiveAt && terms.effectiveAt < since.time) return reject(since.otherwise)
  const after = {
    from: evolve(from, { amountMinor: -amountMinor, heldMinor: hold ? -hold.amountMinor : 0n }, at),
    to: evolve(to, { amountMinor, heldMinor: 0n }, at),
  }
  if (isOverdrawn(after.from)) return reject('insufficient_funds')
  if (!isWithinDigits(after.from) || !isWithinDigits(after.to)) return reject('balance_limit_reached')

  const transaction: Transaction = {
    id,
    leg: 0,
    kind,
    accountIdFrom: from.id,
    accountIdTo: to.id,
    versionFrom: after.from.version,
    versionTo: after.to.version,
    amountMinor,
    currency: from.currency,
    reference,
    metadata,
    reverses: terms.reverses ?? null,
    holdId: hold?.id ?? null,
    actor,
    // The clock may have been set back.
    effectiveAt: terms.effectiveAt ?? later(at, since.time),
    createdAt: at,
  }
  const entries = [entryBetween(from, after.from), entryBetween(to, after.to)]
  return {
    accepted: true,
    facts: [{ type: 'transaction', id, entries, ...after, createdAt: at, transaction }],
  }
}
