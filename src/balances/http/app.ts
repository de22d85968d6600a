/** The read side over HTTP. Of balances, only the http files know status codes and snake_case. */
import type { KafkaConfig } from '../../config/config'
import { eventDocuments, type Use } from '../../contract/docs/asyncapi'
import { canonicalId, withCanonicalIds } from '../../contract/id'
import { problems } from '../../contract/problems'
import { parseJson } from '../../contract/wire/json'
import { createHttp, type Health, MalformedRequest, refuse } from '../../platform/http/app'
import { bodyOf } from '../../platform/http/body-schema'
import { encodeCursor } from '../../platform/http/cursor'
import type { Log } from '../../platform/telemetry/log'
import type { DeadLetterQueries } from '../dead-letters/queries'
import type { RedriveReport, RedriveSelection } from '../dead-letters/redrive'
import { coverageOf, type FreshnessMonitor } from '../freshness/freshness'
import type { Consistency } from '../freshness/read-your-writes'
import type { Clock, Coverage } from '../queries/history'
import type { Reads } from '../queries/queries'
import type { LargeMovement } from '../reactions/large-movements-store'
import type { RebuildCoordinator } from '../rebuild/coordinator'
import type { RebuildRefusal } from '../rebuild/transitions'
import type { BalanceStreams } from '../streams/streams'
import {
  BalanceQuery,
  BalancesQuery,
  DeadLetterQuery,
  ExplanationQuery,
  idPattern,
  LargeMovementsQuery,
  NewRedrive,
  NoQuery,
  pageSizeOf,
  parseAccountId,
  parseConsistencyToken,
  parseFilter,
  parseLastPosition,
  parseLastVersion,
  parseLimit,
  parseMoment,
  parsePlace,
  parsePosition,
  parseRebuild,
  parseRedrive,
  RebuildBody,
  readWaitSeconds,
  StatementQuery,
  StreamQuery,
  timeOfCursor,
} from './requests'
import {
  money,
  presentBalance,
  presentBalanceAt,
  presentDeadLetter,
  presentDeadLetterGroup,
  presentLargeMovement,
  presentLine,
  presentRebuild,
  presentRedrive,
} from './responses'

const accountIdLengthMax = 255

export type BalancesHttp = {
  reads: Reads
  deadLetters: DeadLetterQueries
  largeMovements: (
    accountId: string | undefined,
    page: { after: string | undefined; limit: number },
  ) => Promise<LargeMovement[]>
  redrive: (selection: RedriveSelection, dryRun: boolean) => Promise<RedriveReport>
  consistency: Pick<Consistency, 'waitForVersions'>
  monitor: Pick<FreshnessMonitor, 'freshness' | 'waitUntil'>
  rebuilding: Pick<RebuildCoordinator, 'status' | 'request'>
  streams: Pick<BalanceStreams, 'account' | 'all'>
  log: Log
  health: Health
  isReady: () => boolean
  kafka: KafkaConfig
  /** All that it consumes, for the documentation. */
  uses: readonly Use[]
}

export function balancesHttp(options: BalancesHttp) {
  const {
    reads,
    deadLetters,
    largeMovements,
    redrive,
    consistency,
    monitor,
    rebuilding,
    streams,
    log,
    health,
    isReady,
    kafka,
    uses,
  } = options
  const answerBalance = (
    request: Request,
    accountId: string | null,
    { at: asked, time }: typeof BalanceQuery.static,
  ) => {
    if (asked === undefined)
      return reading(request, async () => {
        const balance = canExist(accountId) ? await reads.balance(accountId) : undefined
        return balance
          ? tagged(request, presentBalance(balance), balance.version)
          : noAccount(request, accountId)
      })
    const clock = time ?? 'recorded'
    const { at, shown } = parseMoment('at', asked)
    return readingUntil(request, untilOf(at, clock), async (coverage) => {
      const found = canExist(accountId)
        ? await reads.balanceAt(accountId, { at, clock }, coverage)
        : undefined
      if (!found) return unknown(request, accountId)
      const { account, balance } = found
      const response = tagged(request, presentBalanceAt(account, balance, shown, clock), balance.version)
      return { response, complete: balance.complete !== false }
    })
  }

  /** Answers when all that the caller has written is here, and says how fresh the answer is at least. */
  const reading = (request: Request, answer: () => Promise<Response>): Promise<Response> =>
    readingUntil(request, undefined, async () => ({ response: await answer(), complete: true }))

  /**
   * As `reading`; a caller who is willing to wait has what was written until a time in the answer,
   * too, if that is in time.
   */
  const readingUntil = async (
    request: Request,
    untilMs: number | undefined,
    answer: (coverage: Coverage) => Promise<{ response: Response; complete: boolean }>,
  ): Promise<Response> => {
    const requestedMs = Date.now()
    const token = request.headers.get('consistency-token')
    const seconds = token === null && untilMs === undefined ? 0 : readWaitSeconds(request)
    const deadline = performance.now() + seconds * 1000
    const refusal = token === null ? undefined : await refuseUntilConsistent(request, token, seconds)
    // Before the tables are read.
    let fresh = monitor.freshness()
    const read = () => answer(coverageOf(fresh, requestedMs))
    let answered = refusal ? { response: refusal, complete: true } : await read()
    const leftMs = deadline - performance.now()
    if (!answered.complete && untilMs !== undefined && leftMs > 0 && untilMs <= Date.now() + leftMs) {
      await monitor.waitUntil(untilMs, { waitMs: leftMs, signal: request.signal })
      fresh = monitor.freshness()
      answered = await read()
    }
    const { response } = answered
    if (seconds > 0) response.headers.set('preference-applied', `wait=${seconds}`)
    if (fresh.asOf !== undefined) response.headers.set('balances-as-of', fresh.asOf)
    if (fresh.lag !== undefined) response.headers.set('balances-lag', String(fresh.lag))
    return response
  }

  const answerRebuild = async (status: number) =>
    Response.json(presentRebuild(await rebuilding.status()), {
      status,
      headers: { 'cache-control': 'no-store' },
    })

  const refuseUntilConsistent = async (request: Request, token: string, seconds: number) => {
    const required = parseConsistencyToken(token)
    const [stale] = await consistency.waitForVersions(required, {
      waitMs: seconds * 1000,
      signal: request.signal,
    })
    if (!stale) return undefined
    const current = stale.current === null ? 'not known here' : `at version ${stale.current} here`
    return refuse(request, problems.notYetConsistent, {
      detail: `account ${stale.accountId} is ${current}; the token asks for version ${stale.required}`,
    })
  }

  const documents = eventDocuments({ service: 'balances', action: 'receive', uses, kafka })
  const refusals = [
    problems.accountNotFound,
    problems.notYetConsistent,
    problems.rebuildConflict,
    problems.deadLetterNotFound,
  ]
  return (
    createHttp({ log, parseJson, problems: refusals, documents, health, isReady })
      .get(
        '/balances',
        ({ query: { limit, cursor, ...asked }, request }) =>
          reading(request, async () => {
            const filter = withCanonicalIds(asked)
            const size = pageSizeOf(limit)
            const after = parsePosition(cursor, filter)
            // One more than the page holds tells whether there is another.
            const rows = await reads.balances(parseFilter(filter), { after, limit: size + 1 })
            const page = rows.slice(0, size)
            const next = rows.length > size ? encodeCursor(page.at(-1)?.accountId ?? '', filter) : null
            return listed(request, { data: page.map(presentBalance) }, next)
          }),
        { query: BalancesQuery },
      )
      .get(
        '/balances/:account_id',
        ({ params, query, request }) => answerBalance(request, parseAccountId(params), query),
        { query: BalanceQuery },
      )
      // The course's other spelling.
      .get(
        '/accounts/:account_id',
        ({ params, query, request }) => answerBalance(request, parseAccountId(params), query),
        { query: BalanceQuery },
      )
      .get(
        '/balances/:account_id/statement',
        ({ params, query: { limit, cursor, ...asked }, request }) => {
          const accountId = parseAccountId(params)
          const period = { since: parseLimit('since', asked.since), until: parseLimit('until', asked.until) }
          return readingUntil(
            request,
            period.until === undefined ? undefined : Date.parse(period.until),
            async (coverage) => {
              if (!canExist(accountId)) return unknown(request, accountId)
              const filter = { statement: accountId, ...asked }
              const [floor, before] = parsePlace(cursor, filter, /^(\d{1,18}):(\d{1,18})$/) ?? []
              const position = floor === undefined || before === undefined ? undefined : { floor, before }
              const found = await reads.statement(
                accountId,
                period,
                { cursor: position, size: pageSizeOf(limit) },
                coverage,
              )
              if (!found) return unknown(request, accountId)
              const { lines, next, complete } = found.statement
              const { currency } = found.account
              const data = lines.map((line) => presentLine(line, currency))
              const body = { account_id: accountId, currency, complete, data }
              const nextCursor = next ? encodeCursor(`${next.floor}:${next.before}`, filter) : null
              return { response: listed(request, body, nextCursor), complete }
            },
          )
        },
        { query: StatementQuery },
      )
      .get('/balances/stream', ({ query, request }) => streams.all(parseLastPosition(request, query)), {
        query: StreamQuery,
      })
      .get(
        '/balances/:account_id/stream',
        async ({ params, query, request }) => {
          const accountId = parseAccountId(params)
          const version = parseLastVersion(request, query)
          const balance = canExist(accountId) ? await reads.balance(accountId) : undefined
          if (!balance) return noAccount(request, accountId)
          return streams.account(balance, version)
        },
        { query: StreamQuery },
      )
      .get(
        '/balances/:account_id/explain',
        ({ params, query, request }) => {
          const accountId = parseAccountId(params)
          const clock = query.time ?? 'recorded'
          const moment = query.at === undefined ? undefined : parseMoment('at', query.at)
          return readingUntil(request, moment && untilOf(moment.at, clock), async (coverage) => {
            if (!canExist(accountId)) return unknown(request, accountId)
            const filter = { explain: accountId, at: query.at, clock }
            const [atMs, version, before, closingMinor] =
              parsePlace(query.cursor, filter, /^(-?\d{1,14}):(\d{1,18}):(\d{1,18}):(-?\d{1,40})$/) ?? []
            const cursor =
              atMs === undefined ||
              version === undefined ||
              before === undefined ||
              closingMinor === undefined
                ? undefined
                : { at: timeOfCursor(atMs), version, before, closingMinor }
            const asked = { at: moment?.at, clock } as const
            const page = { cursor, size: pageSizeOf(query.limit) }
            // Without a time it is about what is here, up to its newest entry.
            const found = await reads.explanation(accountId, asked, page, moment ? coverage : undefined)
            if (!found) return unknown(request, accountId)
            const { account, at, balance, explanation } = found
            const { currency } = account
            const body = {
              ...presentBalanceAt(account, balance, moment?.shown ?? at, clock),
              closing: money(explanation.closingMinor, currency),
              data: explanation.lines.map((line) => presentLine(line, currency)),
              opening: money(explanation.openingMinor, currency),
            }
            const { next } = explanation
            const position =
              next && `${Date.parse(next.at)}:${next.version}:${next.before}:${next.closingMinor}`
            const response = listed(request, body, position ? encodeCursor(position, filter) : null)
            return { response, complete: balance.complete !== false }
          })
        },
        { query: ExplanationQuery },
      )
      // No `reading`: what is noted has its own pace, of which neither a token nor the headers of
      // the balances tell.
      .get(
        '/large-movements',
        async ({ query: { limit, cursor, account_id: asked }, request }) => {
          const accountId = asked && canonicalId(asked)
          const size = pageSizeOf(limit)
          const filter = { list: 'large-movements', accountId }
          const after = parsePosition(cursor, filter)
          const rows = await largeMovements(accountId, { after, limit: size + 1 })
          const page = rows.slice(0, size)
          const next = rows.length > size ? encodeCursor(page.at(-1)?.transactionId ?? '', filter) : null
          return listed(request, { data: page.map(presentLargeMovement) }, next)
        },
        { query: LargeMovementsQuery },
      )
      .get(
        '/dead-letters',
        async ({ query: { limit, cursor, cause, topic }, request }) => {
          const size = pageSizeOf(limit)
          const filter = { letters: '', cause, topic }
          const [before] = parsePlace(cursor, filter, idPattern) ?? []
          const rows = await deadLetters.list({ cause, topic }, { before, limit: size + 1 })
          const page = rows.slice(0, size)
          const next = rows.length > size ? encodeCursor(String(page.at(-1)?.id), filter) : null
          return listed(request, { data: page.map(presentDeadLetter) }, next)
        },
        { query: DeadLetterQuery },
      )
      .get(
        '/dead-letters/causes',
        async ({ request }) =>
          listed(request, { data: (await deadLetters.groups()).map(presentDeadLetterGroup) }, null),
        { query: NoQuery },
      )
      .get('/dead-letters/:id', async ({ params: { id }, request }) => {
        const letter = isLetterId(id) ? await deadLetters.find(BigInt(id)) : undefined
        if (!letter)
          return refuse(request, problems.deadLetterNotFound, { detail: `there is no dead letter ${id}` })
        return Response.json(presentDeadLetter(letter), { headers: { 'cache-control': 'private, no-cache' } })
      })
      .onTransform(({ request }) => refuseIdempotencyKey(request))
      .post(
        '/dead-letters/redrive',
        async ({ body, body: { dry_run: dryRun = false } }) => {
          const { selection, filter } = parseRedrive(body)
          const { letters, next } = await redrive(selection, dryRun)
          const cursor = next === undefined ? null : encodeCursor(String(next), filter)
          const answer = { ...presentRedrive(letters, dryRun), next_cursor: cursor }
          return Response.json(answer, { headers: { 'cache-control': 'no-store' } })
        },
        { body: bodyOf(NewRedrive) },
      )
      .get('/rebuild', async () => answerRebuild(200))
      .post(
        '/rebuild',
        async ({ body, request }) => {
          const refusal = await rebuilding.request(parseRebuild(body))
          if (!refusal) return answerRebuild(202)
          return refuse(request, problems.rebuildConflict, { detail: rebuildRefusals[refusal] })
        },
        { body: bodyOf(RebuildBody) },
      )
  )
}

/**
 * Nothing here moves money: to ask again is to see where it stands. Who sends a key relies on more
 * than that.
 */
function refuseIdempotencyKey(request: Request): void {
  if (request.method === 'POST' && request.headers.has('idempotency-key'))
    throw new MalformedRequest(
      'no route of this service takes an Idempotency-Key; send the request without it',
    )
}

const rebuildRefusals = {
  already_building: 'a rebuild is building: wait for it, or cancel it first',
  nothing_to_swap: 'there is no rebuild that is ready to be swapped',
  diverges: 'the rebuild was refused for what GET /rebuild tells: swap it with force, or cancel it',
  nothing_to_roll_back: 'there are no tables from before to go back to',
  nothing_to_cancel: 'there is no rebuild that could be cancelled',
} as const satisfies Record<RebuildRefusal, string>

const noAccount = (request: Request, accountId: string | null): Response =>
  refuse(request, problems.accountNotFound, {
    detail: `account ${accountId ?? 'of that name'} is not known here; if it was opened just now, its event may not have arrived yet`,
  })

const isLetterId = (id: string | null): id is string => id !== null && idPattern.test(id)

/** Waiting would not make it known. */
const unknown = (request: Request, accountId: string | null) => ({
  response: noAccount(request, accountId),
  complete: true,
})

/** What has to have arrived: by the time from which entries count, also what was written up to now. */
const untilOf = (at: string, clock: Clock): number =>
  clock === 'recorded' ? Date.parse(at) : Math.max(Date.parse(at), Date.now())

/**
 * Ids are opaque to the read side. What no event can have brought is not asked for; null is what
 * the router makes of a path that is not UTF-8.
 */
const canExist = (accountId: string | null): accountId is string =>
  accountId !== null &&
  accountId.length <= accountIdLengthMax &&
  accountId.isWellFormed() &&
  !accountId.includes('\0')

/**
 * A body with its entity tag, or 304 where the caller has it already. The tag is the version, for
 * people, and the hash of the body: an owner that is heard of late changes what is shown, and no
 * version.
 */
function tagged(request: Request, body: object, version: bigint): Response {
  const text = JSON.stringify(body)
  const headers = {
    etag: `"${version}-${Bun.hash(text).toString(36)}"`,
    'cache-control': 'private, no-cache',
  }
  if (isMatch(request.headers.get('if-none-match'), headers.etag))
    return new Response(null, { status: 304, headers })
  return new Response(text, { headers: { ...headers, 'content-type': 'application/json' } })
}

/** If-None-Match (RFC 9110): any of a list of entity tags, compared weakly, or `*` for whatever there is. */
function isMatch(header: string | null, etag: string): boolean {
  if (header === null) return false
  if (header.trim() === '*') return true
  const tags: readonly string[] = header.match(/"[^"]*"/g) ?? []
  return tags.includes(etag)
}

function listed(request: Request, body: object, next: string | null): Response {
  const headers: Record<string, string> = { 'cache-control': 'private, no-cache' }
  if (next) {
    const url = new URL(request.url)
    url.searchParams.set('cursor', next)
    headers.link = `<${url.pathname}${url.search}>; rel="next"`
  }
  return Response.json({ ...body, next_cursor: next }, { headers })
}
