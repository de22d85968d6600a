/** Statements: the entries of an account, and those that explain its balance. */

import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { timeOf } from '../../contract/time'
import { encodeCursor } from '../../platform/http/cursor'
import { InvalidCursor } from '../../platform/http/invalid'
import {
  listResponse,
  pageHeaders,
  pageSizeOf,
  paging,
  parseNumbers,
  respondWithPage,
} from '../../platform/http/list'
import { answer, route } from '../../platform/http/route'
import { closed, described } from '../../platform/http/schemas'
import type { ExplanationCursor, StatementCursor } from '../queries/history'
import type { Reads } from '../queries/queries'
import { atMoment, effectiveBalance, presentBalanceAt, recordedBalance } from './balance-at'
import { type ConsistentReads, consistent as consistentTrait, untilOf } from './consistent-reads'
import { statementExamples } from './examples/statements'
import {
  accountParams,
  accountSubject,
  CurrencyCode,
  canExist,
  LineResponse,
  MoneyOrUnknown,
  moment,
  parseAccountId,
  parseBound,
  parseMoment,
  presentLine,
  refuseAccount,
  revalidated,
  revalidatedHeaders,
  showMoney,
} from './values'

const StatementQuery = Type.Object(
  {
    since: Type.Optional(moment('Written at or after this time.')),
    until: Type.Optional(moment('Written before this time.')),
    ...paging,
  },
  closed,
)
const ExplanationQuery = Type.Object({ ...atMoment, ...paging }, closed)

const StatementResponse = listResponse('Statement', LineResponse, {
  account_id: Type.String({ description: 'The account.' }),
  currency: CurrencyCode,
  complete: Type.Boolean({
    description: 'Whether no entry of the page is missing and none of the period can still arrive.',
  }),
})
const sums = {
  closing: described(MoneyOrUnknown, 'The balance after the entries of the page.'),
  opening: described(MoneyOrUnknown, 'The balance before them.'),
}
const ExplanationResponse = Type.Union([
  listResponse('RecordedExplanation', LineResponse, { ...recordedBalance, ...sums }),
  listResponse('EffectiveExplanation', LineResponse, { ...effectiveBalance, ...sums }),
])

type Dependencies = { reads: Reads; consistent: ConsistentReads }
/** An account of a path; null where the path is not UTF-8. */
type Target = { request: Request; accountId: string | null }

const tag = { name: 'Statements', description: 'The entries behind a balance.' }
const headers = [...pageHeaders, ...revalidatedHeaders]

export const statementRoutes = (reads: Reads, consistent: ConsistentReads) => [
  route({
    method: 'GET',
    path: '/balances/:account_id/statement',
    id: 'getStatement',
    scope: 'read',
    tag,
    summary: 'What changed the balance of an account, newest first.',
    params: accountParams,
    query: StatementQuery,
    responses: { 200: answer(StatementResponse, { headers }) },
    traits: [consistentTrait],
    problems: [problems.accountNotFound],
    examples: statementExamples.getStatement,
    subjects: accountSubject,
    handle: ({ params, query, request }) =>
      answerStatement({ reads, consistent }, { request, accountId: parseAccountId(params) }, query),
  }),
  route({
    method: 'GET',
    path: '/balances/:account_id/explain',
    id: 'explainBalance',
    scope: 'read',
    tag,
    summary: 'The entries that add up to the balance of an account, newest first.',
    params: accountParams,
    query: ExplanationQuery,
    responses: { 200: answer(ExplanationResponse, { headers }) },
    traits: [consistentTrait],
    problems: [problems.accountNotFound],
    examples: statementExamples.explainBalance,
    subjects: accountSubject,
    handle: ({ params, query, request }) =>
      answerExplanation({ reads, consistent }, { request, accountId: parseAccountId(params) }, query),
  }),
]

function answerStatement(
  { reads, consistent }: Dependencies,
  { request, accountId }: Target,
  { limit, cursor, ...query }: Static<typeof StatementQuery>,
): Promise<Response> {
  const period = { since: parseBound('since', query.since), until: parseBound('until', query.until) }
  const untilMs = period.until === undefined ? undefined : Date.parse(period.until)
  return consistent.readUntil(request, untilMs, async (coverage) => {
    if (!canExist(accountId)) return notFound({ request, accountId })
    const filter = { statement: accountId, ...query }
    const page = { cursor: parseStatementCursor(cursor, filter), size: pageSizeOf(limit) }
    const found = await reads.statement(accountId, period, page, coverage)
    if (!found) return notFound({ request, accountId })
    const { lines, next, complete } = found.statement
    const { currency } = found.account
    const data = lines.map((line) => presentLine(line, found.account))
    const body = { account_id: accountId, currency, complete, data }
    const nextCursor = next ? encodeCursor(`${next.floor}:${next.before}`, filter) : null
    return { response: respondWithPage(request, body, nextCursor, revalidated), isComplete: complete }
  })
}

function answerExplanation(
  { reads, consistent }: Dependencies,
  { request, accountId }: Target,
  { limit, cursor, ...query }: Static<typeof ExplanationQuery>,
): Promise<Response> {
  const clock = query.time ?? 'recorded'
  const moment = query.at === undefined ? undefined : parseMoment('at', query.at)
  return consistent.readUntil(request, moment && untilOf(moment.at, clock), async (coverage) => {
    if (!canExist(accountId)) return notFound({ request, accountId })
    const filter = { explain: accountId, at: query.at, clock }
    const page = { cursor: parseExplanationCursor(cursor, filter), size: pageSizeOf(limit) }
    // Without a time it is about what is here, up to its newest entry.
    const found = await reads.explanation(
      accountId,
      { at: moment?.at, clock },
      page,
      moment ? coverage : undefined,
    )
    if (!found) return notFound({ request, accountId })
    const { account, at, balance, explanation } = found
    const { currency } = account
    const body = {
      ...presentBalanceAt(account, balance, moment?.shown ?? at, clock),
      closing: showMoney(explanation.closingMinor, currency),
      data: explanation.lines.map((line) => presentLine(line, account)),
      opening: showMoney(explanation.openingMinor, currency),
    }
    const next = explanation.next ? encodeCursor(formatExplanationCursor(explanation.next), filter) : null
    const response = respondWithPage(request, body, next, revalidated)
    return { response, isComplete: balance.complete !== false }
  })
}

/** Waiting would not help. */
const notFound = ({ request, accountId }: Target) => ({
  response: refuseAccount(request, accountId),
  isComplete: true,
})

type Filter = Parameters<typeof parseNumbers>[1]

function parseStatementCursor(cursor: string | undefined, filter: Filter): StatementCursor | undefined {
  const [floor, before] = parseNumbers(cursor, filter, /^(\d{1,18}):(\d{1,18})$/) ?? []
  return floor === undefined || before === undefined ? undefined : { floor, before }
}

const formatExplanationCursor = ({ at, version, before, closingMinor }: ExplanationCursor): string =>
  `${Date.parse(at)}:${version}:${before}:${closingMinor}`

function parseExplanationCursor(cursor: string | undefined, filter: Filter): ExplanationCursor | undefined {
  const pattern = /^(-?\d{1,14}):(\d{1,18}):(\d{1,18}):(-?\d{1,40})$/
  const [atMs, version, before, closingMinor] = parseNumbers(cursor, filter, pattern) ?? []
  if (atMs === undefined || version === undefined || before === undefined || closingMinor === undefined)
    return undefined
  const at = timeOf(Number(atMs))
  if (at === undefined) throw new InvalidCursor()
  return { at, version, before, closingMinor }
}
