/** Transactions of several legs: their part of requests and responses. */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { actor, Currency, Money, time, uuid, version } from '../../contract/schemas'
import { InvalidValue, parseEach } from '../../platform/http/invalid'
import { closedObject, described, nullable, oneOf } from '../../platform/http/schemas'
import { worldIdOf } from '../domain/account'
import type { Posting, PostMoney } from '../domain/postings'
import { type Legs, legsMax, type TransactionKind } from '../domain/types'
import {
  Amount,
  CurrencyCode,
  effective,
  id,
  parseAmount,
  parseCurrency,
  parseRemarks,
  parseTime,
  remarks,
  showMoney,
} from './values'

const NewPosting = closedObject('NewPosting', {
  account_id_from: Type.Optional(id('The account to debit. `world` when absent: the money enters.')),
  account_id_to: Type.Optional(id('The account to credit. `world` when absent: the money leaves.')),
  amount: Amount,
})

export const NewPostings = closedObject('NewPostings', {
  postings: Type.Array(NewPosting, {
    minItems: 2,
    maxItems: legsMax,
    expected: `must be a list of 2 to ${legsMax} postings`,
    description: `2 to ${legsMax}, executed in this order: each has to be covered when it is its turn.`,
  }),
  currency: Type.Optional(CurrencyCode),
  ...remarks,
  ...effective,
})

const kinds = ['postings', 'reversal'] as const satisfies TransactionKind[]

export const PostingsResponse = closedObject('PostingsTransaction', {
  id: uuid('The transaction.'),
  postings: Type.Array(
    closedObject('Posting', {
      account_id_from: uuid('The account that was debited; `world` where the money entered.'),
      account_id_to: uuid('The account that was credited; `world` where the money left.'),
      amount: described(Money, 'What was moved.'),
      version_account_id_from: version('The version of the debited account that this leg led to.'),
      version_account_id_to: version('The version of the credited account that this leg led to.'),
    }),
    { minItems: 2, maxItems: legsMax, description: 'The legs, in the order in which they were executed.' },
  ),
  currency: Currency,
  kind: oneOf(kinds, '`reversal` when it takes back another transaction with postings.'),
  reference: nullable(Type.String(), "A text of the caller's own."),
  metadata: nullable(Type.Record(Type.String(), Type.Unknown()), "An object of the caller's own."),
  reverses: nullable(uuid('The transaction that this one takes back, as a whole.')),
  reversed: described(Money, 'What was taken back of it so far: nothing, or the sum of all legs.'),
  actor: actor('Who made it'),
  effective_at: time("From when it counts in the caller's books."),
  created_at: time('When it was written.'),
})

export function presentPostings(legs: Legs, reversedMinor: bigint): Static<typeof PostingsResponse> {
  const [first] = legs
  return {
    id: first.id,
    postings: legs.map((leg) => ({
      account_id_from: leg.accountIdFrom,
      account_id_to: leg.accountIdTo,
      amount: showMoney(leg.amountMinor, leg.currency),
      version_account_id_from: Number(leg.versionFrom),
      version_account_id_to: Number(leg.versionTo),
    })),
    currency: first.currency,
    kind: first.kind === 'reversal' ? first.kind : 'postings',
    reference: first.reference,
    metadata: first.metadata,
    reverses: first.reverses,
    reversed: showMoney(reversedMinor, first.currency),
    actor: first.actor,
    effective_at: first.effectiveAt.toISOString(),
    created_at: first.createdAt.toISOString(),
  }
}

/** Names every invalid leg, not the first only. */
export function parsePostings(body: Static<typeof NewPostings>, now: Date, at = '#'): PostMoney {
  const currency = parseCurrency(body.currency, at)
  return {
    type: 'postings',
    id: randomUUIDv7('hex', now),
    postings: parseEach(body.postings, (posting, leg) =>
      parsePosting(posting, currency, `${at}/postings/${leg}`),
    ),
    currency,
    effectiveAt: parseTime('effective_at', body.effective_at, at),
    ...parseRemarks(body, at),
  }
}

function parsePosting(
  { account_id_from: from, account_id_to: to, amount }: Static<typeof NewPosting>,
  currency: string,
  at: string,
): Posting {
  if (from === undefined && to === undefined)
    throw new InvalidValue({
      pointer: at,
      detail: 'a posting has an account_id_from, an account_id_to, or both',
    })
  return {
    kind: from === undefined ? 'deposit' : to === undefined ? 'withdrawal' : 'transfer',
    accountIdFrom: from?.toLowerCase() ?? worldIdOf(currency),
    accountIdTo: to?.toLowerCase() ?? worldIdOf(currency),
    amountMinor: parseAmount(amount, currency, at),
  }
}
