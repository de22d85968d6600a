/** What callers of the wallet send: the shape of each body and query, and how its values are read. Shape may be refused here, business may not. */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { uuidPattern } from '../contract/id'
import { currencyDefault, isCurrency, parseMoney } from '../contract/money'
import { limitOf, parseInstant, timeWanted } from '../contract/time'
import { pageSizeMax } from '../platform/cursor'
import { InvalidValue, MalformedRequest } from '../platform/http'
import { fingerprint, parseIdempotencyKey } from '../platform/idempotency-key'
import { worldIdOf } from './domain/account'
import type { PlaceHold } from './domain/hold'
import type { IdempotencyKey } from './domain/idempotency'
import { transactionKinds, transferKinds } from './domain/movement'
import type { TransferMoney } from './domain/transfer'
import { Email, lengthOf, Name, Reference } from './http-text'

const Id = Type.String({ pattern: uuidPattern, wanted: 'must be a UUID' })
const Currency = Type.String({ maxLength: 3, wanted: 'must be an ISO 4217 code such as BRL' })
const Amount = Type.Union([Type.Number(), Type.String()], { wanted: 'must be a number or a plain decimal string' })
/** Which time it is, and whether there is such a one, is read by `parseTime` and `parseLimit`. */
const Time = Type.String({ wanted: timeWanted })
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
/** A hold that nobody ends, ends by itself after this time; none may last longer than a year. In milliseconds. */
const dayMs = 24 * 60 * 60 * 1000
const holdMs = { byDefault: 7 * dayMs, longest: 366 * dayMs }

// As text, because that is what a query is made of.
export const TransactionQuery = Type.Object(
  {
    account_id: Type.Optional(Id),
    client_id: Type.Optional(Id),
    kind: Type.Optional(oneOf(transactionKinds)),
    since: Type.Optional(Time),
    until: Type.Optional(Time),
    limit: Type.Optional(
      Type.String({ pattern: '^([1-9]\\d?|1\\d\\d|200)$', wanted: `must be a whole number from 1 to ${pageSizeMax}` }),
    ),
    cursor: Type.Optional(Type.String()),
  },
  closed,
)

function oneOf<const Values extends readonly string[]>(values: Values) {
  const literals = values.map((value) => Type.Literal(value as Values[number]))
  return Type.Union(literals, { wanted: `must be one of ${values.join(', ')}` })
}

/** What all movements have in common. Null is `world`, the outside: where deposits come from and withdrawals go. */
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
    effectiveAt: parseEffectiveAt(asked.effective_at, now, at),
    ...parseRemarks(asked, at),
  }
}

/** Names every member at fault, not the first only. */
export function parseBatch(members: Static<typeof NewBatch>['transactions'], now: Date): TransferMoney[] {
  const errors: InvalidValue['errors'] = []
  const commands = members.flatMap((member, index) => {
    try {
      return parseMember(member, now, `#/transactions/${index}`)
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error
      errors.push(...error.errors)
      return []
    }
  })
  if (errors.length > 0) throw new InvalidValue(...errors)
  return commands
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
  const expiresAt = parseTime('expires_at', asked.expires_at) ?? new Date(now.getTime() + holdMs.byDefault)
  const lastsMs = expiresAt.getTime() - now.getTime()
  if (lastsMs <= 0) throw new InvalidValue({ pointer: '#/expires_at', detail: 'expires_at is not in the future' })
  if (lastsMs > holdMs.longest)
    throw new InvalidValue({ pointer: '#/expires_at', detail: 'expires_at is more than a year ahead' })
  return {
    type: 'hold',
    id: randomUUIDv7('hex', now),
    accountIdFrom: asked.account_id_from.toLowerCase(),
    accountIdTo: asked.account_id_to?.toLowerCase() ?? worldIdOf(currency),
    toWorld: asked.account_id_to === undefined,
    amountMinor: parseAmount(asked.amount, currency),
    currency,
    expiresAt,
    ...parseRemarks(asked),
  }
}

/** The part of a reversal or a capture that the caller decides on. */
export function parsePart(asked: Static<typeof NewReversal>, currency: string, now: Date) {
  return {
    id: randomUUIDv7('hex', now),
    amountMinor: asked.amount === undefined ? null : parseAmount(asked.amount, currency),
    effectiveAt: parseEffectiveAt(asked.effective_at, now),
    ...parseRemarks(asked),
  }
}

type AskedRemarks = { reference?: string | null | undefined; metadata?: Record<string, unknown> | null | undefined }

function parseRemarks({ reference = null, metadata = null }: AskedRemarks, at = '#') {
  if (metadata && lengthOf(JSON.stringify(metadata)) > metadataMax)
    throw new InvalidValue({
      pointer: `${at}/metadata`,
      detail: `metadata must have at most ${metadataMax} characters as JSON`,
    })
  return { reference, metadata }
}

/** What is to count later is to be sent later: the balance would be ahead of the books. */
function parseEffectiveAt(text: string | undefined, now: Date, at = '#'): Date | null {
  const effectiveAt = parseTime('effective_at', text, at) ?? null
  if (effectiveAt && effectiveAt > now)
    throw new InvalidValue({ pointer: `${at}/effective_at`, detail: 'effective_at is in the future' })
  return effectiveAt
}

/** A time to be stored. What is finer than we keep is refused rather than cut. */
function parseTime(name: string, text: string | undefined, at = '#'): Date | undefined {
  if (text === undefined) return undefined
  const instant = parseInstant(text)
  const detail = !instant ? timeWanted : instant.finer ? 'must not be finer than a millisecond' : undefined
  if (!instant || detail) throw new InvalidValue({ pointer: `${at}/${name}`, detail: `${name} ${detail}` })
  return new Date(instant.ms)
}

/** A time to compare stored ones with, which may be finer than they are. */
export function parseLimit(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const instant = parseInstant(text)
  if (!instant) throw new InvalidValue({ pointer: `#/${name}`, detail: `${name} ${timeWanted}` })
  return limitOf(instant)
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
  if (!money.ok || detail) throw new InvalidValue({ pointer: '#/overdraft_limit', detail: `overdraft_limit ${detail}` })
  return money.minor
}

/** Null when the caller sent none: then every request is a new one. An empty key is a mistake, not the absence of one. */
export function readIdempotencyKey(request: Request, body: object): IdempotencyKey | null {
  const header = request.headers.get('idempotency-key')
  if (header === null) return null

  const scope = `${request.method} ${new URL(request.url).pathname}`
  const parsed = parseIdempotencyKey(header)
  if (!parsed.ok) throw new MalformedRequest(parsed.detail)
  return { scope, key: parsed.key, fingerprint: fingerprint(scope, body) }
}
