/**
 * The routes of the wallet. With `http-requests` and `http-answers` the only files of it that know
 * status codes and snake_case.
 */

import type { Static } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import type { KafkaConfig } from '../../config/config'
import { eventDocuments } from '../../contract/docs/asyncapi'
import { topics } from '../../contract/events/events'
import { isUuid } from '../../contract/id'
import { problems } from '../../contract/problems'
import { timeOf } from '../../contract/time'
import { parseJson } from '../../contract/wire/json'
import {
  createHttp,
  type Health,
  InvalidValue,
  MalformedRequest,
  preferredWait,
  refuse,
  traceOf,
} from '../../platform/http/app'
import { bodyOf } from '../../platform/http/body-schema'
import { encodeCursor, pageSizeDefault, parseCursor } from '../../platform/http/cursor'
import { withUnavailableFault } from '../../platform/postgres/failures'
import type { Log } from '../../platform/telemetry/log'
import { findAccount } from '../accounts/accounts-store'
import { findClient } from '../accounts/clients-store'
import { openAccount } from '../accounts/open-account'
import { registerClient } from '../accounts/register-client'
import type { Command } from '../domain/book'
import type { Hold } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findHold } from '../ledger/store/holds'
import { findTransaction, type TransactionCursor } from '../ledger/store/transactions'
import { submit } from '../ledger/submit'
import { findDelivery } from '../outbox/deliveries-store'
import { readTransactionPage } from '../queries/list-transactions'
import {
  askedOf,
  type Call,
  type Keyed,
  NewAccount,
  NewBatch,
  NewCapture,
  NewClient,
  NewHold,
  NewMovement,
  NewRelease,
  NewReversal,
  NewTransaction,
  parseBatch,
  parseCurrency,
  parseHold,
  parseKey,
  parseLimit,
  parseOverdraftLimit,
  parsePart,
  parseTransfer,
  readIdempotencyKey,
  TransactionQuery,
} from './requests'
import {
  answerBatch,
  answerOne,
  created,
  type Named,
  ok,
  presentAccount,
  presentClient,
  presentDelivery,
  presentHold,
  presentTransaction,
  refuseKey,
  replayed,
} from './responses'

export type WalletHttp = {
  wallet: Wallet
  log: Log
  health: Health
  isReady: () => boolean
  kafka: KafkaConfig
}

export function walletHttp({ wallet, log, health, isReady, kafka }: WalletHttp) {
  const uses = topics.map((topic) => ({ topic }))
  const documents = eventDocuments({ service: 'wallet', action: 'send', uses, kafka })
  return createHttp({ log, parseJson, problems: Object.values(problems), documents, health, isReady })
    .onTransform(checkKey)
    .post(
      '/clients',
      async ({ body, request, route, params }) => {
        const call = { request, route, params }
        const idempotencyKey = readIdempotencyKey(call, { asked: body, body })
        const registered = await registerClient(wallet, {
          ...body,
          traceparent: traceOf(request),
          idempotencyKey,
        })
        if (registered.kind !== 'done') return refuseKey(request, registered)
        const client = registered.value
        return created(`/clients/${client.id}`, presentClient(client), replayed(registered.repeated))
      },
      { body: bodyOf(NewClient) },
    )
    .get('/clients/:id', async ({ params, request }) => {
      const client = await findById(params.id, (id) => findClient(wallet.database, id))
      if (!client)
        return refuse(request, problems.clientNotFound, { detail: `client ${params.id} does not exist` })
      return ok(presentClient(client))
    })
    .post(
      '/accounts',
      ({ body, request, route, params }) => answerOpening(wallet, { request, route, params }, body),
      {
        body: bodyOf(NewAccount),
      },
    )
    .get('/accounts/:id', async ({ params, request }) => {
      const account = await findById(params.id, (id) => findAccount(wallet.database, id))
      if (!account)
        return refuse(request, problems.accountNotFound, { detail: `account ${params.id} does not exist` })
      return ok(presentAccount(account))
    })
    .post(
      '/transactions',
      ({ body, request, route, params }) =>
        answerTransfer(wallet, { request, route, params }, { ...body, kind: 'transfer' }),
      {
        body: bodyOf(NewTransaction),
      },
    )
    .post(
      '/accounts/:id/deposits',
      ({ body, request, route, params }) => {
        const call = { request, route, params }
        const parties = { account_id_from: null, account_id_to: params.id }
        return answerTransfer(wallet, call, { ...body, kind: 'deposit', ...parties })
      },
      { body: bodyOf(NewMovement) },
    )
    .post(
      '/accounts/:id/withdrawals',
      ({ body, request, route, params }) => {
        const call = { request, route, params }
        const parties = { account_id_from: params.id, account_id_to: null }
        return answerTransfer(wallet, call, { ...body, kind: 'withdrawal', ...parties })
      },
      { body: bodyOf(NewMovement) },
    )
    .post(
      '/transactions/batch',
      async ({ body, request, route, params }) => {
        const call = { request, route, params }
        const { mode = 'atomic' } = body
        const commands = parseBatch(body.transactions, wallet.clock())
        const keyed = { asked: { mode, transactions: commands.map(askedOf) }, body }
        const submitted = await submitAs(wallet, call, { commands, atomic: mode === 'atomic', ...keyed })
        return answerBatch(request, submitted, { mode, commands })
      },
      { body: bodyOf(NewBatch) },
    )
    .get('/transactions', ({ query, request }) => answerTransactions(wallet, request, query), {
      query: TransactionQuery,
    })
    .get('/transactions/:id', async ({ params, request }) => {
      const transaction = await findById(params.id, (id) => findTransaction(wallet.database, id))
      return transaction ? ok(presentTransaction(transaction)) : noTransaction(request, params.id)
    })
    .get('/transactions/:id/delivery', async ({ params, request }) => {
      const delivery = await findById(params.id, (id) => findDelivery(wallet.database.sql, id))
      if (!delivery) return noTransaction(request, params.id)
      return ok(presentDelivery(params.id.toLowerCase(), delivery, kafka.topicPrefix))
    })
    .post(
      '/transactions/:id/reverse',
      async ({ body, request, route, params }) => {
        const call = { request, route, params }
        const original = await findById(params.id, (id) => findTransaction(wallet.database, id))
        if (!original) return noTransaction(request, params.id)
        const { id: reverses, accountIdFrom, accountIdTo, currency } = original
        const parties = { accountIdFrom: accountIdTo, accountIdTo: accountIdFrom }
        const part = parsePart(body, currency, wallet.clock())
        return answerCommand(
          wallet,
          call,
          { type: 'reversal', reverses, ...parties, ...part },
          { currency, body },
        )
      },
      { body: bodyOf(NewReversal) },
    )
    .post(
      '/holds',
      ({ body, request, route, params }) => {
        const call = { request, route, params }
        const command = parseHold(body, wallet.clock())
        return answerCommand(wallet, call, command, { currency: command.currency, body })
      },
      { body: bodyOf(NewHold) },
    )
    .get('/holds/:id', ({ params, request }) =>
      ofHold(wallet, request, params.id, (hold) => ok(presentHold(hold))),
    )
    .post(
      '/holds/:id/capture',
      ({ body, request, route, params }) =>
        ofHold(wallet, request, params.id, (hold) => {
          const call = { request, route, params }
          const { currency, ...parties } = partiesOf(hold)
          const part = parsePart(body, currency, wallet.clock())
          return answerCommand(wallet, call, { type: 'capture', ...parties, ...part }, { currency, body })
        }),
      { body: bodyOf(NewCapture) },
    )
    .post(
      '/holds/:id/release',
      ({ body, request, route, params }) =>
        ofHold(wallet, request, params.id, (hold) => {
          const call = { request, route, params }
          const { currency, ...parties } = partiesOf(hold)
          const command: Command = {
            type: 'release',
            id: randomUUIDv7('hex', wallet.clock()),
            ...parties,
            reason: 'released',
          }
          return answerCommand(wallet, call, command, { currency, body })
        }),
      { body: bodyOf(NewRelease) },
    )
}

/** Before anything else is looked at, at every POST. */
function checkKey({ request }: { request: Request }): void {
  if (request.method === 'POST') parseKey(request)
}

/** What never changes of a hold is read before its end is decided on. */
async function ofHold(
  wallet: Wallet,
  request: Request,
  id: string,
  answer: (hold: Hold) => Response | Promise<Response>,
): Promise<Response> {
  const hold = await findById(id, (known) => findHold(wallet.database, known))
  return hold ? answer(hold) : refuse(request, problems.holdNotFound, { detail: `hold ${id} does not exist` })
}

const partiesOf = ({ id: holdId, accountIdFrom, accountIdTo, currency }: Hold) => ({
  holdId,
  accountIdFrom,
  accountIdTo,
  currency,
})

function submitAs(wallet: Wallet, call: Call, asking: { commands: Command[]; atomic: boolean } & Keyed) {
  const { commands, atomic } = asking
  const idempotencyKey = readIdempotencyKey(call, asking)
  const waitSeconds = preferredWait(call.request)
  const waitMs = waitSeconds === undefined ? undefined : waitSeconds * 1000
  const { signal } = call.request
  return submit(
    wallet,
    { commands, atomic, traceparent: traceOf(call.request), idempotencyKey, signal },
    waitMs,
  )
}

async function answerCommand(
  wallet: Wallet,
  call: Call,
  command: Command,
  { currency, body }: Pick<Named, 'currency'> & Pick<Keyed, 'body'>,
): Promise<Response> {
  const asking = { commands: [command], atomic: true, asked: askedOf(command), body }
  return answerOne(call.request, await submitAs(wallet, call, asking), { ...command, currency })
}

function answerTransfer(wallet: Wallet, call: Call, asked: Parameters<typeof parseTransfer>[0]) {
  const command = parseTransfer(asked, wallet.clock())
  const unknown = [command.accountIdFrom, command.accountIdTo].find((id) => !isUuid(id))
  if (unknown !== undefined)
    return refuse(call.request, problems.accountNotFound, { detail: `account ${unknown} does not exist` })
  return answerCommand(wallet, call, command, { currency: command.currency, body: asked })
}

async function answerOpening(wallet: Wallet, call: Call, body: Static<typeof NewAccount>): Promise<Response> {
  const { request } = call
  const clientId = body.client_id.toLowerCase()
  const currency = parseCurrency(body.currency)
  const asked = {
    clientId,
    currency,
    overdraftLimitMinor: parseOverdraftLimit(body.overdraft_limit, currency),
  }
  const idempotencyKey = readIdempotencyKey(call, { asked, body })
  const opening = await openAccount(wallet, { ...asked, traceparent: traceOf(request), idempotencyKey })
  if (opening.kind !== 'done') return refuseKey(request, opening)
  const headers = replayed(opening.repeated)
  if (!opening.value.accepted)
    return refuse(request, problems.clientNotFound, { detail: `client ${clientId} does not exist`, headers })
  const { account } = opening.value
  return created(`/accounts/${account.id}`, presentAccount(account), headers)
}

async function answerTransactions(
  wallet: Wallet,
  request: Request,
  { limit, cursor, ...asked }: Static<typeof TransactionQuery>,
): Promise<Response> {
  const filter = {
    ...asked,
    account_id: asked.account_id?.toLowerCase(),
    client_id: asked.client_id?.toLowerCase(),
  }
  const parsed = cursor === undefined ? undefined : parseCursor(cursor, filter)
  if (parsed?.ok === false) throw new MalformedRequest(parsed.detail)

  const { account_id, client_id } = filter
  const whose = account_id ? { accountId: account_id } : { clientId: client_id ?? '' }
  if ((account_id === undefined) === (client_id === undefined))
    throw new InvalidValue({ pointer: '#/account_id', detail: 'name either an account_id or a client_id' })

  const page = await readTransactionPage(
    wallet,
    whose,
    { kind: filter.kind, since: parseLimit('since', filter.since), until: parseLimit('until', filter.until) },
    {
      after: parsed && parseTransactionCursor(parsed.position),
      size: limit === undefined ? pageSizeDefault : Number(limit),
    },
  )
  const next = page.next ? encodeCursor(formatTransactionCursor(page.next), filter) : null
  const headers: Record<string, string> = {}
  if (next) {
    const url = new URL(request.url)
    url.searchParams.set('cursor', next)
    headers.link = `<${url.pathname}${url.search}>; rel="next"`
  }
  return Response.json({ data: page.transactions.map(presentTransaction), next_cursor: next }, { headers })
}

/** A cursor's seal is no secret: what somebody makes up is refused like any other. */
const formatTransactionCursor = ({ createdAt, accountId, version }: TransactionCursor): string =>
  `${Date.parse(createdAt)}:${accountId}:${version}`
function parseTransactionCursor(position: string): TransactionCursor {
  const [, ms, accountId = '', version = ''] = /^(-?\d{1,15}):([^:]*):(\d{1,18})$/.exec(position) ?? []
  const createdAt = timeOf(Number(ms))
  if (!createdAt || !isUuid(accountId))
    throw new MalformedRequest('cursor is not one that was given out; begin without one')
  return { createdAt, accountId, version: BigInt(version) }
}

/** An id that is no UUID cannot exist: it is asked for like any other, and not found. */
async function findById<T>(id: string, find: (id: string) => Promise<T | undefined>): Promise<T | undefined> {
  return isUuid(id) ? withUnavailableFault(find(id.toLowerCase())) : undefined
}

const noTransaction = (request: Request, id: string): Response =>
  refuse(request, problems.transactionNotFound, { detail: `transaction ${id} does not exist` })
