/**
 * Reads that are as new as their caller needs: they wait for the versions of a Consistency-Token and
 * for a point in time, as long as `Prefer: wait` allows, and carry how fresh they are in headers.
 */
import { Type } from '@sinclair/typebox'
import { consistencyToken, positionOf, tokenAccountsMax, versionAt } from '../../contract/headers'
import { canonicalId } from '../../contract/id'
import { problems } from '../../contract/problems'
import { preferredWait, refuse, spanOf } from '../../platform/http/app'
import { header, requestHeaders, responseHeaders, sometimes } from '../../platform/http/headers'
import { MalformedRequest } from '../../platform/http/invalid'
import { principalOf } from '../../platform/http/principal'
import type { Trait } from '../../platform/http/route'
import { coverageOf, type FreshnessMonitor } from '../freshness/freshness'
import type { Consistency } from '../freshness/read-your-writes'
import type { Clock, Coverage } from '../queries/history'

/** Of every consistent read. */
export const consistent: Trait = {
  requestHeaders: [
    header(
      consistencyToken.name,
      'As the wallet answered a movement: the read includes it, or is a 503.',
      consistencyToken.schema,
    ),
    requestHeaders.prefer('`wait=n`: wait up to n seconds, at most 30, for the token or the time.'),
  ],
  responseHeaders: [
    sometimes(responseHeaders.preferenceApplied),
    sometimes(
      header(
        'Balances-As-Of',
        'Everything that was published before this time has been applied.',
        Type.String({ format: 'date-time', examples: ['2024-11-23T14:05:19.700Z'] }),
      ),
    ),
    sometimes(
      header(
        'Balances-Lag',
        'Records that are still to be read.',
        Type.String({ pattern: '^\\d+$', examples: ['0'] }),
      ),
    ),
  ],
  problems: [problems.notYetConsistent],
}

type Answer = { response: Response; isComplete: boolean }

export class ConsistentReads {
  readonly #consistency: Pick<Consistency, 'waitForVersions'>
  readonly #monitor: Pick<FreshnessMonitor, 'freshness' | 'waitUntil'>

  constructor({
    consistency,
    monitor,
  }: {
    consistency: Pick<Consistency, 'waitForVersions'>
    monitor: Pick<FreshnessMonitor, 'freshness' | 'waitUntil'>
  }) {
    this.#consistency = consistency
    this.#monitor = monitor
  }

  /** Answers once everything that the token names has been applied. */
  read(request: Request, answer: () => Promise<Response>): Promise<Response> {
    return this.readUntil(request, undefined, async () => ({ response: await answer(), isComplete: true }))
  }

  /**
   * As `read`. If the answer is incomplete and the caller is willing to wait, it is read again once
   * everything that was written up to `untilMs` has been applied.
   */
  async readUntil(
    request: Request,
    untilMs: number | undefined,
    answer: (coverage: Coverage) => Promise<Answer>,
  ): Promise<Response> {
    const requestedMs = Date.now()
    const token = request.headers.get('consistency-token')
    const seconds = token === null && untilMs === undefined ? 0 : waitSeconds(request)
    const deadline = performance.now() + seconds * 1000
    const refusal = token === null ? undefined : await this.#refuseUntilConsistent(request, token, seconds)
    // Sampled before the tables are read.
    let fresh = this.#monitor.freshness()
    const read = () => answer(coverageOf(fresh, requestedMs))
    let result = refusal ? { response: refusal, isComplete: true } : await read()
    const leftMs = deadline - performance.now()
    if (!result.isComplete && untilMs !== undefined && leftMs > 0 && untilMs <= Date.now() + leftMs) {
      await this.#monitor.waitUntil(untilMs, { waitMs: leftMs, signal: request.signal })
      fresh = this.#monitor.freshness()
      result = await read()
    }
    const { response } = result
    if (seconds > 0) response.headers.set('preference-applied', `wait=${seconds}`)
    if (fresh.asOf !== undefined) response.headers.set('balances-as-of', fresh.asOf)
    if (fresh.lag !== undefined) response.headers.set('balances-lag', String(fresh.lag))
    return response
  }

  async #refuseUntilConsistent(request: Request, token: string, seconds: number) {
    const required = await withoutForeign(request, parseToken(token))
    const startedMs = performance.now()
    const [stale] = await this.#consistency.waitForVersions(required, {
      waitMs: seconds * 1000,
      signal: request.signal,
    })
    spanOf(request)?.set({ 'saldo.consistency.wait_ms': Math.round(performance.now() - startedMs) })
    if (!stale) return undefined
    const current = stale.current === null ? 'not known here' : `at version ${versionAt(stale.current)} here`
    const asked = `the token asks for version ${versionAt(stale.required)}`
    return refuse(request, problems.notYetConsistent, {
      detail: `account ${stale.accountId} is ${current}; ${asked}`,
    })
  }
}

/**
 * For a restricted key, without the accounts that it may not use: it learns nothing about them, and its
 * read does not show them.
 */
async function withoutForeign(request: Request, required: Map<string, bigint>): Promise<Map<string, bigint>> {
  const restriction = principalOf(request)?.restriction
  if (restriction)
    for (const account of required.keys())
      if (!(await restriction.allows({ account }, request))) required.delete(account)
  return required
}

/** What has to be applied. By effective time, that includes everything that was written up to now. */
export const untilOf = (at: string, clock: Clock): number =>
  clock === 'recorded' ? Date.parse(at) : Math.max(Date.parse(at), Date.now())

/** `<account>:<version>,…`, as the wallet answers a movement: the positions that accounts have to reach. */
export function parseToken(header: string): Map<string, bigint> {
  const required = new Map<string, bigint>()
  for (const part of header.split(',')) {
    const match = /^\s*(\S{1,255}):(\d{1,18})(?:@([1-9]\d{0,8}))?\s*$/.exec(part)
    if (!match) throw new MalformedRequest('Consistency-Token is not a list of account:version')
    const [, name = '', version = '', epoch = 1] = match
    const position = positionOf(BigInt(version), Number(epoch))
    const accountId = canonicalId(name)
    const before = required.get(accountId) ?? 0n
    if (position >= before) required.set(accountId, position)
  }
  if (required.size > tokenAccountsMax)
    throw new MalformedRequest(`Consistency-Token names more than ${tokenAccountsMax} accounts`)
  return required
}

/** Bounded. Without a preference a read does not wait. */
export const waitSeconds = (request: Request): number => Math.min(preferredWait(request) ?? 0, waitSecondsMax)

const waitSecondsMax = 30
