/** Streams of balances as server-sent events: of an account, and of all accounts. */

import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { version } from '../../contract/schemas'
import type { ServerEvent } from '../../platform/http/event-stream'
import { requestHeaders, responseHeaders } from '../../platform/http/headers'
import { MalformedRequest } from '../../platform/http/invalid'
import { admissionOf } from '../../platform/http/principal'
import { answer, route, type Trait } from '../../platform/http/route'
import { closed, closedObject } from '../../platform/http/schemas'
import type { AccountEntry } from '../queries/entries-store'
import type { Reads } from '../queries/queries'
import { type BalanceStreams, type StreamEncoder, unknownPosition } from '../streams/streams'
import { streamExamples } from './examples/streams'
import {
  accountParams,
  accountSubject,
  canExist,
  parseAccountId,
  presentEntry,
  refuseAccount,
  StreamedEntry,
} from './values'

const StreamQuery = Type.Object(
  {
    last_event_id: Type.Optional(Type.String({ description: 'As the header `Last-Event-ID`, for people.' })),
  },
  closed,
)

const eventStream = {
  mediaType: 'text/event-stream',
  schema: Type.Union([
    StreamedEntry,
    closedObject('StreamedGap', {
      account_id: Type.String({ description: 'The account.' }),
      from_version: version('The first that is missing.'),
      to_version: version('The last that is missing.'),
    }),
    closedObject('StreamReset', {
      load: Type.String({ format: 'uri-reference', description: 'What to load before reading on.' }),
    }),
  ]),
}

const balanceEvent = (id: string | bigint, entry: AccountEntry): ServerEvent => {
  const data: Static<typeof StreamedEntry> = {
    account_id: entry.accountId,
    currency: entry.currency,
    ...presentEntry(entry, entry),
  }
  return { event: 'balance', id: String(id), data }
}

/** Entries as in the statement. A snapshot has the shape of an entry, without the movement that led to it. */
export const streamEncoder: StreamEncoder = {
  balance: balanceEvent,
  snapshot: (balance) =>
    balanceEvent(balance.version, {
      ...balance,
      amountMinor: null,
      transactionId: null,
      holdId: null,
      counterpartyId: null,
      actor: null,
      effectiveAt: null,
      createdAt: balance.updatedAt,
    }),
  gap: (accountId, from, to) => ({
    event: 'gap',
    id: String(to),
    data: { account_id: accountId, from_version: Number(from), to_version: Number(to) },
  }),
  reset: (id, path) => ({ event: 'reset', id, data: { load: path } }),
}

const tag = { name: 'Streams', description: 'Balances as they change, as server-sent events.' }
const eventNames =
  'Events: `balance` (an entry), `gap` (versions that are missing), `reset` (load `load`, then read on). ' +
  'Each has an id; a comment every 15 seconds keeps the connection open.'
const streamAnswer = answer(eventStream, {
  headers: [responseHeaders.cacheControl('no-store'), responseHeaders.accelBuffering],
  description: 'A stream that does not end. The schema is that of each event.',
})
const resumable: Trait = { requestHeaders: [requestHeaders.lastEventId], responseHeaders: [], problems: [] }

export const streamRoutes = (reads: Reads, streams: Pick<BalanceStreams, 'account' | 'all'>) => [
  route({
    method: 'GET',
    path: '/balances/stream',
    id: 'streamBalances',
    scope: 'read',
    tag,
    summary: 'The entries of all accounts, as they are applied.',
    description: eventNames,
    query: StreamQuery,
    responses: { 200: streamAnswer },
    traits: [resumable],
    examples: streamExamples.streamBalances,
    handle: ({ query, request }) => streams.all(parseLastPosition(request, query), admissionOf(request)),
  }),
  route({
    method: 'GET',
    path: '/balances/:account_id/stream',
    id: 'streamBalance',
    scope: 'read',
    tag,
    summary: 'The balance of an account, and every entry that follows.',
    description: eventNames,
    params: accountParams,
    query: StreamQuery,
    responses: { 200: streamAnswer },
    traits: [resumable],
    examples: streamExamples.streamBalance,
    subjects: accountSubject,
    problems: [problems.accountNotFound],
    async handle({ params, query, request }) {
      const accountId = parseAccountId(params)
      const since = parseLastVersion(request, query)
      const balance = canExist(accountId) ? await reads.balance(accountId) : undefined
      return balance
        ? streams.account(balance, since, admissionOf(request))
        : refuseAccount(request, accountId)
    },
  }),
]

/** Where a stream continues, by the groups of `pattern`. */
function parseLastEventId(
  request: Request,
  query: Static<typeof StreamQuery>,
  pattern: RegExp,
): string[] | undefined {
  // Browsers that have received no id yet send an empty one.
  const id = request.headers.get('last-event-id') || query.last_event_id
  if (!id) return undefined
  const match = pattern.exec(id)
  if (!match) throw new MalformedRequest('Last-Event-ID is not an id of this stream; begin without one')
  return match.slice(1)
}

/** A number beyond all versions is one that is yet to come. */
function parseLastVersion(request: Request, query: Static<typeof StreamQuery>): bigint | undefined {
  const [number] = parseLastEventId(request, query, /^(\d{1,40})$/) ?? []
  return number === undefined ? undefined : BigInt(number)
}

/** Of the stream of all accounts. A position that no transaction can have is `unknownPosition`. */
function parseLastPosition(request: Request, query: Static<typeof StreamQuery>): string | undefined {
  const [xid, index] = parseLastEventId(request, query, /^(\d{1,40}):(\d{1,9})$/) ?? []
  if (xid === undefined) return undefined
  return BigInt(xid) <= xidMax ? `${BigInt(xid)}:${index}` : unknownPosition
}

const xidMax = 2n ** 64n - 1n
