/** Lists of transactions: of an account or a client, and by what was noted about them. */

import { type Static, Type } from '@sinclair/typebox'
import { isUuid } from '../../contract/id'
import { timeOf } from '../../contract/time'
import { encodeCursor } from '../../platform/http/cursor'
import { InvalidCursor, InvalidValue } from '../../platform/http/invalid'
import {
  listResponse,
  pageHeaders,
  pageSizeOf,
  paging,
  parsePosition,
  respondWithPage,
} from '../../platform/http/list'
import { answer, route } from '../../platform/http/route'
import { described, oneOf, openTo } from '../../platform/http/schemas'
import type { Original } from '../domain/reversal'
import { transactionKinds } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import type { TransactionCursor } from '../queries/history-store'
import { type Owner, readSearchPage, readTransactionPage } from '../queries/list-transactions'
import type { MetadataFilter, SearchCursor } from '../queries/search-store'
import { transactionExamples } from './examples/transactions'
import { namedBy } from './subjects'
import { Reference } from './text'
import { AnyTransactionResponse, presentTransaction, transactionTag } from './transactions'
import { id, moment, parseBound } from './values'

const metadataMax = 10

const TransactionQuery = Type.Object(
  {
    account_id: Type.Optional(id('Of this account.')),
    client_id: Type.Optional(id('Of all accounts of this client, instead of one account.')),
    kind: Type.Optional(oneOf(transactionKinds, 'Of this kind.')),
    since: Type.Optional(moment('Written at or after this time.')),
    until: Type.Optional(moment('Written before this time.')),
    effective_since: Type.Optional(moment('With an `effective_at` at or after this time.')),
    effective_until: Type.Optional(moment('With an `effective_at` before this time.')),
    reference: Type.Optional(described(Reference, 'With exactly this reference.')),
    hold_id: Type.Optional(id('The capture of this hold.')),
    reverses: Type.Optional(id('The reversals of this transaction.')),
    ...paging,
  },
  openTo(
    'metadata',
    Type.String({
      description:
        '`metadata.order=4711`: with this member at the top of its metadata, as text: a string, or the ' +
        `number or boolean that the text is. At most ${metadataMax} of them.`,
    }),
  ),
)
type Query = Static<typeof TransactionQuery>

export const transactionListRoutes = (wallet: Wallet) => [
  route({
    method: 'GET',
    path: '/transactions',
    id: 'listTransactions',
    scope: 'read',
    tag: transactionTag,
    summary: 'Transactions of an account or a client, or by what was noted about them, newest first.',
    description:
      'At least one of `account_id`, `client_id`, `reference`, `hold_id`, `reverses` and `metadata.*` has ' +
      'to be given; all that are given have to match.',
    query: TransactionQuery,
    responses: {
      200: answer(listResponse('Transactions', AnyTransactionResponse), { headers: pageHeaders }),
    },
    examples: transactionExamples.listTransactions,
    subjects: ({ query }) => namedBy(query),
    handle: ({ query, request }) => answerTransactions(wallet, request, query),
  }),
]

async function answerTransactions(
  wallet: Wallet,
  request: Request,
  { limit, cursor, ...query }: Query,
): Promise<Response> {
  const filter: Omit<Query, 'limit' | 'cursor'> = {
    ...query,
    account_id: query.account_id?.toLowerCase(),
    client_id: query.client_id?.toLowerCase(),
    hold_id: query.hold_id?.toLowerCase(),
    reverses: query.reverses?.toLowerCase(),
  }
  const position = parsePosition(cursor, filter)
  const size = pageSizeOf(limit)
  const owner = ownerOf(filter)
  const narrowed = {
    kind: filter.kind,
    since: parseBound('since', filter.since),
    until: parseBound('until', filter.until),
    effectiveSince: parseBound('effective_since', filter.effective_since),
    effectiveUntil: parseBound('effective_until', filter.effective_until),
  }
  const { reference, hold_id: holdId, reverses } = filter
  const selection = { reference, holdId, reverses, metadata: metadataOf(filter) }
  const respond = (found: Original[], next: string | undefined) => {
    const data = found.map((one) => presentTransaction(one.legs, one.reversedMinor))
    return respondWithPage(request, { data }, next === undefined ? null : encodeCursor(next, filter))
  }

  if ([reference, holdId, reverses, ...selection.metadata].some((value) => value !== undefined)) {
    const after = position === undefined ? undefined : parseSearchCursor(position)
    const page = await readSearchPage(wallet, { owner, ...narrowed, ...selection }, { after, size })
    return respond(page.transactions, page.next && formatSearchCursor(page.next))
  }
  if (!owner)
    throw new InvalidValue({
      pointer: '#/account_id',
      detail: 'name an account_id or a client_id, a reference, a hold_id, reverses, or a metadata.<name>',
    })
  const after = position === undefined ? undefined : parseCursor(position)
  const page = await readTransactionPage(wallet, owner, narrowed, { after, size })
  return respond(page.transactions, page.next && formatCursor(page.next))
}

function ownerOf({ account_id, client_id }: Pick<Query, 'account_id' | 'client_id'>): Owner | undefined {
  if (account_id !== undefined && client_id !== undefined)
    throw new InvalidValue({ pointer: '#/client_id', detail: 'name an account_id or a client_id, not both' })
  if (account_id !== undefined) return { accountId: account_id }
  return client_id === undefined ? undefined : { clientId: client_id }
}

function metadataOf(filter: object): MetadataFilter[] {
  const given = Object.entries(filter as Record<string, string | undefined>).flatMap(([parameter, value]) =>
    parameter.startsWith('metadata.') && value !== undefined ? [{ parameter, value }] : [],
  )
  if (given.length > metadataMax)
    throw new InvalidValue({
      pointer: '#/metadata',
      detail: `at most ${metadataMax} members of metadata can be searched at once`,
    })
  return given.map(({ parameter, value }) => {
    if (`${parameter}${value}`.includes('\0'))
      throw new InvalidValue({ pointer: '#/metadata', detail: 'metadata with a NUL cannot be searched' })
    return { name: parameter.slice('metadata.'.length), value }
  })
}

const formatCursor = ({ createdAt, accountId, version }: TransactionCursor): string =>
  `${Date.parse(createdAt)}:${accountId}:${version}`
function parseCursor(position: string): TransactionCursor {
  const [, ms, accountId = '', version = ''] = /^(-?\d{1,15}):([^:]*):(\d{1,18})$/.exec(position) ?? []
  const createdAt = timeOf(Number(ms))
  if (!createdAt || !isUuid(accountId)) throw new InvalidCursor()
  return { createdAt, accountId, version: BigInt(version) }
}

const formatSearchCursor = ({ createdAt, id }: SearchCursor): string => `${Date.parse(createdAt)}:${id}`
function parseSearchCursor(position: string): SearchCursor {
  const [, ms, id = ''] = /^(-?\d{1,15}):([^:]*)$/.exec(position) ?? []
  const createdAt = timeOf(Number(ms))
  if (!createdAt || !isUuid(id)) throw new InvalidCursor()
  return { createdAt, id }
}
