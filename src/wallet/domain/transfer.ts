/** Decides transfers, deposits and withdrawals. Pure. */
import { isWorld } from './account'
import { later, type Moved, moveMoney } from './movement'
import { type Accounts, findParties } from './parties'
import type { Rejected, SentRemarks, TransferKind } from './types'

export type TransferMoney = SentRemarks & {
  type: 'transfer'
  /** Becomes that of the transaction. */
  id: string
  kind: TransferKind
  accountIdFrom: string
  accountIdTo: string
  amountMinor: bigint
  currency: string
  /** The time of the decision when null. */
  effectiveAt: Date | null
}

export function decideTransfer(command: TransferMoney, accounts: Accounts, at: Date): Moved | Rejected {
  const { kind } = command
  const parties = findParties(command, accounts, {
    fromWorld: kind === 'deposit',
    toWorld: kind === 'withdrawal',
  })
  if (!parties.accepted) return parties
  // `world` has always existed, also before its row was written.
  const [one, other] = [parties.from, parties.to]
    .filter((party) => !isWorld(party))
    .map(({ createdAt }) => createdAt)
  const time = later(one ?? at, other ?? one ?? at)
  return moveMoney(parties, { ...command, since: { time, otherwise: 'effective_before_opening' } }, at)
}
