/**
 * Converts money between decimals at the edges and integer minor units (`bigint`) inside. A value that
 * cannot be held exactly is refused with a reason; the one exception is `parseComputedMoney`, for
 * writers that compute in binary floating point.
 */

/** The currency of the course's services, which name none. */
export const currencyDefault = 'BRL'

/**
 * Amounts and balances have at most 15 significant digits, which every reader of JSON holds exactly
 * (IEEE 754). In minor units, inclusive, on both sides of zero.
 */
export const moneyMinorMax = 999_999_999_999_999n

/**
 * The balance of a system account is the sum over all others of its currency: up to 18 digits, which
 * leaves room in a 64-bit integer for the difference of any two. Beyond 15 digits it is shown as text.
 */
export const wideMinorMax = 999_999_999_999_999_999n

/** ISO 4217, list one: the active codes of currencies, by their number of decimals. */
const currencies = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF',
  2:
    'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD ' +
    'CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD ' +
    'HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL ' +
    'MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR ' +
    'PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL ' +
    'THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG',
  3: 'BHD IQD JOD KWD LYD OMR TND',
}

const decimalsByCurrency = new Map<string, number>(
  Object.entries(currencies).flatMap(([decimals, codes]) =>
    codes.split(' ').map((code) => [code, Number(decimals)] as const),
  ),
)

export const isCurrency = (code: string): boolean => decimalsByCurrency.has(code)

export type ParsedMoney = { ok: true; minor: bigint } | { ok: false; detail: string }

/**
 * Parses a JSON number or a plain decimal string into minor units. Zero and negative values pass: the
 * caller decides about them. Refuses more decimals than the currency has, values beyond `minorMax` (a
 * number never has more than 15 digits), and exponents in strings.
 */
export function parseMoney(value: unknown, currency: string, minorMax = moneyMinorMax): ParsedMoney {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) return refuse(`${JSON.stringify(currency)} is not an ISO 4217 currency`)
  if (typeof value !== 'number' && typeof value !== 'string')
    return refuse('must be a number or a plain decimal string')
  const usual = typeof value === 'number' ? minorUnitsOf(value, decimals) : undefined
  if (usual !== undefined) return { ok: true, minor: BigInt(usual) }

  // Up to 15 digits, the shortest text that reads back as the same number is what was written.
  const match = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?$/.exec(typeof value === 'number' ? numberText(value) : value)
  if (!match) return refuse('must be a plain decimal such as 100 or 10.25')
  const [, sign, whole = '', fraction = ''] = match
  // Trailing zeros are insignificant.
  if (/[1-9]/.test(fraction.slice(decimals)))
    return refuse(`must have at most ${decimals} decimals in ${currency}`)
  const max = typeof value === 'number' ? moneyMinorMax : minorMax
  if (whole.length + decimals > 19) return tooWide(max)

  const minor = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'))
  if (minor > max) return tooWide(max)
  return { ok: true, minor: sign ? -minor : minor }
}

/**
 * The minor units whose decimal reads as this number. Of decimals with up to 15 digits at most one does, so
 * it is what was written. The text of the number would take six times as long.
 */
function minorUnitsOf(value: number, decimals: number): number | undefined {
  const unit = 10 ** decimals
  const minor = Math.round(value * unit)
  return minor / unit === value && Math.abs(minor) <= Number(moneyMinorMax) ? minor : undefined
}

/** Tolerance in units in the last place. Each addition or subtraction adds at most half of one. */
const computedUlpsMax = 8n

/**
 * Like `parseMoney`, for numbers that were computed in binary floating point, such as 1000 - 0.3 - 0.2:
 * a number within `computedUlpsMax` units in the last place of a minor unit is that minor unit. Below
 * one major unit the units of 1 count, since a small difference carries the error of large operands.
 * Refuses anything further away, and numbers so large that this tolerance cannot tell neighbouring
 * minor units apart. Computes on the exact fraction of the double.
 */
export function parseComputedMoney(value: number, currency: string): ParsedMoney {
  const exact = parseMoney(value, currency)
  const decimals = decimalsByCurrency.get(currency)
  if (exact.ok || decimals === undefined || !Number.isFinite(value)) return exact

  const { mantissa, exponent } = fractionOf(value)
  if (exponent >= 0) return exact
  // Value and minor unit, both in units of 2^exponent and scaled by 10^decimals.
  const scale = 10n ** BigInt(decimals)
  const scaled = mantissa * scale
  const unit = 1n << BigInt(-exponent)
  const minor = (2n * scaled + unit) / (2n * unit)
  // The larger spacing of the two, if the minor unit lies across a power of two.
  const spacing = minor * unit >= scale << 53n ? 2n : 1n
  const ulp = exponent < -52 ? 1n << BigInt(-52 - exponent) : spacing
  // Plus half of one, because the minor unit itself is rounded to a double.
  const doubledLimit = (2n * computedUlpsMax + 1n) * scale * ulp
  const doubledDistance = 2n * (scaled > minor * unit ? scaled - minor * unit : minor * unit - scaled)
  if (doubledDistance > doubledLimit || 2n * doubledLimit > unit || minor > moneyMinorMax) return exact
  return { ok: true, minor: value < 0 ? -minor : minor }
}

/** The magnitude of a finite double is exactly mantissa · 2^exponent. */
function fractionOf(value: number): { mantissa: bigint; exponent: number } {
  const bits = BigInt.asUintN(63, new BigInt64Array(new Float64Array([value]).buffer)[0] ?? 0n)
  const biased = Number(bits >> 52n)
  const fraction = BigInt.asUintN(52, bits)
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 }
}

/** A number up to 15 significant digits, beyond them the exact decimal; null for an unknown currency. */
export type ShownMoney = number | string | null

/** An amount in JSON. Never throws: anything that is stored can be shown. */
export function presentMoney(minor: bigint, currency: string): ShownMoney {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) return null
  // Exact operands and correctly rounded division: the double nearest to the decimal.
  return isExactNumber(minor) ? Number(minor) / 10 ** decimals : decimalText(minor, decimals)
}

/** An amount in an event: beyond 15 digits the nearest number, with `exactMoney` beside it. */
export function moneyNumber(minor: bigint, currency: string): number {
  return Number(presentMoney(minor, currency) ?? Number.NaN)
}

/** The exact decimal of an amount of more than 15 digits; undefined for all others. */
export function exactMoney(minor: bigint, currency: string): string | undefined {
  const shown = presentMoney(minor, currency)
  return typeof shown === 'string' ? shown : undefined
}

const isExactNumber = (minor: bigint): boolean => minor <= moneyMinorMax && minor >= -moneyMinorMax

function decimalText(minor: bigint, decimals: number): string {
  const digits = String(minor < 0n ? -minor : minor).padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  return `${minor < 0n ? '-' : ''}${whole}${decimals > 0 ? `.${digits.slice(-decimals)}` : ''}`
}

/** Tiny numbers, which JavaScript writes with an exponent, have too many decimals for any currency. */
const numberText = (value: number): string =>
  value !== 0 && Math.abs(value) < 1e-6 ? '0.0000001' : String(value)

const tooWide = (max: bigint): ParsedMoney =>
  refuse(`must have at most ${String(max).length} significant digits`)

const refuse = (detail: string): ParsedMoney => ({ ok: false, detail })
