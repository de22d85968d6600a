/**
 * Decides reversals, whole or in part: in total never more than the transaction moved, and never
 * of a reversal. Postings are reversed as a whole, the last leg first. Pure.
 */
import { type Moved, moveMoney } from './movement'
import type { Accounts } from './parties'
import { asLegs, decideLegs } from './postings'
import { type Decision, type Legs, type Rejected, reject, type SentRemarks, type Transaction } from './types'

export type ReverseTransaction = SentRemarks & {
  type: 'reversal'
  /** Becomes that of the transaction. */
  id: string
  reverses: string
  /** The accounts of the original, or of its last leg, swapped. */
  accountIdFrom: string
  accountIdTo: string
  /** Both accounts of each other leg. */
  otherAccountIds?: string[]
  /** Null for the rest of the original. */
  amountMinor: bigint | null
  /** The time of the decision when null. */
  effectiveAt: Date | null
}

/** A transaction, and how much of it has been reversed. */
export type Original = { legs: Legs; reversedMinor: bigint }

/** The money comes from the account that was paid: `insufficient_funds` is about that one. */
export function decideReversal(
  command: ReverseTransaction,
  { legs, reversedMinor }: Original,
  accounts: Accounts,
  at: Date,
): Decision {
  const leftMinor = sumOf(legs) - reversedMinor
  const amountMinor = command.amountMinor ?? leftMinor
  if (command.amountMinor !== null && amountMinor <= 0n) return reject('amount_not_positive')
  if (legs[0].kind === 'reversal') return reject('transaction_not_reversible')
  if (command.amountMinor !== null && legs.length > 1) return reject('reversal_not_whole')
  if (leftMinor === 0n) return reject('transaction_already_reversed')
  if (amountMinor > leftMinor) return reject('amount_exceeds_original')

  if (legs.length === 1) return moveBack(command, { ...legs[0], amountMinor }, accounts, at)
  const decided = decideLegs(
    legs.toReversed().map((leg) => (now) => moveBack(command, leg, now, at)),
    accounts,
  )
  if (decided.accepted) return { accepted: true, facts: asLegs(decided.facts) }
  return { ...decided, leg: legs.length - 1 - decided.leg }
}

const sumOf = (legs: Legs): bigint => legs.reduce((sum, leg) => sum + leg.amountMinor, 0n)

function moveBack(
  command: ReverseTransaction,
  { amountMinor, accountIdFrom, accountIdTo, effectiveAt }: Transaction,
  accounts: Accounts,
  at: Date,
): Moved | Rejected {
  const [from, to] = [accounts.get(accountIdTo), accounts.get(accountIdFrom)]
  if (!from || !to) throw new Error(`missing accounts of ${command.type} ${command.id}`)
  const since = { time: effectiveAt, otherwise: 'effective_before_original' } as const
  return moveMoney({ from, to }, { ...command, kind: 'reversal', amountMinor, since }, at)
}
