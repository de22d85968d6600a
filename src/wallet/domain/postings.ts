/**
 * Decides transactions of several legs: each moves an amount between two accounts, and all are
 * executed or none is. They are decided in order, each over what the one before it left. Pure.
 */
import type { Moved } from './movement'
import type { Accounts } from './parties'
import { decideTransfer } from './transfer'
import type { Decision, Legs, Movement, Rejected, SentRemarks, TransferKind } from './types'

/** A deposit comes from `world`, a withdrawal goes there. */
export type Posting = {
  kind: TransferKind
  accountIdFrom: string
  accountIdTo: string
  amountMinor: bigint
}

export type PostMoney = SentRemarks & {
  type: 'postings'
  /** Becomes that of the transaction. */
  id: string
  postings: Posting[]
  currency: string
  /** The time of the decision when null. */
  effectiveAt: Date | null
}

export function decidePostings(command: PostMoney, accounts: Accounts, at: Date): Decision {
  const { type: kind, postings, ...shared } = command
  const decided = decideLegs(
    postings.map((posting) => (now) => decideTransfer({ type: 'transfer', ...shared, ...posting }, now, at)),
    accounts,
  )
  if (!decided.accepted) return decided
  const facts = decided.facts.map((fact) => ({ ...fact, transaction: { ...fact.transaction, kind } }))
  return { accepted: true, facts: asLegs(facts) }
}

type Leg = Moved['facts'][0]

/** Decides one after the other. Only the first that is rejected is reported. */
export function decideLegs(
  legs: ((accounts: Accounts) => Moved | Rejected)[],
  before: Accounts,
): { accepted: true; facts: Leg[] } | Required<Rejected> {
  const changed = new Map<string, Leg['from']>()
  const accounts = { get: (id: string) => changed.get(id) ?? before.get(id) }
  const facts: Leg[] = []
  for (const [leg, decide] of legs.entries()) {
    const decision = decide(accounts)
    if (!decision.accepted) return { ...decision, leg }
    const [fact] = decision.facts
    changed.set(fact.from.id, fact.from).set(fact.to.id, fact.to)
    facts.push(fact)
  }
  return { accepted: true, facts }
}

/** The legs of one transaction. They count from the same time: the one at which all of them may. */
export function asLegs(facts: Leg[]): Extract<Movement, { type: 'leg' }>[] {
  const effectiveAt = new Date(Math.max(...facts.map(({ transaction }) => transaction.effectiveAt.getTime())))
  const legs = facts.map(({ transaction }, leg) => ({ ...transaction, leg, effectiveAt }))
  return legs.map((transaction, leg) => ({
    ...(facts[leg] as Leg),
    type: 'leg',
    transaction,
    whole: leg === 0 ? (legs as unknown as Legs) : null,
  }))
}
