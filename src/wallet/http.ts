/** The wallet over HTTP. The only file of the wallet that knows status codes and snake_case. */

import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { InexactNumber, parseJson } from '../contract/json'
import { currencyDefault, isCurrency, parseMoney, presentMoney } from '../contract/money'
import { problems } from '../contract/problems'
import { encodeCursor, pageSizeDefault, pageSizeMax, parseCursor } from '../platform/cursor'
import { reaching } from '../platform/database'
import { createHttp, type Health, InvalidValue, MalformedRequest, refuse, traceOf } from '../platform/http'
import { fingerprint, parseIdempotencyKey } from '../platform/idempotency-key'
import type { Log } from '../platform/log'
import { commonProblems, type ProblemKind } from '../platform/problem'
import { worldIdOf } from './domain/account'
import type { IdempotencyKey } from './domain/idempotency'
import { type TransferKind, transferKinds } from './domain/transfer'
import { readTransactionPage } from './list-transactions'
import { openAccount } from './open-account'
import { registerClient } from './register-client'
import type { Refusal } from './settle'
import { findAccount, type StoredAccount } from './store/accounts'
import { type Client, findClient } from './store/clients'
import { findTransaction, type StoredTransaction } from './store/transactions'
import { transferMoney } from './transfer-money'
import type { Wallet } from './wallet'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What PostgreSQL keeps, and every reader of an event gets, as it was sent: no NUL, and no half of a surrogate pair. */
const text = (pattern: string, maxLength: number, wanted: string) =>
  Type.RegExp(new RegExp(`^(?=${pattern}$)[^\\0\\p{Cs}]*$`, 'su'), { maxLength, wanted })

const Id = Type.String({ pattern: uuid.source.replace(/a-f/g, 'a-fA-F'), wanted: 'must be a UUID' })
const Currency = Type.String({ maxLength: 3, wanted: 'must be an ISO 4217 code such as BRL' })

const NewClient = Type.Object(
  {
    name: text('.*\\S.*', 255, 'must be a name of 1 to 255 characters'),
    email: text('[^\\s@]+@[^\\s@]+', 254, 'must be an e-mail address'),
  },
  { additionalProperties: false },
)

const NewAccount = Type.Object({ client_id: Id, currency: Type.Optional(Currency) }, { additionalProperties: false })

const movement = {
  amount: Type.Union([Type.Number(), Type.String()], { wanted: 'must be a number or a plain decimal string' }),
  currency: Type.Optional(Currency),
  reference: Type.Optional(
    Type.Union([text('.*', 255, 'must be a text of at most 255 characters'), Type.Null()], {
      wanted: 'must be a text of at most 255 characters',
    }),
  ),
}
const NewMovement = Type.Object(movement, { additionalProperties: false })
const NewTransaction = Type.Object(
  { account_id_from: Id, account_id_to: Id, ...movement },
  { additionalProperties: false },
)

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/
const Time = Type.String({ pattern: time.source, wanted: 'must be an RFC 3339 time such as 2026-01-31T00:00:00Z' })

// As text, because that is what a query is made of.
const TransactionQuery = Type.Object(
  {
    account_id: Id,
    kind: Type.Optional(
      Type.Union(
        transferKinds.map((kind) => Type.Literal(kind)),
        { wanted: `must be one of ${transferKinds.join(', ')}` },
      ),
    ),
    since: Type.Optional(Time),
    until: Type.Optional(Time),
    limit: Type.Optional(
      Type.String({ pattern: '^([1-9]\\d?|1\\d\\d|200)$', wanted: `must be a whole number from 1 to ${pageSizeMax}` }),
    ),
    cursor: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

export type WalletHttp = { wallet: Wallet; log: Log; health: Health; isReady: () => boolean }

export function walletHttp({ wallet, log, health, isReady }: WalletHttp) {
  return createHttp({ log, parseJson: parseBody, problems: Object.values(problems), health, isReady })
    .post(
      '/clients',
      async ({ body, request }) => {
        const client = await registerClient(wallet, { ...body, traceparent: traceOf(request) })
        return created(`/clients/${client.id}`, presentClient(client))
      },
      { body: NewClient },
    )
    .get('/clients/:id', async ({ params, request }) => {
      const client = await findById(params.id, (id) => findClient(wallet.database, id))
      if (!client) return refuse(request, problems.clientNotFound, { detail: `client ${params.id} does not exist` })
      return ok(presentClient(client))
    })
    .post(
      '/accounts',
      async ({ body, request }) => {
        const clientId = body.client_id.toLowerCase()
        const currency = parseCurrency(body.currency)
        const opened = await openAccount(wallet, { clientId, currency, traceparent: traceOf(request) })
        if (!opened.accepted)
          return refuse(request, problems.clientNotFound, { detail: `client ${clientId} does not exist` })
        return created(`/accounts/${opened.account.id}`, presentAccount(opened.account))
      },
      { body: NewAccount },
    )
    .get('/accounts/:id', async ({ params, request }) => {
      const account = await findById(params.id, (id) => findAccount(wallet.database, id))
      if (!account) return refuse(request, problems.accountNotFound, { detail: `account ${params.id} does not exist` })
      return ok(presentAccount(account))
    })
    .post('/transactions', ({ body, request }) => answerTransfer(wallet, request, { ...body, kind: 'transfer' }), {
      body: NewTransaction,
    })
    .post(
      '/accounts/:id/deposits',
      ({ params, body, request }) =>
        answerTransfer(wallet, request, { ...body, kind: 'deposit', account_id_from: null, account_id_to: params.id }),
      { body: NewMovement },
    )
    .post(
      '/accounts/:id/withdrawals',
      ({ params, body, request }) =>
        answerTransfer(wallet, request, {
          ...body,
          kind: 'withdrawal',
          account_id_from: params.id,
          account_id_to: null,
        }),
      { body: NewMovement },
    )
    .get('/transactions', ({ query, request }) => answerTransactions(wallet, request, query), {
      query: TransactionQuery,
    })
    .get('/transactions/:id', async ({ params, request }) => {
      const transaction = await findById(params.id, (id) => findTransaction(wallet.database, id))
      if (!transaction)
        return refuse(request, problems.transactionNotFound, { detail: `transaction ${params.id} does not exist` })
      return ok(presentTransaction(transaction))
    })
}

/** What all movements have in common. Null is `world`, the outside: where deposits come from and withdrawals go. */
type Asked = Static<typeof NewMovement> & {
  kind: TransferKind
  account_id_from: string | null
  account_id_to: string | null
}

async function answerTransfer(wallet: Wallet, request: Request, asked: Asked): Promise<Response> {
  const currency = parseCurrency(asked.currency)
  const world = worldIdOf(currency)
  const [from, to] = [asked.account_id_from, asked.account_id_to].map((id) => (id === null ? world : id.toLowerCase()))
  const command = {
    transactionId: randomUUIDv7(),
    kind: asked.kind,
    accountIdFrom: from ?? world,
    accountIdTo: to ?? world,
    amountMinor: parseAmount(asked.amount, currency),
    currency,
    reference: asked.reference ?? null,
    traceparent: traceOf(request),
    idempotencyKey: readIdempotencyKey(request, asked),
  }
  const unknown = [command.accountIdFrom, command.accountIdTo].find((id) => !uuid.test(id))
  if (unknown !== undefined)
    return refuse(request, problems.accountNotFound, { detail: `account ${unknown} does not exist` })

  const settled = await transferMoney(wallet, command)
  if (settled === 'in_progress')
    return refuse(request, problems.idempotencyInProgress, {
      detail: 'the first request under this key has no answer yet',
      headers: { 'retry-after': '1' },
    })
  const replayed: Record<string, string> = settled.repeated ? { 'idempotency-replayed': 'true' } : {}
  if (!settled.accepted) return refuseTransfer(request, settled.rejection, command, replayed)

  const { transaction } = settled
  const { id, accountIdFrom, accountIdTo, versionFrom, versionTo } = transaction
  return created(`/transactions/${id}`, presentTransaction(transaction), {
    'consistency-token': `${accountIdFrom}:${versionFrom},${accountIdTo}:${versionTo}`,
    ...replayed,
  })
}

async function answerTransactions(
  wallet: Wallet,
  request: Request,
  { limit, cursor, ...filter }: Static<typeof TransactionQuery>,
): Promise<Response> {
  const parsed = cursor === undefined ? undefined : parseCursor(cursor, filter)
  if (parsed?.ok === false) throw new MalformedRequest(parsed.detail)

  const { transactions, nextBefore } = await readTransactionPage(
    wallet,
    {
      accountId: filter.account_id.toLowerCase(),
      kind: filter.kind,
      since: parseTime('since', filter.since),
      until: parseTime('until', filter.until),
    },
    { before: parsed && BigInt(parsed.position), size: limit === undefined ? pageSizeDefault : Number(limit) },
  )
  const next = nextBefore === undefined ? null : encodeCursor(String(nextBefore), filter)
  const headers: Record<string, string> = {}
  if (next) {
    const url = new URL(request.url)
    url.searchParams.set('cursor', next)
    headers.link = `<${url.pathname}${url.search}>; rel="next"`
  }
  return Response.json({ data: transactions.map(presentTransaction), next_cursor: next }, { headers })
}

/** A time of the right form may still not exist: there is no 13th month. */
function parseTime(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const parsed = new Date(text)
  if (Number.isNaN(parsed.getTime())) throw new InvalidValue(`#/${name}`, `${name} is not a time that exists`)
  return parsed
}

/** A number that would be rounded is well-formed JSON, and still no value to take money by. */
function parseBody(text: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    throw error instanceof InexactNumber ? new InvalidValue('#', error.message) : error
  }
}

/** An id that is no UUID cannot exist: it is asked for like any other, and not found. */
async function findById<T>(id: string, find: (id: string) => Promise<T | undefined>): Promise<T | undefined> {
  return uuid.test(id) ? reaching(find(id.toLowerCase())) : undefined
}

/** Null when the caller sent none: then every request is a new one. An empty key is a mistake, not the absence of one. */
function readIdempotencyKey(request: Request, body: object): IdempotencyKey | null {
  const header = request.headers.get('idempotency-key')
  if (header === null) return null

  const scope = `${request.method} ${new URL(request.url).pathname}`
  const parsed = parseIdempotencyKey(header)
  if (!parsed.ok) throw new MalformedRequest(parsed.detail)
  return { scope, key: parsed.key, fingerprint: fingerprint(scope, body) }
}

function parseCurrency(currency: string | undefined): string {
  if (currency === undefined) return currencyDefault
  if (!isCurrency(currency))
    throw new InvalidValue('#/currency', `${JSON.stringify(currency)} is not an ISO 4217 currency`)
  return currency
}

/** Zero and negative amounts pass: to refuse them is the ledger's business. */
function parseAmount(amount: number | string, currency: string): bigint {
  const money = parseMoney(amount, currency)
  if (!money.ok) throw new InvalidValue('#/amount', `amount ${money.detail}`)
  return money.minor
}

type Refused = { accountIdFrom: string; accountIdTo: string; currency: string }

/** Every rejection has its problem and its sentence; one without either does not compile. */
const refusals = {
  amount_not_positive: [commonProblems.validation, () => 'amount must be greater than zero'],
  accounts_not_different: [problems.sameAccount, () => 'an account cannot transfer to itself'],
  account_from_not_found: [problems.accountNotFound, ({ accountIdFrom }) => `account ${accountIdFrom} does not exist`],
  account_to_not_found: [problems.accountNotFound, ({ accountIdTo }) => `account ${accountIdTo} does not exist`],
  currency_not_equal: [
    problems.currencyMismatch,
    ({ currency }) => `the transfer is in ${currency}, and not both accounts are kept in it`,
  ],
  insufficient_funds: [problems.insufficientFunds, () => 'insufficient funds'],
  balance_limit_reached: [problems.balanceLimit, () => 'a balance would have more than 15 digits'],
  idempotency_key_reused: [
    problems.idempotencyKeyReused,
    () => 'this Idempotency-Key was sent before with another request',
  ],
} as const satisfies Record<Refusal, [ProblemKind, (command: Refused) => string]>

function refuseTransfer(
  request: Request,
  rejection: Refusal,
  command: Refused,
  headers: Record<string, string>,
): Response {
  const [kind, sentence] = refusals[rejection]
  const detail = sentence(command)
  const code = rejection.toUpperCase()
  const errors = rejection === 'amount_not_positive' ? { errors: [{ detail, pointer: '#/amount' }] } : {}
  return refuse(request, kind, { detail, code, headers, ...errors })
}

const presentClient = ({ id, name, email, createdAt }: Client) => ({
  id,
  name,
  email,
  created_at: createdAt.toISOString(),
})

const presentAccount = (account: StoredAccount) => ({
  id: account.id,
  client_id: account.clientId,
  currency: account.currency,
  balance: presentMoney(account.balanceMinor, account.currency),
  version: Number(account.version),
  created_at: account.createdAt.toISOString(),
  updated_at: account.updatedAt.toISOString(),
})

const presentTransaction = (transaction: StoredTransaction) => ({
  id: transaction.id,
  account_id_from: transaction.accountIdFrom,
  account_id_to: transaction.accountIdTo,
  amount: presentMoney(transaction.amountMinor, transaction.currency),
  currency: transaction.currency,
  kind: transaction.kind,
  reference: transaction.reference,
  version_account_id_from: Number(transaction.versionFrom),
  version_account_id_to: Number(transaction.versionTo),
  effective_at: transaction.effectiveAt.toISOString(),
  created_at: transaction.createdAt.toISOString(),
})

const ok = (body: object): Response => Response.json(body)

const created = (location: string, body: object, headers: Record<string, string> = {}): Response =>
  Response.json(body, { status: 201, headers: { location, ...headers } })
