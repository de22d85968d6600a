/**
 * From the request to the ledger and back: the idempotency key of a request, how its commands are
 * submitted, and which problem each rejection is.
 */
import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox'
import * as contractHeaders from '../../contract/headers'
import { problems } from '../../contract/problems'
import { arrivalOf, preferredWait, refuse, spanOf, traceOf } from '../../platform/http/app'
import type { BodySchema } from '../../platform/http/body-schema'
import type { Guarded } from '../../platform/http/guard'
import { header, requestHeaders } from '../../platform/http/headers'
import { fingerprint } from '../../platform/http/idempotency-key'
import { InvalidValue } from '../../platform/http/invalid'
import { type KeyedCall, keyOf, refuseKey, replayed } from '../../platform/http/keyed'
import { DryRun, markPreview } from '../../platform/http/preview'
import { principalOf } from '../../platform/http/principal'
import { commonProblems, type ProblemDetails, type ProblemKind } from '../../platform/http/problem'
import {
  type Answer,
  asAnswer,
  type Example,
  type ParamsOf,
  type Route,
  type RouteBody,
  type RouteHead,
  route,
  type Trait,
} from '../../platform/http/route'
import type { IdempotencyKey } from '../../platform/idempotency'
import type { Command, CommandResult } from '../domain/book'
import type { Rejection } from '../domain/rejection'
import type { TimeFault } from '../domain/timing'
import type { Legs } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import type { AssumedVersion, Preview } from '../ledger/preview'
import { type Submitted, submit } from '../ledger/submit'
import { markOf, presentRefusing, previewAnswer } from './previews'

/** Of every route whose command waits in the commit queue. */
export const queued: Trait = {
  requestHeaders: [
    requestHeaders.prefer('`wait=n`: answer 503 after n seconds in the queue, with nothing done.'),
  ],
  responseHeaders: [],
  problems: [],
}

/** Of every answer that changed accounts. */
export const consistencyToken = header(
  contractHeaders.consistencyToken.name,
  'The versions that the accounts have now, for reads at the balances service. A new account has 0.',
  contractHeaders.consistencyToken.schema,
)

/** Of accounts, by id. */
type Versions = readonly (readonly [string, bigint])[]

/** A token of the newest version of each account. None where it would name too many. */
export function tokenOf(versions: Versions, epoch: number): Record<string, string> {
  const newest = new Map<string, bigint>()
  for (const [account, version] of versions)
    if (version >= (newest.get(account) ?? 0n)) newest.set(account, version)
  if (newest.size === 0 || newest.size > contractHeaders.tokenAccountsMax) return {}
  return { 'consistency-token': [...newest].map((one) => contractHeaders.tokenPart(...one, epoch)).join() }
}

/** The accounts of a transaction, with the version that each leg led to. */
export const versionsOf = (legs: Legs): [string, bigint][] =>
  legs.flatMap((leg): [string, bigint][] => [
    [leg.accountIdFrom, leg.versionFrom],
    [leg.accountIdTo, leg.versionTo],
  ])

/** An amount of zero or less is refused by the ledger, so the refusal is kept under the key. */
export const invalidAmount: ProblemKind = {
  ...commonProblems.validation,
  codes: ['VALIDATION', 'AMOUNT_NOT_POSITIVE'],
}

/** Of every movement of an amount between two accounts. */
export const movementProblems: readonly ProblemKind[] = [
  invalidAmount,
  problems.accountNotFound,
  problems.currencyMismatch,
  problems.accountClosed,
  problems.accountFrozen,
  problems.insufficientFunds,
  problems.balanceLimit,
]

/** A request whose commands are executed or previewed. */
export type Call = KeyedCall & { isPreview: boolean }

type CommandRoute<Path extends string, Body extends BodySchema> = RouteHead<Path> & {
  body: Body
  examples: Readonly<Record<string, Example<ParamsOf<Path>, Static<Body> & { dry_run?: boolean }>>>
  handle(context: { body: Static<Body>; params: ParamsOf<Path>; call: Call }): Response | Promise<Response>
} & Pick<Guarded<{ body: Static<Body>; params: ParamsOf<Path> }>, 'subjects'>

/**
 * A route that executes commands of the ledger: under an idempotency key, in the queue, or as a preview,
 * which is answered alike. `preview` of a response is needed where `previewAnswer` does not fit.
 */
export function commandRoute<const Path extends string, Body extends BodySchema>(
  definition: CommandRoute<Path, Body>,
): Route {
  const { body, traits = [], responses, subjects, handle } = definition
  const answers = Object.entries(responses).map(([status, one]): [string, Answer] => {
    const real = asAnswer(one)
    return [status, { ...real, preview: real.preview ?? previewAnswer(Number(status), real) }]
  })
  const head: RouteHead<Path> = {
    ...definition,
    responses: Object.fromEntries(answers),
    traits: [queued, ...traits],
  }
  const rest: RouteBody<Path, TSchema, BodySchema> = {
    examples: definition.examples as RouteBody<Path, TSchema, BodySchema>['examples'],
    body: withDryRun(body),
    ...(subjects && { subjects: subjects as NonNullable<RouteBody<Path, TSchema, BodySchema>['subjects']> }),
    handle({ body: { dry_run, ...sent }, request, route, params }) {
      const isPreview = dry_run === true
      if (isPreview) markPreview(request)
      return handle({ body: sent as Static<Body>, params, call: { request, route, params, isPreview } })
    },
  }
  return route<Path, TSchema, BodySchema>({ ...head, ...rest })
}

/** The body, or each of its forms, with the mark of a preview. */
const withDryRun = (body: BodySchema): BodySchema =>
  'anyOf' in body
    ? Type.Union(body.anyOf.map(withDryRun) as TObject[])
    : Type.Object({ ...body.properties, dry_run: DryRun }, { ...body })

/** What a key stands for. `body` is what fingerprints were made of before. */
export type Keyed = { meaning: () => object; body: object }

function keyWithFormer(call: Call, { meaning, body }: Keyed): IdempotencyKey | null {
  const key = keyOf(call, meaning)
  if (!key) return null
  const { method, url } = call.request
  return { ...key, formerFingerprint: () => fingerprint(`${method} ${new URL(url).pathname}`, body) }
}

/** Without the id, which is ours and another one each time. */
export const meaningOf = ({ id: _, ...rest }: Command): object =>
  Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null))

/** The outcome of commands. Of a preview: what it would be, and the versions on which that was decided. */
export type Outcome = (Submitted & { assumed?: undefined }) | (Preview['result'] & Pick<Preview, 'assumed'>)

export async function submitCommands(
  wallet: Wallet,
  call: Call,
  { commands: sent, atomic, ...keyed }: { commands: Command[]; atomic: boolean } & Keyed,
): Promise<Outcome> {
  const actor = principalOf(call.request)?.name
  const commands = actor === undefined ? sent : sent.map((command): Command => ({ ...command, actor }))
  const waitSeconds = preferredWait(call.request)
  const waitMs = waitSeconds === undefined ? undefined : waitSeconds * 1000
  const { signal } = call.request
  if (call.isPreview) {
    const { result, assumed } = await wallet.preview({ commands, atomic, signal }, waitMs)
    return { ...result, assumed }
  }
  const idempotencyKey = keyWithFormer(call, keyed)
  const { request } = call
  const trace = { traceparent: traceOf(request), span: spanOf(request), requestedMs: arrivalOf(request) }
  return submit(wallet, { commands, atomic, ...trace, idempotencyKey, signal }, waitMs)
}

/** The answer to an accepted command: 201 with a location where something is new, else 200. */
export type Presented = { body: object; location?: string; versions?: Versions }

export type Responder<Kind extends Exclude<CommandResult['kind'], 'rejected'>> = {
  kind: Kind
  present(result: Extract<CommandResult, { kind: Kind }>): Presented | Promise<Presented>
}

type Answering = { command: Command; currency?: string; body: object; meaning?: Keyed['meaning'] }

/** Answers a request of one command. `currency` is the one that a refusal may have to name. */
export async function answerCommand<Kind extends Exclude<CommandResult['kind'], 'rejected'>>(
  wallet: Wallet,
  call: Call,
  { command, currency, body, meaning = () => meaningOf(command) }: Answering,
  { kind, present }: Responder<Kind>,
): Promise<Response> {
  const keyed = { meaning, body }
  const outcome = await submitCommands(wallet, call, { commands: [command], atomic: true, ...keyed })
  if (outcome.kind === 'invalid_time') throw new InvalidValue(...timeErrors(outcome.faults[0]))
  if (outcome.kind !== 'executed') return refuseKey(call.request, outcome)
  const { repeated, assumed } = outcome
  const [result] = outcome.results
  if (result?.kind === kind) {
    const presented = await present(result as Extract<CommandResult, { kind: Kind }>)
    if (assumed) return respondToPreview(presented, assumed)
    return respond(presented, replayed(repeated), wallet.epoch())
  }
  const rejected = result?.kind === 'rejected' ? result : refusedBatch
  const [problem, details] = problemOf(rejected, { ...command, ...(currency ? { currency } : {}) })
  return refuse(call.request, problem, { ...details, headers: replayed(repeated), ...assumedOf(outcome) })
}

const respond = (
  { body, location, versions = [] }: Presented,
  headers: Record<string, string>,
  epoch: number,
): Response =>
  Response.json(body, {
    status: location === undefined ? 200 : 201,
    headers: {
      ...(location !== undefined && { location }),
      ...tokenOf(versions, epoch),
      ...headers,
    },
  })

const respondToPreview = ({ body, location }: Presented, assumed: AssumedVersion[]): Response =>
  Response.json(
    { ...body, ...(location !== undefined && { id: null }), ...markOf(assumed) },
    { status: location === undefined ? 200 : 201 },
  )

/** For a refusal. */
export const assumedOf = ({ assumed }: Pick<Outcome, 'assumed'>) =>
  assumed ? { assumed: presentRefusing(assumed) } : {}

const timeRefusals = {
  effective_at_in_future: ['effective_at', 'effective_at is in the future'],
  expires_at_passed: ['expires_at', 'expires_at is not in the future'],
  expires_at_too_far: ['expires_at', 'expires_at is more than a year ahead'],
} as const satisfies Record<TimeFault, [string, string]>

export function timeErrors(fault: TimeFault | undefined, at = '#'): InvalidValue['errors'] {
  if (!fault) return []
  const [member, detail] = timeRefusals[fault]
  return [{ pointer: `${at}/${member}`, detail }]
}

/** What a refusal may have to name. */
export type Parties = {
  [Name in 'accountIdFrom' | 'accountIdTo' | 'accountId' | 'currency' | 'clientId']?: string
} & { postings?: readonly LegParties[]; otherAccountIds?: readonly string[] }
type LegParties = { accountIdFrom: string; accountIdTo: string }
type Rejected = Omit<Extract<CommandResult, { kind: 'rejected' }>, 'kind'>
export const refusedBatch: Rejected = { rejection: 'batch_refused' }

/** Every rejection has its problem and its sentence; one without either does not compile. */
const refusals = {
  amount_not_positive: [commonProblems.validation, () => 'amount must be greater than zero'],
  transaction_not_reversible: [problems.notReversible, () => 'a reversal cannot be reversed itself'],
  reversal_not_whole: [problems.reversalNotWhole, () => 'a transaction with postings is reversed as a whole'],
  transaction_already_reversed: [
    problems.alreadyReversed,
    () => 'all of the transaction was reversed before',
  ],
  amount_exceeds_original: [
    problems.amountExceedsOriginal,
    () => 'the amount is more than is left of the transaction',
  ],
  hold_already_captured: [problems.alreadyCaptured, () => 'the hold was captured before'],
  hold_already_released: [problems.alreadyVoided, () => 'the hold was released before'],
  hold_expired: [problems.alreadyVoided, () => 'the hold has expired'],
  amount_exceeds_hold: [problems.amountExceedsHold, () => 'the amount is more than the hold'],
  expires_at_not_later: [problems.expiryNotLater, () => 'the hold expires later than that already'],
  client_not_found: [problems.clientNotFound, ({ clientId }) => `client ${clientId} does not exist`],
  client_erased: [
    problems.clientErased,
    ({ clientId }) => `the personal data of client ${clientId} was erased`,
  ],
  accounts_not_different: [problems.sameAccount, () => 'an account cannot transfer to itself'],
  account_from_not_found: [
    problems.accountNotFound,
    ({ accountIdFrom }) => `account ${accountIdFrom} does not exist`,
  ],
  account_to_not_found: [
    problems.accountNotFound,
    ({ accountIdTo }) => `account ${accountIdTo} does not exist`,
  ],
  account_not_found: [problems.accountNotFound, ({ accountId }) => `account ${accountId} does not exist`],
  account_from_closed: [problems.accountClosed, ({ accountIdFrom }) => `account ${accountIdFrom} is closed`],
  account_to_closed: [problems.accountClosed, ({ accountIdTo }) => `account ${accountIdTo} is closed`],
  account_closed: [problems.accountClosed, ({ accountId }) => `account ${accountId} is closed`],
  account_from_frozen: [
    problems.accountFrozen,
    ({ accountIdFrom }) => `nothing can leave account ${accountIdFrom}: it is frozen`,
  ],
  account_to_frozen: [
    problems.accountFrozen,
    ({ accountIdTo }) => `nothing can reach account ${accountIdTo}: it is frozen`,
  ],
  account_not_empty: [problems.accountNotEmpty, () => 'the account has a balance or open holds'],
  overdraft_in_use: [problems.overdraftInUse, () => 'the account has used more than that'],
  currency_not_equal: [
    problems.currencyMismatch,
    ({ currency }) => `the transfer is in ${currency}, and not both accounts are kept in it`,
  ],
  effective_before_opening: [
    problems.effectiveTooEarly,
    () => 'effective_at is before one of the accounts was opened',
  ],
  effective_before_original: [
    problems.effectiveTooEarly,
    () => 'effective_at is before that of the transaction to be reversed',
  ],
  effective_before_hold: [problems.effectiveTooEarly, () => 'effective_at is before the hold was placed'],
  insufficient_funds: [problems.insufficientFunds, () => 'insufficient funds'],
  balance_limit_reached: [
    problems.balanceLimit,
    () => 'a balance, or what is held, would have more than 15 digits',
  ],
  batch_refused: [problems.batchRefused, () => 'another transaction of the batch was refused'],
} as const satisfies Record<Rejection, [ProblemKind, (parties: Parties) => string]>

/** The value that a rejection is about, where it is about one. */
const pointers: Partial<Record<Rejection, string>> = {
  amount_not_positive: '#/amount',
  reversal_not_whole: '#/amount',
  amount_exceeds_original: '#/amount',
  amount_exceeds_hold: '#/amount',
  expires_at_not_later: '#/expires_at',
  overdraft_in_use: '#/overdraft_limit',
  effective_before_opening: '#/effective_at',
  effective_before_original: '#/effective_at',
  effective_before_hold: '#/effective_at',
}

/** The member of a leg that a rejection is about; the leg as a whole where it is about both accounts. */
const legMembers: Partial<Record<Rejection, string>> = {
  amount_not_positive: '/amount',
  accounts_not_different: '',
  account_from_not_found: '/account_id_from',
  account_to_not_found: '/account_id_to',
  currency_not_equal: '',
  account_from_closed: '/account_id_from',
  account_to_closed: '/account_id_to',
  account_from_frozen: '/account_id_from',
  account_to_frozen: '/account_id_to',
  insufficient_funds: '/amount',
  balance_limit_reached: '/amount',
}

/** A reversal swaps the accounts of a leg. */
const swapped: Record<string, string> = {
  '/account_id_from': '/account_id_to',
  '/account_id_to': '/account_id_from',
}

/** The value at fault: of the request, or for a leg of a reversal, of the transaction that it reverses. */
function pointerOf({ rejection, leg }: Rejected, isReversal: boolean): string | undefined {
  const member = leg === undefined ? undefined : legMembers[rejection]
  if (member === undefined) return pointers[rejection]
  return `#/postings/${leg}${isReversal ? (swapped[member] ?? member) : member}`
}

/** The accounts of a leg that a reversal takes back; its last one has those of the reversal. */
function reversedLeg({ otherAccountIds = [] }: Parties, leg = otherAccountIds.length): Partial<LegParties> {
  const [accountIdTo, accountIdFrom] = otherAccountIds.slice(2 * leg, 2 * leg + 2)
  return accountIdFrom !== undefined && accountIdTo !== undefined ? { accountIdFrom, accountIdTo } : {}
}

export function problemOf({ rejection, leg }: Rejected, parties: Parties): [ProblemKind, ProblemDetails] {
  const [kind, sentence] = refusals[rejection]
  const posting = leg === undefined ? undefined : parties.postings?.[leg]
  const reason = sentence({ ...parties, ...(posting ?? reversedLeg(parties, leg)) })
  const detail = leg === undefined ? reason : `posting ${leg}: ${reason}`
  const pointer = pointerOf({ rejection, leg }, posting === undefined)
  return [
    kind,
    { detail, code: rejection.toUpperCase(), ...(pointer ? { errors: [{ detail, pointer }] } : {}) },
  ]
}
