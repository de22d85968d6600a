/**
 * Decides reversals, whole or in part: in total never more than the transaction moved, and never
 * of a reversal. Pure.
 */
import { moveMoney } from './movement'
import type { Parties } from './parties'
import { type Decision, type Remarks, reject, type Transaction } from './types'

export type ReverseTransaction = Remarks & {
  type: 'reversal'
  /** Becomes that of the transaction. */
  id: string
  reverses: string
  /** The accounts of the original, swapped. */
  accountIdFrom: string
  accountIdTo: string
  /** Null for the rest of the original. */
  amountMinor: bigint | null
  /** The time of the decision when null. */
  effectiveAt: Date | null
}

/** A transaction, and how much of it has been reversed. */
export type Original = { transaction: Transaction; reversedMinor: bigint }

/** The money comes from the account that was paid: `insufficient_funds` is about that one. */
export function decideReversal(
  command: ReverseTransaction,
  { transaction, reversedMinor }: Original,
  parties: Parties,
  at: Date,
): Decision {
  const leftMinor = transaction.amountMinor - reversedMinor
  const amountMinor = command.amountMinor ?? leftMinor
  if (command.amountMinor !== null && amountMinor <= 0n) return reject('amount_not_positive')
  if (transaction.kind === 'reversal') return reject('transaction_not_reversible')
  if (leftMinor === 0n) return reject('transaction_already_reversed')
  if (amountMinor > leftMinor) return reject('amount_exceeds_original')

  const since = { time: transaction.effectiveAt, otherwise: 'effective_before_original' } as const
  return moveMoney(parties, { ...command, kind: 'reversal', amountMinor, since }, at)
}
