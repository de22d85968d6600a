/** Accounts: each is a client's, in one currency. */
import { type Static, Type } from '@sinclair/typebox'
import { parseMoney } from '../../contract/money'
import { problems } from '../../contract/problems'
import { Currency, Money, time, uuid, version } from '../../contract/schemas'
import { refuse, traceOf } from '../../platform/http/app'
import { InvalidValue } from '../../platform/http/invalid'
import { route } from '../../platform/http/route'
import { closed, closedObject, nullable } from '../../platform/http/schemas'
import { findAccount, type StoredAccount } from '../accounts/accounts-store'
import { openAccount } from '../accounts/open-account'
import { availableMinor } from '../domain/account'
import type { Wallet } from '../ledger/ledger'
import { type Call, created, keyOf, keyProblems, refuseKey, replayed } from './commands'
import { Amount, CurrencyCode, findById, Id, parseCurrency, showMoney } from './values'

const NewAccount = Type.Object(
  { client_id: Id, currency: Type.Optional(CurrencyCode), overdraft_limit: Type.Optional(Amount) },
  closed,
)

const AccountResponse = closedObject('Account', {
  id: uuid('The account.'),
  client_id: nullable(uuid('Its owner.'), 'Null for the system account `world`.'),
  currency: Currency,
  balance: Money,
  held: Money,
  available: Money,
  overdraft_limit: nullable(Money, 'How far below zero it may go. Null for `world`, which has no limit.'),
  version: version('The number of its entries.'),
  created_at: time('When it was opened.'),
  updated_at: time('When its newest entry was written.'),
})

const presentAccount = (account: StoredAccount): Static<typeof AccountResponse> => ({
  id: account.id,
  client_id: account.clientId,
  currency: account.currency,
  balance: showMoney(account.balanceMinor, account.currency),
  held: showMoney(account.heldMinor, account.currency),
  available: showMoney(availableMinor(account), account.currency),
  overdraft_limit:
    account.overdraftLimitMinor === null ? null : showMoney(account.overdraftLimitMinor, account.currency),
  version: Number(account.version),
  created_at: account.createdAt.toISOString(),
  updated_at: account.updatedAt.toISOString(),
})

export const accountRoutes = (wallet: Wallet) => [
  route({
    method: 'POST',
    path: '/accounts',
    summary: 'Opens an account.',
    body: NewAccount,
    responses: { 201: AccountResponse },
    problems: [...keyProblems, problems.clientNotFound],
    isKeyed: true,
    handle: ({ body, request, route, params }) => answerOpening(wallet, { request, route, params }, body),
  }),
  route({
    method: 'GET',
    path: '/accounts/:id',
    summary: 'An account in the ledger.',
    responses: { 200: AccountResponse },
    problems: [problems.accountNotFound],
    async handle({ params, request }) {
      const account = await findById(params.id, (id) => findAccount(wallet.database, id))
      if (account) return Response.json(presentAccount(account))
      return refuse(request, problems.accountNotFound, { detail: `account ${params.id} does not exist` })
    },
  }),
]

async function answerOpening(wallet: Wallet, call: Call, body: Static<typeof NewAccount>): Promise<Response> {
  const { request } = call
  const clientId = body.client_id.toLowerCase()
  const currency = parseCurrency(body.currency)
  const meaning = {
    clientId,
    currency,
    overdraftLimitMinor: parseOverdraftLimit(body.overdraft_limit, currency),
  }
  const idempotencyKey = keyOf(call, { meaning, body })
  const opening = await openAccount(wallet, { ...meaning, traceparent: traceOf(request), idempotencyKey })
  if (opening.kind !== 'done') return refuseKey(request, opening)
  const headers = replayed(opening.repeated)
  if (!opening.value.accepted)
    return refuse(request, problems.clientNotFound, { detail: `client ${clientId} does not exist`, headers })
  const { account } = opening.value
  return created(`/accounts/${account.id}`, presentAccount(account), headers)
}

function parseOverdraftLimit(limit: number | string | undefined, currency: string): bigint {
  const money = parseMoney(limit ?? 0, currency)
  const detail = money.ok ? (money.minor < 0n ? 'must not be negative' : undefined) : money.detail
  if (!money.ok || detail)
    throw new InvalidValue({ pointer: '#/overdraft_limit', detail: `overdraft_limit ${detail}` })
  return money.minor
}
