/**
 * What callers of the wallet send: the shape of each body and query, and how its values are read.
 * Shape may be refused here, business may not.
 */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { uuidPattern } from '../../contract/id'
import { currencyDefault, isCurrency, parseMoney } from '../../contract/money'
import { parseInstant, sqlBoundOf, timeExpected } from '../../contract/time'
import { InvalidValue, MalformedRequest } from '../../platform/http/app'
import { pageSizeMax } from '../../platform/http/cursor'
import { fingerprint, parseIdempotencyKey } from '../../platform/http/idempotency-key'
import { worldIdOf } from '../domain/account'
import type { Command } from '../domain/book'
import type { PlaceHold } from '../domain/hold'
import type { IdempotencyKey } from '../domain/idempotency'
import { findTimeFault, type TimeFault } from '../domain/timing'
import type { TransferMoney } from '../domain/transfer'
import { transactionKinds, transferKinds } from '../domain/types'
import { Email, lengthOf, Name, Reference } from './text'

const Id = Type.String({ pattern: uuidPattern, wanted: 'must be a UUID' })
const Currency = Type.String({ maxLength: 3, wanted: 'must be an ISO 4217 code such as BRL' })
const Amount = Type.Union([Type.Number(), Type.String()], {
  wanted: 'must be a number or a plain decimal string',
})
/** Which time it is, and whether there is such a one, is read by `parseTime` and `parseLimit`. */
const Time = Type.String({ wanted: timeExpected })
const closed = { additionalProperties: false }

/** Of the JSON text, in characters. Larger things are better kept elsewhere, and named by the reference. */
const metadataMax = 4096
const remarks = {
  reference: Type.Optional(Reference),
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { wanted: 'must be a JSON object' })),
}
const effective = { effective_at: Type.Optional(Time) }

export const NewClient = Type.Object({ name: Name, email: Email }, closed)

export const NewAccount = Type.Object(
  { client_id: Id, currency: Type.Optional(Currency), overdraft_limit: Type.Optional(Amount) },
  closed,
)

const movement = { amount: Amount, currency: Type.Optional(Currency), ...remarks, ...effective }
export const NewMovement = Type.Object(movement, closed)
export const NewTransaction = Type.Object({ account_id_from: Id, account_id_to: Id, ...movement }, closed)

/** Each is a transfer, a deposit or a withdrawal, with the accounts that go with it. */
const BatchMember = Type.Object(
  {
    kind: Type.Optional(oneOf(transferKinds)),
    account_id_from: Type.Optional(Id),
    account_id_to: Type.Optional(Id),
    ...movement,
  },
  closed,
)
export const batchMax = 1000
export const NewBatch = Type.Object(
  {
    mode: Type.Optional(oneOf(['atomic', 'best_effort'])),
    transactions: Type.Array(BatchMember, {
      minItems: 1,
      maxItems: batchMax,
      wanted: `must be a list of 1 to ${batchMax} transactions`,
    }),
  },
  closed,
)

/** Without an amount: all of it, or all that is left. */
export const NewReversal = Type.Object({ amount: Type.Optional(Amount), ...remarks, ...effective }, closed)
export const NewCapture = NewReversal
export const NewRelease = Type.Object({}, closed)

export const NewHold = Type.Object(
  {
    account_id_from: Id,
    account_id_to: Type.Optional(Id),
    amount: Amount,
    currency: Type.Optional(Currency),
    ...remarks,
    expires_at: Type.Optional(Time),
  },
  closed,
)

// As text, because that is what a query is made of.
export const TransactionQuery = Type.Object(
  {
    account_id: Type.Optional(Id),
    client_id: Type.Optional(Id),
    kind: Type.Optional(oneOf(transactionKinds)),
    since: Type.Optional(Time),
    until: Type.Optional(Time),
    limit: Type.Optional(
      Type.String({
        pattern: '^([1-9]\\d?|1\\d\\d|200)$',
        wanted: `must be a whole number from 1 to ${pageSizeMax}`,
      }),
    ),
    cursor: Type.Optional(Type.String()),
  },
  closed,
)

function oneOf<const Values extends readonly string[]>(values: Values) {
  const literals = values.map((value) => Type.Literal(value as Values[number]))
  return Type.Union(literals, { wanted: `must be one of ${values.join(', ')}` })
}

/**
 * What all movements have in common. Null is `world`, the outside: where deposits come from and
 * withdrawals go.
 */
type Asked = Static<typeof NewMovement> & {
  kind: TransferMoney['kind']
  account_id_from: string | null
  account_id_to: string | null
}

export function parseTransfer(asked: Asked, now: Date, at = '#'): TransferMoney {
  const currency = parseCurrency(asked.currency, at)
  return {
    type: 'transfer',
    id: randomUUIDv7('hex', now),
    kind: asked.kind,
    accountIdFrom: asked.account_id_from?.toLowerCase() ?? worldIdOf(currency),
    accountIdTo: asked.account_id_to?.toLowerCase() ?? worldIdOf(currency),
    amountMinor: parseAmount(asked.amount, currency, at),
    currency,
    effectiveAt: parseTime('effective_at', asked.effective_at, at),
    ...parseRemarks(asked, at),
  }
}

/** Names every member at fault, not the first only. */
export function parseBatch(members: Static<typeof NewBatch>['transactions'], now: Date): TransferMoney[] {
  const parsed = members.map((member, index) => {
    try {
      return parseMember(member, now, batchPointer(index))
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error
      return error
    }
  })
  if (!parsed.some((one) => one instanceof InvalidValue)) return parsed as TransferMoney[]
  throw new InvalidValue(
    ...parsed.flatMap((one, index) =>
      one instanceof InvalidValue ? one.errors : untimely(findTimeFault(one, now), batchPointer(index)),
    ),
  )
}

export const batchPointer = (index: number): string => `#/transactions/${index}`

const untimelyValues = {
  effective_at_in_future: ['effective_at', 'effective_at is in the future'],
  expires_at_passed: ['expires_at', 'expires_at is not in the future'],
  expires_at_too_far: ['expires_at', 'expires_at is more than a year ahead'],
} as const satisfies Record<TimeFault, [string, string]>

/** How a caller is told of a time that cannot be. */
export function untimely(fault: TimeFault | undefined, at = '#'): InvalidValue['errors'] {
  if (!fault) return []
  const [member, detail] = untimelyValues[fault]
  return [{ pointer: `${at}/${member}`, detail }]
}

function parseMember(member: Static<typeof BatchMember>, now: Date, at: string): TransferMoney {
  const { kind = 'transfer', account_id_from = null, account_id_to = null } = member
  const wanted = { account_id_from: kind !== 'deposit', account_id_to: kind !== 'withdrawal' }
  for (const [name, account] of Object.entries({ account_id_from, account_id_to })) {
    if ((account !== null) === wanted[name as keyof typeof wanted]) continue
    const detail = account === null ? `${name} is missing` : `a ${kind} has no ${name}`
    throw new InvalidValue({ pointer: `${at}/${name}`, detail })
  }
  return parseTransfer({ ...member, kind, account_id_from, account_id_to }, now, at)
}

export function parseHold(asked: Static<typeof NewHold>, now: Date): PlaceHold {
  const currency = parseCurrency(asked.currency)
  return {
    type: 'hold',
    id: randomUUIDv7('hex', now),
    accountIdFrom: asked.account_id_from.toLowerCase(),
    accountIdTo: asked.account_id_to?.toLowerCase() ?? worldIdOf(currency),
    toWorld: asked.account_id_to === undefined,
    amountMinor: parseAmount(asked.amount, currency),
    currency,
    expiresAt: parseTime('expires_at', asked.expires_at),
    ...parseRemarks(asked),
  }
}

/** The part of a reversal or a capture that the caller decides on. */
export function parsePart(asked: Static<typeof NewReversal>, currency: string, now: Date) {
  return {
    id: randomUUIDv7('hex', now),
    amountMinor: asked.amount === undefined ? null : parseAmount(asked.amount, currency),
    effectiveAt: parseTime('effective_at', asked.effective_at),
    ...parseRemarks(asked),
  }
}

type AskedRemarks = {
  reference?: string | null | undefined
  metadata?: Record<string, unknown> | null | undefined
}

function parseRemarks({ reference = null, metadata = null }: AskedRemarks, at = '#') {
  if (metadata && lengthOf(JSON.stringify(metadata)) > metadataMax)
    throw new InvalidValue({
      pointer: `${at}/metadata`,
      detail: `metadata must have at most ${metadataMax} characters as JSON`,
    })
  return { reference, metadata }
}

/**
 * A time to be stored. What is finer than we keep is refused rather than cut. Whether it is in the
 * past is for the decision to say.
 */
function parseTime(name: string, text: string | undefined, at = '#'): Date | null {
  if (text === undefined) return null
  const instant = parseInstant(text)
  const detail = !instant ? timeExpected : instant.finer ? 'must not be finer than a millisecond' : undefined
  if (!instant || detail) throw new InvalidValue({ pointer: `${at}/${name}`, detail: `${name} ${detail}` })
  return new Date(instant.ms)
}

/** A time to compare stored ones with, which may be finer than they are. */
export function parseLimit(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const instant = parseInstant(text)
  if (!instant) throw new InvalidValue({ pointer: `#/${name}`, detail: `${name} ${timeExpected}` })
  return sqlBoundOf(instant)
}

export function parseCurrency(currency: string | undefined, at = '#'): string {
  if (currency === undefined) return currencyDefault
  if (!isCurrency(currency)) {
    const detail = `${JSON.stringify(currency)} is not an ISO 4217 currency`
    throw new InvalidValue({ pointer: `${at}/currency`, detail })
  }
  return currency
}

/** Zero and negative amounts pass: to refuse them is the ledger's business. */
function parseAmount(amount: number | string, currency: string, at = '#'): bigint {
  const money = parseMoney(amount, currency)
  if (!money.ok) throw new InvalidValue({ pointer: `${at}/amount`, detail: `amount ${money.detail}` })
  return money.minor
}

export function parseOverdraftLimit(limit: number | string | undefined, currency: string): bigint {
  const money = parseMoney(limit ?? 0, currency)
  const detail = money.ok ? (money.minor < 0n ? 'must not be negative' : undefined) : money.detail
  if (!money.ok || detail)
    throw new InvalidValue({ pointer: '#/overdraft_limit', detail: `overdraft_limit ${detail}` })
  return money.minor
}

/** A request, as its route sees it. */
export type Call = { request: Request; route: string; params: Readonly<Record<string, string>> }

/**
 * What a key stands for: `asked` is what the request means, in our terms, so that the same may be
 * written in another way the second time. Names that are in it are for ever, as fingerprints are
 * made of them. `body` is what fingerprints were made of before.
 */
export type Keyed = { asked: object; body: object }

/** Null when the caller sent none: then every request is a new one. */
export function readIdempotencyKey(
  { request, route, params }: Call,
  { asked, body }: Keyed,
): IdempotencyKey | null {
  const key = parseKey(request)
  if (key === null) return null
  const { method } = request
  const path = route
    .replace(/:(\w+)/g, (_, name) => params[name]?.toLowerCase() ?? '')
    .replace(/(?<=.)\/$/, '')
  const scope = `${method} ${path}`
  const formerFingerprint = () => fingerprint(`${method} ${new URL(request.url).pathname}`, body)
  return { scope, key, fingerprint: fingerprint(scope, asked), formerFingerprint }
}

/** An empty key is a mistake, not the absence of one; so is one that does not stand alone. */
export function parseKey(request: Request): string | null {
  const header = request.headers.get('idempotency-key')
  if (header === null) return null
  const parsed = parseIdempotencyKey(header)
  if (!parsed.ok) throw new MalformedRequest(parsed.detail)
  return parsed.key
}

/** The id is ours, and another one each time. */
export const askedOf = ({ id: _, ...asked }: Command): object =>
  Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null))
