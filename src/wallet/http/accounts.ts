/** Accounts: each is a client's, in one currency. */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { parseMoney } from '../../contract/money'
import { problems } from '../../contract/problems'
import { Currency, Money, time, uuid, version } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { InvalidValue } from '../../platform/http/invalid'
import { route } from '../../platform/http/route'
import { closed, closedObject, nullable } from '../../platform/http/schemas'
import { type Account, availableMinor } from '../domain/account'
import type { Wallet } from '../ledger/ledger'
import { findAccount } from '../ledger/store/rows'
import { answerCommand, created, keyProblems, type Responder } from './commands'
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

const presentAccount = (account: Account & { updatedAt: Date }): Static<typeof AccountResponse> => ({
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

const respondWithAccount: Responder<'account'> = {
  kind: 'account',
  respond: ({ account }, headers) =>
    created(`/accounts/${account.id}`, presentAccount({ ...account, updatedAt: account.createdAt }), headers),
}

export const accountRoutes = (wallet: Wallet) => [
  route({
    method: 'POST',
    path: '/accounts',
    summary: 'Opens an account.',
    body: NewAccount,
    responses: { 201: AccountResponse },
    problems: [...keyProblems, problems.clientNotFound],
    isKeyed: true,
    handle({ body, request, route, params }) {
      const currency = parseCurrency(body.currency)
      const meaning = {
        clientId: body.client_id.toLowerCase(),
        currency,
        overdraftLimitMinor: parseOverdraftLimit(body.overdraft_limit, currency),
      }
      const command = { type: 'opening', id: randomUUIDv7('hex', wallet.clock()), ...meaning } as const
      return answerCommand(wallet, { request, route, params }, { command, body, meaning }, respondWithAccount)
    },
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

function parseOverdraftLimit(limit: number | string | undefined, currency: string): bigint {
  const money = parseMoney(limit ?? 0, currency)
  const detail = money.ok ? (money.minor < 0n ? 'must not be negative' : undefined) : money.detail
  if (!money.ok || detail)
    throw new InvalidValue({ pointer: '#/overdraft_limit', detail: `overdraft_limit ${detail}` })
  return money.minor
}
