/** Holds: money that is promised to a payee, until it is captured, released, or expires. */

import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { problems } from '../../contract/problems'
import { actor, Currency, Money, time, uuid, version } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { listResponse, pageHeaders, paging } from '../../platform/http/list'
import type { Subject } from '../../platform/http/principal'
import { answer, route } from '../../platform/http/route'
import { closed, closedObject, described, nullable, oneOf } from '../../platform/http/schemas'
import { worldIdOf } from '../domain/account'
import type { Command } from '../domain/book'
import type { PlaceHold } from '../domain/hold'
import { type Hold, holdStatuses } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findHold } from '../ledger/store/rows'
import { listHolds } from '../queries/lists-store'
import {
  answerCommand,
  commandRoute,
  consistencyToken,
  invalidAmount,
  movementProblems,
  type Responder,
} from './commands'
import { holdExamples } from './examples/holds'
import { answerList } from './lists'
import { namedBy } from './subjects'
import { movementAnswer, parsePart, respondWithTransaction } from './transactions'
import {
  Amount,
  CurrencyCode,
  findById,
  id,
  moment,
  parseAmount,
  parseCurrency,
  parseRemarks,
  parseTime,
  part,
  pathId,
  remarks,
  showMoney,
} from './values'

const NewHold = closedObject('NewHold', {
  account_id_from: id('The account whose money is held.'),
  account_id_to: Type.Optional(id('The payee. `world` when absent.')),
  amount: Amount,
  currency: Type.Optional(CurrencyCode),
  ...remarks,
  expires_at: Type.Optional(
    moment('When it expires: in the future, at most a year ahead. In 7 days when absent.'),
  ),
})
const NewCapture = closedObject('NewCapture', part)
const NewRelease = closedObject('NewRelease', {})
const HoldQuery = Type.Object(
  {
    account_id: Type.Optional(id('Those of the money of this account.')),
    status: Type.Optional(oneOf(holdStatuses, 'Those in this status. The open ones are `placed`.')),
    ...paging,
  },
  closed,
)
const HoldExtension = closedObject('HoldExtension', {
  expires_at: moment('When it expires from now on: later than before, at most a year ahead.'),
})

const HoldResponse = closedObject('Hold', {
  id: uuid('The hold.'),
  status: oneOf(holdStatuses, 'Only a `placed` hold is open. A hold ends once.'),
  account_id_from: uuid('The account whose money is held.'),
  account_id_to: uuid('The payee; `world` where the request names none.'),
  amount: described(Money, 'What is held.'),
  captured: nullable(Money, 'What was paid of it. Null while it is open, 0 when nothing was captured.'),
  currency: Currency,
  reference: nullable(Type.String(), "A text of the caller's own."),
  metadata: nullable(Type.Record(Type.String(), Type.Unknown()), "An object of the caller's own."),
  transaction_id: nullable(uuid('The transaction that captured it.')),
  actor: actor('Who placed it'),
  changed_actor: actor('Who captured or released it, or last extended it while it is open'),
  version_account_id_from: version('The version of the account that its newest change led to.'),
  expires_at: time('When it expires unless it is captured or released before.'),
  created_at: time('When it was placed.'),
  ended_at: nullable(time('When it was captured, released, or expired.')),
})

const presentHold = (hold: Hold): Static<typeof HoldResponse> => ({
  id: hold.id,
  status: hold.status,
  account_id_from: hold.accountIdFrom,
  account_id_to: hold.accountIdTo,
  amount: showMoney(hold.amountMinor, hold.currency),
  captured: hold.capturedMinor === null ? null : showMoney(hold.capturedMinor, hold.currency),
  currency: hold.currency,
  reference: hold.reference,
  metadata: hold.metadata,
  transaction_id: hold.status === 'captured' ? hold.endedBy : null,
  actor: hold.actor,
  changed_actor: hold.status === 'placed' ? hold.extendedActor : hold.endedActor,
  version_account_id_from: Number(versionOf(hold)),
  expires_at: hold.expiresAt.toISOString(),
  created_at: hold.createdAt.toISOString(),
  ended_at: hold.endedAt?.toISOString() ?? null,
})

const respondWithHold: Responder<'hold'> = {
  kind: 'hold',
  present(result) {
    const { id, accountIdFrom, versionPlaced, versionEnded, status } = result.hold
    return {
      ...(status === 'placed' && { location: `/holds/${id}` }),
      versions: [[accountIdFrom, versionEnded ?? versionPlaced]],
      body: presentHold(result.hold),
    }
  },
}

/** Extended or ended: it is no new one. */
const respondWithChanged: Responder<'hold'> = {
  kind: 'hold',
  present: ({ hold }) => ({ body: presentHold(hold), versions: [[hold.accountIdFrom, versionOf(hold)]] }),
}

/** The version of the paying account that the hold's newest change led to. */
const versionOf = ({ versionPlaced, versionExtended, versionEnded }: Hold): bigint =>
  versionEnded ?? versionExtended ?? versionPlaced

const tag = {
  name: 'Holds',
  description: 'Money that is promised to a payee, until it is captured, released, or expires.',
}

export const holdRoutes = (wallet: Wallet) => [
  commandRoute({
    method: 'POST',
    path: '/holds',
    id: 'createHold',
    scope: 'write',
    tag,
    summary: 'Places a hold.',
    body: NewHold,
    responses: { 201: answer(HoldResponse, { headers: [responseHeaders.location, consistencyToken] }) },
    problems: [...movementProblems, problems.sameAccount],
    examples: holdExamples.createHold,
    subjects: ({ body }) => [{ account: body.account_id_from }],
    handle({ body, call }) {
      const command = parseHold(body, wallet.clock())
      const { currency } = command
      return answerCommand(wallet, call, { command, currency, body }, respondWithHold)
    },
  }),
  ...readRoutes(wallet),
  extensionRoute(wallet),
  commandRoute({
    method: 'POST',
    path: '/holds/:id/capture',
    id: 'captureHold',
    scope: 'write',
    tag,
    summary: 'Captures a hold, whole or in part. It ends it.',
    params: { id: pathId('The hold.') },
    body: NewCapture,
    responses: { 201: movementAnswer },
    problems: [
      invalidAmount,
      ...endProblems,
      problems.amountExceedsHold,
      problems.accountClosed,
      problems.accountFrozen,
      problems.balanceLimit,
      problems.effectiveTooEarly,
    ],
    examples: holdExamples.captureHold,
    subjects: payerOf(wallet),
    handle: ({ body, params, call }) =>
      withHold(wallet, call.request, params.id, (hold) => {
        const { currency, ...parties } = partiesOf(hold)
        const command = { type: 'capture', ...parties, ...parsePart(body, currency, wallet.clock()) } as const
        return answerCommand(wallet, call, { command, currency, body }, respondWithTransaction)
      }),
  }),
  commandRoute({
    method: 'POST',
    path: '/holds/:id/release',
    id: 'releaseHold',
    scope: 'write',
    tag,
    summary: 'Releases a hold: nothing moves.',
    params: { id: pathId('The hold.') },
    body: NewRelease,
    responses: { 200: answer(HoldResponse, { headers: [consistencyToken] }) },
    problems: endProblems,
    examples: holdExamples.releaseHold,
    subjects: payerOf(wallet),
    handle: ({ body, params, call }) =>
      withHold(wallet, call.request, params.id, (hold) => {
        const { currency, ...parties } = partiesOf(hold)
        const id = randomUUIDv7('hex', wallet.clock())
        const command: Command = { type: 'release', id, ...parties, reason: 'released' }
        return answerCommand(wallet, call, { command, currency, body }, respondWithHold)
      }),
  }),
]

const readRoutes = (wallet: Wallet) => [
  route({
    method: 'GET',
    path: '/holds',
    id: 'listHolds',
    scope: 'read',
    tag,
    summary: 'Holds, newest first.',
    query: HoldQuery,
    responses: { 200: answer(listResponse('Holds', HoldResponse), { headers: pageHeaders }) },
    examples: holdExamples.listHolds,
    subjects: ({ query }) => namedBy(query),
    handle({ query: { limit, cursor, account_id, status }, request }) {
      const accountIdFrom = account_id?.toLowerCase()
      return answerList(
        request,
        { limit, cursor, filter: { list: 'holds', account_id: accountIdFrom, status } },
        {
          read: (page) => listHolds(wallet.database, { accountIdFrom, status }, page),
          present: presentHold,
        },
      )
    },
  }),
  route({
    method: 'GET',
    path: '/holds/:id',
    id: 'getHold',
    scope: 'read',
    tag,
    summary: 'A hold.',
    params: { id: pathId('The hold.') },
    responses: { 200: HoldResponse },
    problems: [problems.holdNotFound],
    examples: holdExamples.getHold,
    subjects: payerOf(wallet),
    handle: ({ params, request }) =>
      withHold(wallet, request, params.id, (hold) => Response.json(presentHold(hold))),
  }),
]

const extensionRoute = (wallet: Wallet) =>
  commandRoute({
    method: 'PATCH',
    path: '/holds/:id',
    id: 'extendHold',
    scope: 'write',
    tag,
    summary: 'Extends a hold, also one of a frozen account.',
    params: { id: pathId('The hold.') },
    body: HoldExtension,
    responses: { 200: answer(HoldResponse, { headers: [consistencyToken] }) },
    problems: [...endProblems, problems.expiryNotLater],
    examples: holdExamples.extendHold,
    subjects: payerOf(wallet),
    handle: ({ body, params, call }) =>
      withHold(wallet, call.request, params.id, (hold) => {
        const { currency, ...parties } = partiesOf(hold)
        const id = randomUUIDv7('hex', wallet.clock())
        const expiresAt = parseTime('expires_at', body.expires_at) as Date
        const command: Command = { type: 'extension', id, ...parties, expiresAt }
        return answerCommand(wallet, call, { command, currency, body }, respondWithChanged)
      }),
  })

/** Of everything that ends a hold. */
const endProblems = [problems.holdNotFound, problems.alreadyCaptured, problems.alreadyVoided]

function parseHold(body: Static<typeof NewHold>, now: Date): PlaceHold {
  const currency = parseCurrency(body.currency)
  return {
    type: 'hold',
    id: randomUUIDv7('hex', now),
    accountIdFrom: body.account_id_from.toLowerCase(),
    accountIdTo: body.account_id_to?.toLowerCase() ?? worldIdOf(currency),
    toWorld: body.account_id_to === undefined,
    amountMinor: parseAmount(body.amount, currency),
    currency,
    expiresAt: parseTime('expires_at', body.expires_at),
    ...parseRemarks(body),
  }
}

/** A hold is about the account whose money is held. */
const payerOf =
  (wallet: Wallet) =>
  async ({ params }: { params: { id: string } }): Promise<Subject[]> => {
    const hold = await findById(params.id, (id) => findHold(wallet.database, id))
    return hold ? [{ account: hold.accountIdFrom }] : []
  }

/** Reads what never changes of a hold. Whether it is still open is decided later, in the ledger. */
async function withHold(
  wallet: Wallet,
  request: Request,
  id: string,
  answer: (hold: Hold) => Response | Promise<Response>,
): Promise<Response> {
  const hold = await findById(id, (holdId) => findHold(wallet.database, holdId))
  return hold ? answer(hold) : refuse(request, problems.holdNotFound, { detail: `hold ${id} does not exist` })
}

const partiesOf = ({ id: holdId, accountIdFrom, accountIdTo, currency }: Hold) => ({
  holdId,
  accountIdFrom,
  accountIdTo,
  currency,
})
