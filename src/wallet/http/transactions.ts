/** Transactions: transfers, deposits, withdrawals and reversals, and the delivery of their events. */

import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import type { KafkaConfig } from '../../config/config'
import { events } from '../../contract/events/events'
import { isUuid } from '../../contract/id'
import { problems } from '../../contract/problems'
import { actor, Currency, Money, time, uuid, version } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { responseHeaders, sometimes } from '../../platform/http/headers'
import type { Subject } from '../../platform/http/principal'
import { answer, route } from '../../platform/http/route'
import { closedObject, described, nullable, oneOf } from '../../platform/http/schemas'
import { worldIdOf } from '../domain/account'
import type { TransferMoney } from '../domain/transfer'
import { type Legs, type Transaction, transactionKinds } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findTransaction } from '../ledger/store/rows'
import { type Delivery, findDelivery } from '../outbox/deliveries-store'
import { waitCauses } from '../outbox/waiting'
import { findReversible } from '../queries/transactions-store'
import {
  answerCommand,
  type Call,
  commandRoute,
  consistencyToken,
  invalidAmount,
  movementProblems,
  type Responder,
  versionsOf,
} from './commands'
import { transactionExamples } from './examples/transactions'
import { NewPostings, PostingsResponse, parsePostings, presentPostings } from './postings'
import { payersIn, payersOf } from './subjects'
import {
  findById,
  id,
  movement,
  parseAmount,
  parseCurrency,
  parseRemarks,
  parseTime,
  part,
  pathId,
  showMoney,
} from './values'

const NewMovement = closedObject('NewMovement', movement)
const NewTransfer = closedObject('NewTransfer', {
  account_id_from: id('The account to debit.'),
  account_id_to: id('The account to credit.'),
  ...movement,
})
const NewTransaction = Type.Union([NewTransfer, NewPostings])
const NewReversal = closedObject('NewReversal', part)

const singleKinds = transactionKinds.filter((kind) => kind !== 'postings')

export const TransactionResponse = closedObject('Transaction', {
  id: uuid('The transaction.'),
  account_id_from: uuid('The account that was debited; `world` for a deposit.'),
  account_id_to: uuid('The account that was credited; `world` for a withdrawal.'),
  amount: described(Money, 'What was moved.'),
  currency: Currency,
  kind: oneOf(singleKinds, 'What moved the money.'),
  reference: nullable(Type.String(), "A text of the caller's own."),
  metadata: nullable(Type.Record(Type.String(), Type.Unknown()), "An object of the caller's own."),
  reverses: nullable(uuid('The transaction that this one takes back, whole or in part.')),
  hold_id: nullable(uuid('The hold that this one captures.')),
  actor: actor('Who made it'),
  reversed: described(
    Money,
    'What was taken back of it so far, by the transactions that have it as `reverses`.',
  ),
  version_account_id_from: version('The version of the debited account that this one led to.'),
  version_account_id_to: version('The version of the credited account that this one led to.'),
  effective_at: time("From when it counts in the caller's books."),
  created_at: time('When it was written.'),
})

/** Postings and their reversals have legs, all others a single pair of accounts. */
export const AnyTransactionResponse = Type.Union([TransactionResponse, PostingsResponse])

const DeliveryResponse = closedObject('Delivery', {
  transaction_id: uuid('The transaction.'),
  committed_at: time('When it was committed.'),
  status: oneOf(['pending', 'published'], '`pending` while an event waits in the outbox.'),
  events: Type.Array(
    closedObject('EventDelivery', {
      name: Type.String({ description: 'The kind of event.' }),
      leg: nullable(Type.Integer({ minimum: 0 }), 'Which posting it is about. Null where it is about all.'),
      topic: Type.String({ description: 'Its topic on the broker.' }),
      status: oneOf(['pending', 'published'], '`pending` while it waits in the outbox.'),
      partition: nullable(Type.Integer({ minimum: 0 }), 'Null while pending, and when no longer recorded.'),
      offset: nullable(Type.Integer({ minimum: 0 }), 'Null while pending, and when no longer recorded.'),
      published_at: nullable(time('Null while pending, and when no longer recorded.')),
      waiting_seconds: nullable(Type.Number(), 'Since the commit. Null once published.'),
    }),
    { description: 'The events of the transaction.' },
  ),
  waits_for: nullable(
    closedObject('DeliveryWait', {
      cause: oneOf(
        waitCauses,
        '`relay`: no process publishes. `broker`: it does not answer. `send`: its turn, or a failure.',
      ),
      detail: nullable(Type.String(), 'For people: why sends fail, where they do.'),
    }),
    'What a pending event waits for. Null once all are published.',
  ),
})

/** Nothing is reversed of a new one. */
export const presentTransaction = (legs: Legs, reversedMinor = 0n): Static<typeof AnyTransactionResponse> =>
  legs.length > 1 ? presentPostings(legs, reversedMinor) : presentSingle(legs[0], reversedMinor)

const presentSingle = (
  transaction: Transaction,
  reversedMinor: bigint,
): Static<typeof TransactionResponse> => ({
  id: transaction.id,
  account_id_from: transaction.accountIdFrom,
  account_id_to: transaction.accountIdTo,
  amount: showMoney(transaction.amountMinor, transaction.currency),
  currency: transaction.currency,
  kind: transaction.kind as (typeof singleKinds)[number],
  reference: transaction.reference,
  metadata: transaction.metadata,
  reverses: transaction.reverses,
  hold_id: transaction.holdId,
  actor: transaction.actor,
  reversed: showMoney(reversedMinor, transaction.currency),
  version_account_id_from: Number(transaction.versionFrom),
  version_account_id_to: Number(transaction.versionTo),
  effective_at: transaction.effectiveAt.toISOString(),
  created_at: transaction.createdAt.toISOString(),
})

/** An event without coordinates that is not pending was published, and where is no longer recorded. */
async function presentDelivery(
  id: string,
  { committedAt, readAt, isPending: hasPending, legs, records }: Delivery,
  { topicPrefix, waiting }: { topicPrefix: string; waiting: Wallet['waiting'] },
): Promise<Static<typeof DeliveryResponse>> {
  const deliveries = eventsOf(legs).map(({ name, topic, leg }) => {
    const record = records.find((one) => one.topic === topic && one.leg === (leg ?? 0))
    const isPending = !record && hasPending
    return {
      name,
      leg,
      topic: topicPrefix + topic,
      status: isPending ? ('pending' as const) : ('published' as const),
      partition: record?.partition ?? null,
      offset: record === undefined ? null : Number(record.offset),
      published_at: record?.publishedAt.toISOString() ?? null,
      waiting_seconds: isPending ? (readAt.getTime() - committedAt.getTime()) / 1000 : null,
    }
  })
  const status = deliveries.some((event) => event.status === 'pending') ? 'pending' : 'published'
  return {
    ...{ transaction_id: id, committed_at: committedAt.toISOString(), status, events: deliveries },
    waits_for: status === 'pending' ? await waiting() : null,
  }
}

function eventsOf(legs: number) {
  const { TransactionCreated, PostingsCreated, BalanceUpdated } = events
  if (legs === 1) return [TransactionCreated, BalanceUpdated].map((event) => ({ ...event, leg: null }))
  const balances = Array.from({ length: legs }, (_, leg) => ({ ...BalanceUpdated, leg }))
  return [{ ...PostingsCreated, leg: null }, ...balances]
}

/** 201 with the transaction, and a token for reading what it did. */
export const respondWithTransaction: Responder<'transaction'> = {
  kind: 'transaction',
  present: ({ legs }) => ({
    location: `/transactions/${legs[0].id}`,
    versions: versionsOf(legs),
    body: presentTransaction(legs),
  }),
}

export const transactionTag = {
  name: 'Transactions',
  description: 'Transfers, deposits, withdrawals and reversals. Each is durable once it is answered.',
}

/** Of everything that moves money between two accounts. */
export const movementAnswer = answer(TransactionResponse, {
  headers: [responseHeaders.location, consistencyToken],
})

/** A token names no more than so many accounts. */
const anyMovementAnswer = answer(AnyTransactionResponse, {
  headers: [responseHeaders.location, sometimes(consistencyToken)],
})

const reversalRoute = (wallet: Wallet) =>
  commandRoute({
    method: 'POST',
    path: '/transactions/:id/reverse',
    id: 'reverseTransaction',
    scope: 'write',
    tag: transactionTag,
    summary: 'Reverses a transaction, whole or in part.',
    description:
      'One with postings is reversed as a whole, the last posting first. An error in `errors` names the ' +
      'posting, as a pointer into that transaction.',
    params: { id: pathId('The transaction to take back.') },
    body: NewReversal,
    responses: { 201: anyMovementAnswer },
    problems: [
      invalidAmount,
      problems.transactionNotFound,
      problems.notReversible,
      problems.reversalNotWhole,
      problems.alreadyReversed,
      problems.amountExceedsOriginal,
      problems.accountClosed,
      problems.accountFrozen,
      problems.insufficientFunds,
      problems.balanceLimit,
      problems.effectiveTooEarly,
    ],
    examples: transactionExamples.reverseTransaction,
    async subjects({ params }) {
      const legs = (await findById(params.id, (id) => findTransaction(wallet.database, id))) ?? []
      return legs.flatMap((leg) =>
        payersOf({ ...leg, accountIdFrom: leg.accountIdTo, accountIdTo: leg.accountIdFrom }),
      )
    },
    async handle({ body, params, call }) {
      const original = await findById(params.id, (id) => findTransaction(wallet.database, id))
      if (!original) return refuseTransaction(call.request, params.id)
      const { currency } = original[0]
      const command = { ...reversalOf(original), ...parsePart(body, currency, wallet.clock()) }
      return answerCommand(wallet, call, { command, currency, body }, respondWithTransaction)
    },
  })

function reversalOf(legs: Legs) {
  const [{ id: reverses }] = legs
  const { accountIdFrom, accountIdTo } = legs.at(-1) ?? legs[0]
  const others = legs.slice(0, -1).flatMap((leg) => [leg.accountIdFrom, leg.accountIdTo])
  return {
    type: 'reversal' as const,
    reverses,
    accountIdFrom: accountIdTo,
    accountIdTo: accountIdFrom,
    ...(others.length > 0 && { otherAccountIds: others }),
  }
}

/** Either side of a transaction may read it, whole. */
async function partiesOf(wallet: Wallet, id: string): Promise<Subject[]> {
  const legs = await findById(id, (canonical) => findTransaction(wallet.database, canonical))
  const accounts = legs?.flatMap((leg) => [leg.accountIdFrom, leg.accountIdTo]) ?? []
  return accounts.length > 0 ? [{ anyOf: accounts.map((account) => ({ account })) }] : []
}

export const transactionRoutes = (wallet: Wallet, kafka: Pick<KafkaConfig, 'topicPrefix'>) => [
  ...transferRoutes(wallet),
  reversalRoute(wallet),
  route({
    method: 'GET',
    path: '/transactions/:id',
    id: 'getTransaction',
    scope: 'read',
    tag: transactionTag,
    summary: 'A transaction.',
    params: { id: pathId('The transaction.') },
    responses: { 200: AnyTransactionResponse },
    problems: [problems.transactionNotFound],
    examples: transactionExamples.getTransaction,
    subjects: ({ params }) => partiesOf(wallet, params.id),
    async handle({ params, request }) {
      const found = await findById(params.id, (id) => findReversible(wallet.database, id))
      return found
        ? Response.json(presentTransaction(found.legs, found.reversedMinor))
        : refuseTransaction(request, params.id)
    },
  }),
  route({
    method: 'GET',
    path: '/transactions/:id/delivery',
    id: 'getDelivery',
    scope: 'read',
    tag: transactionTag,
    summary: 'When a transaction was committed, and where its events are on the broker.',
    params: { id: pathId('The transaction.') },
    responses: { 200: DeliveryResponse },
    problems: [problems.transactionNotFound],
    examples: transactionExamples.getDelivery,
    subjects: ({ params }) => partiesOf(wallet, params.id),
    async handle({ params, request }) {
      const delivery = await findById(params.id, (id) => findDelivery(wallet.database.sql, id))
      if (!delivery) return refuseTransaction(request, params.id)
      const { waiting } = wallet
      return Response.json(await presentDelivery(params.id.toLowerCase(), delivery, { ...kafka, waiting }))
    },
  }),
]

const transferRoutes = (wallet: Wallet) => [
  commandRoute({
    method: 'POST',
    path: '/transactions',
    id: 'createTransfer',
    scope: 'write',
    tag: transactionTag,
    summary: 'Transfers money between two accounts, or in several postings at once.',
    description:
      'Postings are executed in order, each has to be covered when it is its turn, and all are executed or ' +
      'none is. They share an id, a reference, metadata and a time. An error in `errors` names the posting.',
    body: NewTransaction,
    responses: { 201: anyMovementAnswer },
    problems: [...movementProblems, problems.sameAccount, problems.effectiveTooEarly],
    examples: transactionExamples.createTransfer,
    subjects: ({ body }) =>
      'postings' in body ? body.postings.flatMap((one) => payersIn(one, body.currency)) : payersIn(body),
    handle({ body, call }) {
      if (!('postings' in body)) return answerTransfer(wallet, call, { ...body, kind: 'transfer' })
      const command = parsePostings(body, wallet.clock())
      return answerCommand(wallet, call, { command, body }, respondWithTransaction)
    },
  }),
  commandRoute({
    method: 'POST',
    path: '/accounts/:id/deposits',
    id: 'createDeposit',
    scope: 'write',
    tag: transactionTag,
    summary: 'Deposits money into an account, from `world`.',
    params: { id: pathId('The account to credit.') },
    body: NewMovement,
    responses: { 201: movementAnswer },
    // `world` may be overdrawn.
    problems: [
      ...movementProblems.filter((problem) => problem !== problems.insufficientFunds),
      problems.sameAccount,
      problems.effectiveTooEarly,
    ],
    examples: transactionExamples.createDeposit,
    subjects: ({ body, params }) => payersIn({ account_id_to: params.id }, body.currency),
    handle({ body, params, call }) {
      const parties = { account_id_from: null, account_id_to: params.id }
      return answerTransfer(wallet, call, { ...body, kind: 'deposit', ...parties })
    },
  }),
  commandRoute({
    method: 'POST',
    path: '/accounts/:id/withdrawals',
    id: 'createWithdrawal',
    scope: 'write',
    tag: transactionTag,
    summary: 'Withdraws money from an account, to `world`.',
    params: { id: pathId('The account to debit.') },
    body: NewMovement,
    responses: { 201: movementAnswer },
    problems: [...movementProblems, problems.sameAccount, problems.effectiveTooEarly],
    examples: transactionExamples.createWithdrawal,
    subjects: ({ params }) => [{ account: params.id }],
    handle({ body, params, call }) {
      const parties = { account_id_from: params.id, account_id_to: null }
      return answerTransfer(wallet, call, { ...body, kind: 'withdrawal', ...parties })
    },
  }),
]

/**
 * What all movements have in common. Null is `world`, the outside: where deposits come from and
 * withdrawals go.
 */
type TransferBody = Static<typeof NewMovement> & {
  kind: TransferMoney['kind']
  account_id_from: string | null
  account_id_to: string | null
}

export function parseTransfer(body: TransferBody, now: Date, at = '#'): TransferMoney {
  const currency = parseCurrency(body.currency, at)
  return {
    type: 'transfer',
    id: randomUUIDv7('hex', now),
    kind: body.kind,
    accountIdFrom: body.account_id_from?.toLowerCase() ?? worldIdOf(currency),
    accountIdTo: body.account_id_to?.toLowerCase() ?? worldIdOf(currency),
    amountMinor: parseAmount(body.amount, currency, at),
    currency,
    effectiveAt: parseTime('effective_at', body.effective_at, at),
    ...parseRemarks(body, at),
  }
}

/** The members of a reversal or a capture that the caller decides on. */
export const parsePart = (body: Static<typeof NewReversal>, currency: string, now: Date) => ({
  id: randomUUIDv7('hex', now),
  amountMinor: body.amount === undefined ? null : parseAmount(body.amount, currency),
  effectiveAt: parseTime('effective_at', body.effective_at),
  ...parseRemarks(body),
})

function answerTransfer(wallet: Wallet, call: Call, body: TransferBody): Response | Promise<Response> {
  const command = parseTransfer(body, wallet.clock())
  const { currency } = command
  const missing = [command.accountIdFrom, command.accountIdTo].find((id) => !isUuid(id))
  if (missing !== undefined)
    return refuse(call.request, problems.accountNotFound, { detail: `account ${missing} does not exist` })
  return answerCommand(wallet, call, { command, currency, body }, respondWithTransaction)
}

const refuseTransaction = (request: Request, id: string): Response =>
  refuse(request, problems.transactionNotFound, { detail: `transaction ${id} does not exist` })
