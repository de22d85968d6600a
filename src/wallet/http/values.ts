/** Values that several routes of the wallet read: their schemas, and how each is parsed. */
import { type Static, Type } from '@sinclair/typebox'
import { isUuid, uuidPattern } from '../../contract/id'
import { currencyDefault, isCurrency, parseMoney, presentMoney } from '../../contract/money'
import type { Money } from '../../contract/schemas'
import { parseInstant, sqlBoundOf, timeExpected } from '../../contract/time'
import { InvalidValue } from '../../platform/http/invalid'
import { described, documentedAs } from '../../platform/http/schemas'
import { withUnavailableFault } from '../../platform/postgres/failures'
import type { Metadata } from '../domain/types'
import { lengthOf, Reference } from './text'

const uuidText = { type: 'string', format: 'uuid' }
export const id = (description: string) =>
  Type.String({
    pattern: uuidPattern,
    expected: 'must be a UUID',
    description,
    [documentedAs]: uuidText,
  })
/** Of a path. What is no UUID is not found. */
export const pathId = (description: string) => Type.String({ format: 'uuid', description })
export const CurrencyCode = Type.String({
  maxLength: 3,
  expected: 'must be an ISO 4217 code such as BRL',
  description: `ISO 4217; ${currencyDefault} when absent.`,
  [documentedAs]: { type: 'string', pattern: '^[A-Z]{3}$', default: currencyDefault, examples: ['BRL'] },
})
/** Of a list. */
export const CurrencyFilter = Type.String({
  description: 'Those in this currency (ISO 4217).',
  [documentedAs]: { type: 'string', pattern: '^[A-Z]{3}$', examples: ['BRL'] },
})
export const Amount = Type.Union([Type.Number(), Type.String()], {
  expected: 'must be a number or a plain decimal string',
  description:
    'In major units of the currency, greater than zero: a number or the same as text, with at most the ' +
    'decimals of the currency and 15 digits.',
  [documentedAs]: {
    anyOf: [
      { type: 'number', exclusiveMinimum: 0 },
      { type: 'string', pattern: '^\\d+(\\.\\d+)?$' },
    ],
    examples: [100, '10.25'],
  },
})
/** Whether it is a time is for `parseTime` and `parseBound`. */
export const moment = (description: string) =>
  Type.String({
    expected: timeExpected,
    description,
    [documentedAs]: { type: 'string', format: 'date-time', examples: ['2024-01-31T00:00:00Z'] },
  })

/** Of the JSON text, in characters. Larger things are better kept elsewhere and named by the reference. */
const metadataMax = 4096
export const remarks = {
  reference: Type.Optional(Reference),
  metadata: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      expected: 'must be a JSON object',
      description: `A JSON object of at most ${metadataMax} characters.`,
    }),
  ),
}
export const effective = {
  effective_at: Type.Optional(
    moment(
      'From when it counts in the books: not in the future, with at most milliseconds. Now when absent.',
    ),
  ),
}
export const movement = { amount: Amount, currency: Type.Optional(CurrencyCode), ...remarks, ...effective }

/** Members of a reversal or a capture. Without an amount: all that is left. */
export const part = {
  amount: Type.Optional(described(Amount, 'As of a movement. All that is left when absent.')),
  ...remarks,
  ...effective,
}

type RemarksBody = {
  reference?: string | null | undefined
  metadata?: Metadata | null | undefined
}

export function parseRemarks({ reference = null, metadata = null }: RemarksBody, at = '#') {
  if (metadata && lengthOf(JSON.stringify(metadata)) > metadataMax)
    throw new InvalidValue({
      pointer: `${at}/metadata`,
      detail: `metadata must have at most ${metadataMax} characters as JSON`,
    })
  return { reference, metadata }
}

/**
 * A time to be stored. What is finer than the ledger keeps is refused, not rounded. Whether it is in
 * the past is for the decision to say.
 */
export function parseTime(name: string, text: string | undefined, at = '#'): Date | null {
  if (text === undefined) return null
  const instant = parseInstant(text)
  const detail = !instant ? timeExpected : instant.finer ? 'must not be finer than a millisecond' : undefined
  if (!instant || detail) throw new InvalidValue({ pointer: `${at}/${name}`, detail: `${name} ${detail}` })
  return new Date(instant.ms)
}

/** A time to compare stored ones with, which may be finer than they are. */
export function parseBound(name: string, text: string | undefined): string | undefined {
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
export function parseAmount(amount: number | string, currency: string, at = '#'): bigint {
  const money = parseMoney(amount, currency)
  if (!money.ok) throw new InvalidValue({ pointer: `${at}/amount`, detail: `amount ${money.detail}` })
  return money.minor
}

/** The ledger holds no currency that it does not know. */
export const showMoney = (minor: bigint, currency: string) =>
  presentMoney(minor, currency) as Static<typeof Money>

/** An id that is not a UUID cannot exist. */
export async function findById<T>(
  id: string,
  find: (id: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  return isUuid(id) ? withUnavailableFault(find(id.toLowerCase())) : undefined
}
