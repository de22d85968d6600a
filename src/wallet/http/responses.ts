/** What the wallet answers: how each thing is shown, and which problem each refusal is. */
import { events } from '../../contract/events/events'
import { presentMoney } from '../../contract/money'
import { problems } from '../../contract/problems'
import { InvalidValue, refuse } from '../../platform/http/app'
import { commonProblems, type ProblemDetails, type ProblemKind } from '../../platform/http/problem'
import type { StoredAccount } from '../accounts/accounts-store'
import { availableMinor } from '../domain/account'
import type { CommandResult } from '../domain/book'
import type { Client } from '../domain/client'
import type { Rejection } from '../domain/rejection'
import type { Hold, Transaction } from '../domain/types'
import type { Submitted } from '../ledger/submit'
import type { Delivery } from '../outbox/deliveries-store'
import { batchPointer, untimely } from './requests'

/** What a refusal may have to name. */
export type Named = { accountIdFrom: string; accountIdTo: string; currency: string }

/** Every rejection has its problem and its sentence; one without either does not compile. */
const refusals = {
  amount_not_positive: [commonProblems.validation, () => 'amount must be greater than zero'],
  transaction_not_reversible: [problems.notReversible, () => 'a reversal cannot be reversed itself'],
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
  accounts_not_different: [problems.sameAccount, () => 'an account cannot transfer to itself'],
  account_from_not_found: [
    problems.accountNotFound,
    ({ accountIdFrom }) => `account ${accountIdFrom} does not exist`,
  ],
  account_to_not_found: [
    problems.accountNotFound,
    ({ accountIdTo }) => `account ${accountIdTo} does not exist`,
  ],
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
} as const satisfies Record<Rejection, [ProblemKind, (named: Named) => string]>

/** The values that a refusal is about, where it is about one. */
const pointers: Partial<Record<Rejection, string>> = {
  amount_not_positive: '#/amount',
  amount_exceeds_original: '#/amount',
  amount_exceeds_hold: '#/amount',
  effective_before_opening: '#/effective_at',
  effective_before_original: '#/effective_at',
  effective_before_hold: '#/effective_at',
}

function problemOf(rejection: Rejection, named: Named): [ProblemKind, ProblemDetails] {
  const [kind, sentence] = refusals[rejection]
  const detail = sentence(named)
  const pointer = pointers[rejection]
  return [
    kind,
    { detail, code: rejection.toUpperCase(), ...(pointer ? { errors: [{ detail, pointer }] } : {}) },
  ]
}

/** The one result of a request that had one command, or the refusal that there is none. */
export function answerOne(request: Request, submitted: Submitted, named: Named): Response {
  if (submitted.kind === 'invalid_time') throw new InvalidValue(...untimely(submitted.faults[0]))
  if (submitted.kind !== 'executed') return refuseKey(request, submitted)
  const [result] = submitted.results
  const headers = replayed(submitted.repeated)
  if (result?.kind === 'transaction') {
    const { id, accountIdFrom, accountIdTo, versionFrom, versionTo } = result.transaction
    return created(`/transactions/${id}`, presentTransaction(result.transaction), {
      'consistency-token': `${accountIdFrom}:${versionFrom},${accountIdTo}:${versionTo}`,
      ...headers,
    })
  }
  if (result?.kind === 'hold') {
    const { id, accountIdFrom, versionPlaced, versionEnded } = result.hold
    const token = { 'consistency-token': `${accountIdFrom}:${versionEnded ?? versionPlaced}` }
    if (result.hold.status === 'placed')
      return created(`/holds/${id}`, presentHold(result.hold), { ...token, ...headers })
    return ok(presentHold(result.hold), { ...token, ...headers })
  }
  const [kind, details] = problemOf(result?.rejection ?? 'batch_refused', named)
  return refuse(request, kind, { ...details, headers })
}

/**
 * An answer per command, in the order of the request. A batch that is all or nothing, and was
 * refused, is a problem that names the culprit.
 */
export function answerBatch(
  request: Request,
  submitted: Submitted,
  asked: { mode: 'atomic' | 'best_effort'; commands: Named[] },
): Response {
  if (submitted.kind === 'invalid_time')
    throw new InvalidValue(
      ...submitted.faults.flatMap((fault, index) => untimely(fault, batchPointer(index))),
    )
  if (submitted.kind !== 'executed') return refuseKey(request, submitted)
  const { results, repeated } = submitted
  const headers = replayed(repeated)
  const isRefused = (result: CommandResult) => result.kind === 'rejected'
  const named = (index: number) =>
    asked.commands[index] ?? { accountIdFrom: '', accountIdTo: '', currency: '' }

  if (asked.mode === 'atomic' && results.some(isRefused)) {
    const errors = results.flatMap((result, index) => {
      if (result.kind !== 'rejected' || result.rejection === 'batch_refused') return []
      const [, { detail, code = '' }] = problemOf(result.rejection, named(index))
      return { detail, code, pointer: `#/transactions/${index}` }
    })
    const [first] = errors
    const detail = `nothing was moved, because of ${first?.pointer}: ${first?.detail}`
    return refuse(request, problems.batchRefused, { detail, errors, headers })
  }
  const items = results.map((result, index) => {
    if (result.kind === 'transaction')
      return { status: 201, transaction: presentTransaction(result.transaction) }
    const [kind, { detail, code }] = problemOf(
      result.kind === 'rejected' ? result.rejection : 'batch_refused',
      named(index),
    )
    const problem = { type: `/problems/${kind.name}`, title: kind.title, status: kind.status, detail, code }
    return { status: kind.status, problem }
  })
  const body = { mode: asked.mode, refused: results.filter(isRefused).length, results: items }
  return Response.json(body, { status: body.refused > 0 ? 200 : 201, headers })
}

export function refuseKey(request: Request, { kind }: { kind: 'key_reused' | 'key_in_progress' }): Response {
  if (kind === 'key_reused')
    return refuse(request, problems.idempotencyKeyReused, {
      detail: 'this Idempotency-Key was sent before with another request',
    })
  return refuse(request, problems.idempotencyInProgress, {
    detail: 'the first request under this key has no answer yet',
    headers: { 'retry-after': '1' },
  })
}

export const replayed = (repeated: boolean): Record<string, string> =>
  repeated ? { 'idempotency-replayed': 'true' } : {}

export const presentClient = ({ id, name, email, createdAt }: Client) => ({
  id,
  name,
  email,
  created_at: createdAt.toISOString(),
})

export const presentAccount = (account: StoredAccount) => ({
  id: account.id,
  client_id: account.clientId,
  currency: account.currency,
  balance: presentMoney(account.balanceMinor, account.currency),
  held: presentMoney(account.heldMinor, account.currency),
  available: presentMoney(availableMinor(account), account.currency),
  // Null for `world`, which has none.
  overdraft_limit:
    account.overdraftLimitMinor === null ? null : presentMoney(account.overdraftLimitMinor, account.currency),
  version: Number(account.version),
  created_at: account.createdAt.toISOString(),
  updated_at: account.updatedAt.toISOString(),
})

export const presentTransaction = (transaction: Transaction) => ({
  id: transaction.id,
  account_id_from: transaction.accountIdFrom,
  account_id_to: transaction.accountIdTo,
  amount: presentMoney(transaction.amountMinor, transaction.currency),
  currency: transaction.currency,
  kind: transaction.kind,
  reference: transaction.reference,
  metadata: transaction.metadata,
  reverses: transaction.reverses,
  hold_id: transaction.holdId,
  version_account_id_from: Number(transaction.versionFrom),
  version_account_id_to: Number(transaction.versionTo),
  effective_at: transaction.effectiveAt.toISOString(),
  created_at: transaction.createdAt.toISOString(),
})

/** An event that has no place and does not wait was published, and where is no longer known. */
export function presentDelivery(
  id: string,
  { committedAt, askedAt, waits, places }: Delivery,
  topicPrefix: string,
) {
  const shown = [events.TransactionCreated, events.BalanceUpdated].map(({ name, topic }) => {
    const place = places.find(({ event }) => event === name)
    const isPending = !place && waits
    return {
      name,
      topic: topicPrefix + topic,
      status: isPending ? 'pending' : 'published',
      partition: place?.partition ?? null,
      offset: place?.offset ?? null,
      published_at: place?.publishedAt.toISOString() ?? null,
      waiting_seconds: isPending ? (askedAt.getTime() - committedAt.getTime()) / 1000 : null,
    }
  })
  const status = shown.some((event) => event.status === 'pending') ? 'pending' : 'published'
  return { transaction_id: id, committed_at: committedAt.toISOString(), status, events: shown }
}

export const presentHold = (hold: Hold) => ({
  id: hold.id,
  status: hold.status,
  account_id_from: hold.accountIdFrom,
  account_id_to: hold.accountIdTo,
  amount: presentMoney(hold.amountMinor, hold.currency),
  captured: hold.capturedMinor === null ? null : presentMoney(hold.capturedMinor, hold.currency),
  currency: hold.currency,
  reference: hold.reference,
  metadata: hold.metadata,
  transaction_id: hold.status === 'captured' ? hold.endedBy : null,
  version_account_id_from: Number(hold.versionEnded ?? hold.versionPlaced),
  expires_at: hold.expiresAt.toISOString(),
  created_at: hold.createdAt.toISOString(),
  ended_at: hold.endedAt?.toISOString() ?? null,
})

export const ok = (body: object, headers: Record<string, string> = {}): Response =>
  Response.json(body, { headers })

export const created = (location: string, body: object, headers: Record<string, string> = {}): Response =>
  Response.json(body, { status: 201, headers: { location, ...headers } })
