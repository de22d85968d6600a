/** Holds: money that is promised to a payee, until it is captured, released, or expires. */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { problems } from '../../contract/problems'
import { Currency, Money, time, uuid, version } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { route } from '../../platform/http/route'
import { closed, closedObject, nullable, oneOf } from '../../platform/http/schemas'
import { worldIdOf } from '../domain/account'
import type { Command } from '../domain/book'
import type { PlaceHold } from '../domain/hold'
import { type Hold, holdStatuses } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findHold } from '../ledger/store/rows'
import { answerCommand, created, keyProblems, movementProblems, type Responder } from './commands'
import { parsePart, respondWithTransaction, TransactionResponse } from './transactions'
import {
  Amount,
  CurrencyCode,
  findById,
  Id,
  parseAmount,
  parseCurrency,
  parseRemarks,
  parseTime,
  part,
  remarks,
  showMoney,
  Time,
} from './values'

const NewHold = Type.Object(
  {
    account_id_from: Id,
    account_id_to: Type.Optional(Id),
    amount: Amount,
    currency: Type.Optional(CurrencyCode),
    ...remarks,
    expires_at: Type.Optional(Time),
  },
  closed,
)
const NewCapture = Type.Object(part, closed)
const NewRelease = Type.Object({}, closed)

const HoldResponse = closedObject('Hold', {
  id: uuid('The hold.'),
  status: oneOf(holdStatuses),
  account_id_from: uuid('The account whose money is held.'),
  account_id_to: uuid('The payee; `world` where the request names none.'),
  amount: Money,
  captured: nullable(Money, 'Null while it is open, 0 when nothing was captured.'),
  currency: Currency,
  reference: nullable(Type.String(), "A text of the caller's own."),
  metadata: nullable(Type.Record(Type.String(), Type.Unknown()), "An object of the caller's own."),
  transaction_id: nullable(uuid('The transaction that captured it.')),
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
  version_account_id_from: Number(hold.versionEnded ?? hold.versionPlaced),
  expires_at: hold.expiresAt.toISOString(),
  created_at: hold.createdAt.toISOString(),
  ended_at: hold.endedAt?.toISOString() ?? null,
})

const respondWithHold: Responder<'hold'> = {
  kind: 'hold',
  respond({ hold }, headers) {
    const { id, accountIdFrom, versionPlaced, versionEnded } = hold
    const token = { 'consistency-token': `${accountIdFrom}:${versionEnded ?? versionPlaced}` }
    if (hold.status === 'placed') return created(`/holds/${id}`, presentHold(hold), { ...token, ...headers })
    return Response.json(presentHold(hold), { headers: { ...token, ...headers } })
  },
}

export const holdRoutes = (wallet: Wallet) => [
  route({
    method: 'POST',
    path: '/holds',
    summary: 'Places a hold.',
    body: NewHold,
    responses: { 201: HoldResponse },
    problems: [...movementProblems, problems.sameAccount],
    isKeyed: true,
    handle({ body, request, route, params }) {
      const command = parseHold(body, wallet.clock())
      const { currency } = command
      return answerCommand(wallet, { request, route, params }, { command, currency, body }, respondWithHold)
    },
  }),
  route({
    method: 'GET',
    path: '/holds/:id',
    summary: 'A hold.',
    responses: { 200: HoldResponse },
    problems: [problems.holdNotFound],
    handle: ({ params, request }) =>
      withHold(wallet, request, params.id, (hold) => Response.json(presentHold(hold))),
  }),
  route({
    method: 'POST',
    path: '/holds/:id/capture',
    summary: 'Captures a hold, whole or in part. It ends it.',
    body: NewCapture,
    responses: { 201: TransactionResponse },
    problems: [...endProblems, problems.amountExceedsHold, problems.balanceLimit, problems.effectiveTooEarly],
    isKeyed: true,
    handle: ({ body, request, route, params }) =>
      withHold(wallet, request, params.id, (hold) => {
        const { currency, ...parties } = partiesOf(hold)
        const command = { type: 'capture', ...parties, ...parsePart(body, currency, wallet.clock()) } as const
        const call = { request, route, params }
        return answerCommand(wallet, call, { command, currency, body }, respondWithTransaction)
      }),
  }),
  route({
    method: 'POST',
    path: '/holds/:id/release',
    summary: 'Releases a hold: nothing moves.',
    body: NewRelease,
    responses: { 200: HoldResponse },
    problems: endProblems,
    isKeyed: true,
    handle: ({ body, request, route, params }) =>
      withHold(wallet, request, params.id, (hold) => {
        const { currency, ...parties } = partiesOf(hold)
        const id = randomUUIDv7('hex', wallet.clock())
        const command: Command = { type: 'release', id, ...parties, reason: 'released' }
        const call = { request, route, params }
        return answerCommand(wallet, call, { command, currency, body }, respondWithHold)
      }),
  }),
]

/** Of everything that ends a hold. */
const endProblems = [...keyProblems, problems.holdNotFound, problems.alreadyCaptured, problems.alreadyVoided]

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
