/** Accounts: each is a client's, in one currency. */

import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { parseMoney } from '../../contract/money'
import { problems } from '../../contract/problems'
import { actor, Currency, Money, time, uuid, version } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
import { listResponse, pageHeaders, paging } from '../../platform/http/list'
import { answer, route } from '../../platform/http/route'
import { closed, closedObject, described, documentedAs, nullable, oneOf } from '../../platform/http/schemas'
import { type Account, accountStatuses, availableMinor } from '../domain/account'
import type { Wallet } from '../ledger/ledger'
import { findAccount } from '../ledger/store/rows'
import { listAccounts, listWorldAccounts } from '../queries/lists-store'
import { answerCommand, commandRoute, consistencyToken, type Responder } from './commands'
import { accountExamples } from './examples/accounts'
import { answerList } from './lists'
import { namedBy } from './subjects'
import {
  Amount,
  CurrencyCode,
  CurrencyFilter,
  findById,
  id,
  parseCurrency,
  pathId,
  showMoney,
} from './values'

export const overdraftLimit = (description: string, documented: { default?: number } = {}) =>
  Type.Union(Amount.anyOf, {
    expected: Amount.expected,
    description,
    [documentedAs]: {
      anyOf: [
        { type: 'number', minimum: 0 },
        { type: 'string', pattern: '^\\d+(\\.\\d+)?$' },
      ],
      ...documented,
    },
  })

const NewAccount = closedObject('NewAccount', {
  client_id: id('Its owner.'),
  currency: Type.Optional(CurrencyCode),
  overdraft_limit: Type.Optional(
    overdraftLimit('How far below zero it may go, in major units. 0 when absent.', { default: 0 }),
  ),
})
const AccountQuery = Type.Object(
  {
    client_id: Type.Optional(id('Those of this client.')),
    currency: Type.Optional(CurrencyFilter),
    status: Type.Optional(oneOf(accountStatuses, 'Those in this status.')),
    ...paging,
  },
  closed,
)
const WorldAccountQuery = Type.Object(paging, closed)

export const AccountResponse = closedObject('Account', {
  id: uuid('The account.'),
  client_id: nullable(uuid('Its owner.'), 'Null for the system account `world`.'),
  currency: Currency,
  status: oneOf(
    accountStatuses,
    '`debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is final.',
  ),
  balance: described(Money, 'All that was credited less all that was debited.'),
  held: described(Money, 'Reserved by open holds.'),
  available: described(Money, '`balance` less `held`; the overdraft limit comes on top.'),
  overdraft_limit: nullable(Money, 'How far below zero it may go. Null for `world`, which has no limit.'),
  version: version('The number of its entries.'),
  actor: actor('Who opened it'),
  changed_actor: actor('Who last changed its status or limit'),
  created_at: time('When it was opened.'),
  updated_at: time('When its newest entry was written.'),
})

const Accounts = listResponse('Accounts', AccountResponse)

export const presentAccount = (account: Account): Static<typeof AccountResponse> => ({
  id: account.id,
  client_id: account.clientId,
  currency: account.currency,
  status: account.status,
  balance: showMoney(account.balanceMinor, account.currency),
  held: showMoney(account.heldMinor, account.currency),
  available: showMoney(availableMinor(account), account.currency),
  overdraft_limit:
    account.overdraftLimitMinor === null ? null : showMoney(account.overdraftLimitMinor, account.currency),
  version: Number(account.version),
  actor: account.actor,
  changed_actor: account.changedActor,
  created_at: account.createdAt.toISOString(),
  updated_at: account.updatedAt.toISOString(),
})

const respondWithAccount: Responder<'account'> = {
  kind: 'account',
  present: ({ account }) => ({
    location: `/accounts/${account.id}`,
    versions: [[account.id, account.version]],
    body: presentAccount(account),
  }),
}

export const tag = { name: 'Accounts', description: 'Each is of a client, in one currency.' }

export const accountRoutes = (wallet: Wallet) => [
  commandRoute({
    method: 'POST',
    path: '/accounts',
    id: 'createAccount',
    scope: 'write',
    tag,
    summary: 'Opens an account.',
    body: NewAccount,
    responses: { 201: answer(AccountResponse, { headers: [responseHeaders.location, consistencyToken] }) },
    problems: [problems.clientNotFound],
    examples: accountExamples.createAccount,
    handle({ body, call }) {
      const currency = parseCurrency(body.currency)
      const meaning = {
        clientId: body.client_id.toLowerCase(),
        currency,
        overdraftLimitMinor: parseOverdraftLimit(body.overdraft_limit, currency),
      }
      const command = { type: 'opening', id: randomUUIDv7('hex', wallet.clock()), ...meaning } as const
      return answerCommand(wallet, call, { command, body, meaning: () => meaning }, respondWithAccount)
    },
  }),
  route({
    method: 'GET',
    path: '/accounts',
    id: 'listAccounts',
    scope: 'read',
    tag,
    summary: 'Accounts of clients, in the order of their ids.',
    query: AccountQuery,
    responses: { 200: answer(Accounts, { headers: pageHeaders }) },
    examples: accountExamples.listAccounts,
    subjects: ({ query }) => namedBy(query),
    handle({ query: { limit, cursor, ...query }, request }) {
      const filter = { ...query, client_id: query.client_id?.toLowerCase() }
      const { client_id: clientId, currency, status } = filter
      if (currency !== undefined) parseCurrency(currency)
      return answerList(
        request,
        { limit, cursor, filter: { list: 'accounts', ...filter } },
        {
          read: (page) => listAccounts(wallet.database, { clientId, currency, status }, page),
          present: presentAccount,
        },
      )
    },
  }),
  route({
    method: 'GET',
    path: '/world-accounts',
    id: 'listWorldAccounts',
    scope: 'read',
    tag,
    summary: 'The accounts `world`, one of each currency in use.',
    description: 'Money enters and leaves through them: with them, all balances sum to zero.',
    query: WorldAccountQuery,
    responses: { 200: answer(Accounts, { headers: pageHeaders }) },
    examples: accountExamples.listWorldAccounts,
    handle: ({ query, request }) =>
      answerList(
        request,
        { ...query, filter: { list: 'world-accounts' } },
        { read: (page) => listWorldAccounts(wallet.database, page), present: presentAccount },
      ),
  }),
  route({
    method: 'GET',
    path: '/accounts/:id',
    id: 'getAccount',
    scope: 'read',
    tag,
    summary: 'An account in the ledger.',
    params: { id: pathId('The account.') },
    responses: { 200: AccountResponse },
    problems: [problems.accountNotFound],
    examples: accountExamples.getAccount,
    subjects: ({ params }) => [{ account: params.id }],
    async handle({ params, request }) {
      const account = await findById(params.id, (id) => findAccount(wallet.database, id))
      return account ? Response.json(presentAccount(account)) : refuseAccount(request, params.id)
    },
  }),
]

export const refuseAccount = (request: Request, id: string): Response =>
  refuse(request, problems.accountNotFound, { detail: `account ${id} does not exist` })

export function parseOverdraftLimit(limit: number | string | undefined, currency: string): bigint {
  const money = parseMoney(limit ?? 0, currency)
  const detail = money.ok ? (money.minor < 0n ? 'must not be negative' : undefined) : money.detail
  if (!money.ok || detail)
    throw new InvalidValue({ pointer: '#/overdraft_limit', detail: `overdraft_limit ${detail}` })
  return money.minor
}
