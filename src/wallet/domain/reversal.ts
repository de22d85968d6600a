/**
 * Whether a transaction may be taken back, whole or in part: never more than it moved, and never
 * what was a reversal itself. Pure.
 */
import type { Account } from './account'
import { type Decision, moveMoney, type Remarks, reject, type Transaction } from './movement'

export type ReverseTransaction = Remarks & {
  type: 'reversal'
  /** Of the transaction to be. */
  id: string
  reverses: string
  /** The accounts of the reversal: the original's, the other way round. */
  accountIdFrom: string
  accountIdTo: string
  /** Null for all that is left of it. */
  amountMinor: bigint | null
  /** The time of the decision when null. */
  effectiveAt: Date | null
}

/** A transaction, and how much of it was taken back so far. */
export type Original = { transaction: Transaction; reversedMinor: bigint }

/**
 * The money goes back the way it came, so it has to be there: `insufficient_funds` is about the
 * account that was paid.
 */
export function decideReversal(
  command: ReverseTransaction,
  { transaction, reversedMinor }: Original,
  parties: { from: Account; to: Account },
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
