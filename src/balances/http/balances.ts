/** Balances: of an account, now or at a time, and of all accounts in pages. */

import { type Static, Type } from '@sinclair/typebox'
import { withCanonicalIds } from '../../contract/id'
import { isCurrency, parseMoney, wideMinorMax } from '../../contract/money'
import { problems } from '../../contract/problems'
import { time, version } from '../../contract/schemas'
import { requestHeaders, responseHeaders } from '../../platform/http/headers'
import { InvalidValue } from '../../platform/http/invalid'
import {
  listResponse,
  pageHeaders,
  pageOf,
  pageSizeOf,
  paging,
  parsePosition,
  respondWithPage,
} from '../../platform/http/list'
import { answer, type RouteContext, route, type Trait } from '../../platform/http/route'
import { closed, closedObject, documentedAs, nullable } from '../../platform/http/schemas'
import type { Balance, BalanceFilter } from '../queries/balances-store'
import type { Reads } from '../queries/queries'
import { atMoment, BalanceAtResponse, presentBalanceAt } from './balance-at'
import { type ConsistentReads, consistent as consistentTrait, untilOf } from './consistent-reads'
import { balanceExamples } from './examples/balances'
import {
  accountParams,
  accountSubject,
  CurrencyCode,
  canExist,
  holdings,
  id,
  OverdraftLimit,
  parseAccountId,
  parseMoment,
  presentHoldings,
  presentLimit,
  refuseAccount,
  revalidated,
  revalidatedHeaders,
  Status,
} from './values'

const BalanceQuery = Type.Object(atMoment, closed)
const Currency = Type.String({
  description: 'Those in this currency (ISO 4217).',
  [documentedAs]: { type: 'string', pattern: '^[A-Z]{3}$', examples: ['BRL'] },
})
const OwnerName = Type.String({
  pattern: '^[^\\0]{1,100}$',
  expected: 'must have 1 to 100 characters, none of them a NUL',
  description: 'Those whose owner has a name that begins so, in capitals or not.',
  [documentedAs]: { type: 'string', minLength: 1, maxLength: 100, examples: ['eva'] },
})
const limit = (what: string) =>
  Type.String({
    description: `${what}, in \`currency\`, which has to be named.`,
    [documentedAs]: { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$', examples: ['1000.01'] },
  })
const BalancesQuery = Type.Object(
  {
    client_id: Type.Optional(id('Those of this client.')),
    owner_name: Type.Optional(OwnerName),
    currency: Type.Optional(Currency),
    min_balance: Type.Optional(limit('At least this much')),
    max_balance: Type.Optional(limit('At most this much')),
    ...paging,
  },
  closed,
)

const BalanceResponse = closedObject('Balance', {
  id: Type.String({ description: 'The same as `account_id`.' }),
  account_id: Type.String({ description: 'The account.' }),
  ...holdings,
  status: Status,
  overdraft_limit: OverdraftLimit,
  currency: CurrencyCode,
  version: version('The version of the account at the wallet.'),
  client_id: nullable(Type.String(), 'The owner; null until AccountOpened has been applied.'),
  owner_name: nullable(
    Type.String(),
    'Null until PersonalDataRecorded has been applied, and once it was erased.',
  ),
  created_at: time('When the account was opened.'),
  updated_at: time('When its newest entry was written.'),
})

const presentBalance = (balance: Balance): Static<typeof BalanceResponse> => ({
  id: balance.accountId,
  account_id: balance.accountId,
  ...presentHoldings(balance, balance.currency),
  status: balance.status,
  overdraft_limit: presentLimit(balance, balance),
  currency: balance.currency,
  version: Number(balance.version),
  client_id: balance.clientId,
  owner_name: balance.ownerName,
  created_at: balance.createdAt,
  updated_at: balance.updatedAt,
})

const tag = { name: 'Balances', description: 'What accounts hold, now or at a time.' }

/** With an entity tag, which the caller may send back. */
const tagged = [responseHeaders.etag, ...revalidatedHeaders]
const conditional: Trait = {
  requestHeaders: [requestHeaders.ifNoneMatch],
  responseHeaders: [],
  problems: [],
}

export function balanceRoutes(reads: Reads, consistent: ConsistentReads) {
  const shared = {
    method: 'GET',
    scope: 'read',
    tag,
    params: accountParams,
    query: BalanceQuery,
    responses: {
      200: answer(Type.Union([BalanceResponse, BalanceAtResponse]), { headers: tagged }),
      304: answer(null, { headers: tagged, description: 'The caller has it already.' }),
    },
    traits: [consistentTrait, conditional],
    subjects: accountSubject,
    problems: [problems.accountNotFound],
    handle: ({ params, query, request }: BalanceContext) =>
      answerBalance({ reads, consistent }, request, parseAccountId(params), query),
  } as const
  return [
    route({
      method: 'GET',
      path: '/balances',
      id: 'listBalances',
      scope: 'read',
      tag,
      summary: 'Balances of all accounts, in the order of their ids.',
      query: BalancesQuery,
      responses: {
        200: answer(listResponse('Balances', BalanceResponse), {
          headers: [...pageHeaders, ...revalidatedHeaders],
        }),
      },
      traits: [consistentTrait],
      examples: balanceExamples.listBalances,
      subjects: ({ query: { client_id } }) => (client_id === undefined ? [] : [{ client: client_id }]),
      handle: ({ query, request }) => consistent.read(request, () => answerBalances(reads, request, query)),
    }),
    route({
      ...shared,
      path: '/balances/:account_id',
      id: 'getBalance',
      examples: balanceExamples.getBalance,
      summary: 'The balance of an account, now or at a time.',
    }),
    route({
      ...shared,
      path: '/accounts/:account_id',
      id: 'getAccountBalance',
      examples: balanceExamples.getAccountBalance,
      summary: "The same at the course's other path.",
    }),
  ]
}

type BalanceContext = RouteContext<{ account_id: string }, Static<typeof BalanceQuery>, unknown>

async function answerBalances(
  reads: Reads,
  request: Request,
  { limit, cursor, ...query }: Static<typeof BalancesQuery>,
): Promise<Response> {
  const filter = withCanonicalIds(query)
  const size = pageSizeOf(limit)
  const after = parsePosition(cursor, filter)
  const rows = await reads.balances(parseFilter(filter), { after, limit: size + 1 })
  const { page, next } = pageOf(rows, size, { filter, positionOf: (last) => last.accountId })
  return respondWithPage(request, { data: page.map(presentBalance) }, next, revalidated)
}

/** An amount means nothing without its currency, so a limit needs one. */
function parseFilter(query: Omit<Static<typeof BalancesQuery>, 'limit' | 'cursor'>): BalanceFilter {
  const { client_id: clientId, owner_name: ownerName, currency } = query
  if (currency !== undefined && !isCurrency(currency))
    throw new InvalidValue({
      pointer: '#/currency',
      detail: `${JSON.stringify(currency)} is not an ISO 4217 currency`,
    })
  const minorOf = (name: 'min_balance' | 'max_balance'): bigint | undefined => {
    const text = query[name]
    if (text === undefined) return undefined
    if (currency === undefined)
      throw new InvalidValue({
        pointer: '#/currency',
        detail: `currency is missing; ${name} is meant in one`,
      })
    const money = parseMoney(text, currency, wideMinorMax)
    if (!money.ok) throw new InvalidValue({ pointer: `#/${name}`, detail: `${name} ${money.detail}` })
    return money.minor
  }
  const range = { minMinor: minorOf('min_balance'), maxMinor: minorOf('max_balance') }
  return { clientId, ownerName, currency, ...range }
}

function answerBalance(
  { reads, consistent }: { reads: Reads; consistent: ConsistentReads },
  request: Request,
  accountId: string | null,
  query: Static<typeof BalanceQuery>,
): Promise<Response> {
  if (query.at === undefined)
    return consistent.read(request, async () => {
      const balance = canExist(accountId) ? await reads.balance(accountId) : undefined
      return balance
        ? respondWithTag(request, presentBalance(balance), balance.version)
        : refuseAccount(request, accountId)
    })
  const clock = query.time ?? 'recorded'
  const { at, shown } = parseMoment('at', query.at)
  return consistent.readUntil(request, untilOf(at, clock), async (coverage) => {
    const found = canExist(accountId) ? await reads.balanceAt(accountId, { at, clock }, coverage) : undefined
    if (!found) return { response: refuseAccount(request, accountId), isComplete: true }
    const { account, balance } = found
    const response = respondWithTag(
      request,
      presentBalanceAt(account, balance, shown, clock),
      balance.version,
    )
    return { response, isComplete: balance.complete !== false }
  })
}

/**
 * A body with its entity tag, or 304. The tag is the version, for people, and a hash of the body,
 * because an owner's name that arrives late changes the body and not the version.
 */
function respondWithTag(request: Request, body: object, version: bigint): Response {
  const text = JSON.stringify(body)
  const headers = { etag: `"${version}-${Bun.hash(text).toString(36)}"`, ...revalidated }
  if (isMatch(request.headers.get('if-none-match'), headers.etag))
    return new Response(null, { status: 304, headers })
  return new Response(text, { headers: { ...headers, 'content-type': 'application/json' } })
}

/** If-None-Match (RFC 9110): any of a list of entity tags, compared weakly, or `*`. */
function isMatch(header: string | null, etag: string): boolean {
  if (header === null) return false
  if (header.trim() === '*') return true
  const tags: readonly string[] = header.match(/"[^"]*"/g) ?? []
  return tags.includes(etag)
}
