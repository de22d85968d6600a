/** What callers of the read side send: the shape of each query, and how its values are read. */
import { type Static, Type } from '@sinclair/typebox'
import { canonicalId } from '../../contract/id'
import { isCurrency, parseMoney, wideMinorMax } from '../../contract/money'
import { type Instant, parseInstant, sqlBoundOf, timeExpected, timeOf } from '../../contract/time'
import { InvalidValue, MalformedRequest, preferredWait } from '../../platform/http/app'
import { pageSizeDefault, pageSizeMax, parseCursor } from '../../platform/http/cursor'
import { type RedriveSelection, redriveMax } from '../dead-letters/redrive'
import type { BalanceFilter } from '../queries/balances-store'
import { clocks } from '../queries/history'
import { contradictionIn, type RebuildRequest, rebuildActions } from '../rebuild/transitions'
import { unknownPosition } from '../streams/streams'

// As text, because that is what a query is made of.
const Limit = Type.String({
  pattern: '^([1-9]\\d?|1\\d\\d|200)$',
  wanted: `must be a whole number from 1 to ${pageSizeMax}`,
})
/** Which time it is, and whether there is such a one, is read by `parseMoment` and `parseLimit`. */
const Time = Type.String({ wanted: timeExpected })
const ClockName = Type.Union(
  clocks.map((clock) => Type.Literal(clock)),
  { wanted: `must be one of ${clocks.join(', ')}` },
)
/** Ids are opaque, but no table has one with a NUL in it. */
const Id = Type.String({ pattern: '^[^\\0]*$', wanted: 'must be an id, without a NUL' })
const closed = { additionalProperties: false }
const paging = { limit: Type.Optional(Limit), cursor: Type.Optional(Type.String()) }

const letters = {
  cause: Type.Optional(
    Type.String({ pattern: '^[a-z_]{1,50}$', wanted: 'must be a cause such as not_json' }),
  ),
  topic: Type.Optional(
    Type.String({ pattern: '^[a-zA-Z0-9._-]{1,249}$', wanted: 'must be the name of a topic' }),
  ),
}

export const DeadLetterQuery = Type.Object({ ...letters, ...paging }, closed)
export const NoQuery = Type.Object({}, closed)
export const NewRedrive = Type.Object(
  {
    ids: Type.Optional(
      Type.Array(Type.String({ pattern: '^\\d{1,18}$', wanted: 'must be the id of a dead letter' }), {
        minItems: 1,
        maxItems: redriveMax,
        wanted: `must be a list of 1 to ${redriveMax} ids`,
      }),
    ),
    all: Type.Optional(Type.Literal(true, { wanted: 'must be true' })),
    ...letters,
    cursor: Type.Optional(Type.String()),
    dry_run: Type.Optional(Type.Boolean({ wanted: 'must be true or false' })),
  },
  closed,
)
export const RebuildBody = Type.Object(
  {
    action: Type.Optional(
      Type.Union(
        rebuildActions.map((action) => Type.Literal(action)),
        { wanted: `must be one of ${rebuildActions.join(', ')}` },
      ),
    ),
    manual: Type.Optional(Type.Boolean()),
    force: Type.Optional(Type.Boolean()),
  },
  closed,
)

export function parseRebuild({
  action = 'start',
  manual = false,
  force = false,
}: typeof RebuildBody.static): RebuildRequest {
  const request = { action, manual, force }
  const fault = contradictionIn(request)
  if (fault)
    throw new InvalidValue({ pointer: `#/${fault.member}`, detail: `has no meaning with action ${action}` })
  return request
}

export const BalanceQuery = Type.Object({ at: Type.Optional(Time), time: Type.Optional(ClockName) }, closed)
export const ExplanationQuery = Type.Object({ ...BalanceQuery.properties, ...paging }, closed)
export const StatementQuery = Type.Object(
  { since: Type.Optional(Time), until: Type.Optional(Time), ...paging },
  closed,
)
export const LargeMovementsQuery = Type.Object({ account_id: Type.Optional(Id), ...paging }, closed)
export const StreamQuery = Type.Object({ last_event_id: Type.Optional(Type.String()) }, closed)
export const BalancesQuery = Type.Object(
  {
    client_id: Type.Optional(Id),
    currency: Type.Optional(Type.String()),
    min_balance: Type.Optional(Type.String()),
    max_balance: Type.Optional(Type.String()),
    ...paging,
  },
  closed,
)

/** Null is what the router makes of a path that is not UTF-8. */
export const parseAccountId = ({ account_id: id }: { account_id: string | null }): string | null =>
  id && canonicalId(id)

export const pageSizeOf = (limit: string | undefined): number =>
  limit === undefined ? pageSizeDefault : Number(limit)

function parseRequestTime(name: string, text: string): Instant {
  const instant = parseInstant(text)
  if (!instant) throw new InvalidValue({ pointer: `#/${name}`, detail: `${name} ${timeExpected}` })
  return instant
}

/** Where a period begins or ends, to be compared with stored times. */
export const parseLimit = (name: string, text: string | undefined): string | undefined =>
  text === undefined ? undefined : sqlBoundOf(parseRequestTime(name, text))

/**
 * `at` is the last stored time that belongs to it; `shown` the time that was asked for, which may be finer.
 */
export type AskedMoment = { at: string; shown: string }

export function parseMoment(name: string, text: string): AskedMoment {
  const { ms, finer } = parseRequestTime(name, text)
  const at = new Date(ms).toISOString()
  return { at, shown: finer ? text : at }
}

/** An amount means nothing without its currency, so whoever filters by the one has to name the other. */
export function parseFilter(query: {
  client_id?: string
  currency?: string
  min_balance?: string
  max_balance?: string
}): BalanceFilter {
  const { client_id: clientId, currency } = query
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
  return { clientId, currency, minMinor: minorOf('min_balance'), maxMinor: minorOf('max_balance') }
}

/** `filter` is what a cursor of the answer is sealed to. */
export function parseRedrive({ ids, all, cause, topic, cursor }: Static<typeof NewRedrive>): {
  selection: RedriveSelection
  filter: Filter
} {
  const filter = { redrive: '', cause, topic }
  if ([ids, all, cause].filter((one) => one !== undefined).length !== 1)
    throw new InvalidValue({
      pointer: '#',
      detail: 'say which letters are meant by one of ids, cause and all',
    })
  if (ids && (topic !== undefined || cursor !== undefined))
    throw new InvalidValue({ pointer: '#/ids', detail: 'ids go with neither topic nor cursor' })
  if (ids) return { selection: { ids: [...new Set(ids.map(BigInt))] }, filter }
  const [after] = parsePlace(cursor, filter, idPattern) ?? []
  return { selection: { filter: { cause, topic }, after }, filter }
}

export const idPattern = /^(\d{1,18})$/

/** In milliseconds. A cursor that was made up may say anything. */
export function timeOfCursor(ms: bigint): string {
  const time = timeOf(Number(ms))
  if (time === undefined) throw madeUp()
  return time
}

/**
 * The place of a cursor: what `pattern` finds in it, its groups as whole numbers. Undefined without
 * a cursor.
 */
export function parsePlace(
  cursor: string | undefined,
  filter: Filter,
  pattern: RegExp,
): bigint[] | undefined {
  const position = parsePosition(cursor, filter)
  if (position === undefined) return undefined
  const match = pattern.exec(position)
  if (!match) throw madeUp()
  return match.slice(1).map(BigInt)
}

const madeUp = () => new MalformedRequest('cursor is not one that was given out; begin without one')
/**
 * Where a stream goes on. Readers that come back send the header; the query is for people, and
 * stays in the address all the while.
 */
function parseLastEventId(
  request: Request,
  query: typeof StreamQuery.static,
  pattern: RegExp,
): string[] | undefined {
  // An empty one is none: browsers that were sent no id yet have it so.
  const id = request.headers.get('last-event-id') || query.last_event_id
  if (!id) return undefined
  const match = pattern.exec(id)
  if (!match) throw new MalformedRequest('Last-Event-ID is not an id of this stream; begin without one')
  return match.slice(1)
}

/** A number that no version can be is one that is yet to come. */
export function parseLastVersion(request: Request, query: typeof StreamQuery.static): bigint | undefined {
  const [version] = parseLastEventId(request, query, /^(\d{1,40})$/) ?? []
  return version === undefined ? undefined : BigInt(version)
}

/** Of the stream of all. What no transaction can be called is unknownPosition. */
export function parseLastPosition(request: Request, query: typeof StreamQuery.static): string | undefined {
  const [xid, place] = parseLastEventId(request, query, /^(\d{1,40}):(\d{1,9})$/) ?? []
  if (xid === undefined) return undefined
  return BigInt(xid) <= xidMax ? `${BigInt(xid)}:${place}` : unknownPosition
}

const xidMax = 2n ** 64n - 1n

type Filter = Parameters<typeof parseCursor>[1]

export function parsePosition(cursor: string | undefined, filter: Filter): string | undefined {
  if (cursor === undefined) return undefined
  const parsed = parseCursor(cursor, filter)
  if (!parsed.ok) throw new MalformedRequest(parsed.detail)
  if (parsed.position.includes('\0')) throw madeUp()
  return parsed.position
}

/** `<account>:<version>,…`, as the wallet answers a movement. */
export function parseConsistencyToken(header: string): Map<string, bigint> {
  const wanted = new Map<string, bigint>()
  for (const part of header.split(',')) {
    const match = /^\s*(\S{1,255}):(\d{1,18})\s*$/.exec(part)
    if (!match) throw new MalformedRequest('Consistency-Token is not a list of account:version')
    const [, name = '', version = ''] = match
    const accountId = canonicalId(name)
    const before = wanted.get(accountId) ?? 0n
    if (BigInt(version) >= before) wanted.set(accountId, BigInt(version))
  }
  if (wanted.size > tokenAccountsMax)
    throw new MalformedRequest(`Consistency-Token names more than ${tokenAccountsMax} accounts`)
  return wanted
}

const tokenAccountsMax = 100

/** In seconds, and no longer than we let anybody. Without a preference a read does not wait. */
export const readWaitSeconds = (request: Request): number =>
  Math.min(preferredWait(request) ?? 0, waitSecondsMax)

const waitSecondsMax = 30
