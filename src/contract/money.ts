/**
 * Money at the edges: decimal numbers outside, integer minor units (`bigint`) inside. The only file
 * that converts, both ways. A value that cannot be held exactly is refused with a reason; the one
 * exception is `parseComputedMoney`, for writers that compute in binary floating point.
 */

/** The course's services speak of money without naming a currency; this is the one they mean. */
export const currencyDefault = 'BRL'

/**
 * No amount and no balance has more than 15 significant digits, because every IEEE 754 reader of
 * JSON gives those back exactly. In minor units, inclusive, on both sides of zero.
 */
export const moneyMinorMax = 999_999_999_999_999n

/**
 * The balance of a system account is the sum over all others of its currency, so it is wider: 18
 * digits, which leaves room in a 64-bit integer for the difference of any two. Outside, what is
 * beyond 15 digits is text.
 */
export const wideMinorMax = 999_999_999_999_999_999n

/** ISO 4217, list one: the active codes of currencies with two decimals. The others are below. */
const twoDecimals =
  'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK ' +
  'DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT ' +
  'LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN ' +
  'QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS ' +
  'VED VES WST XCD XCG YER ZAR ZMW ZWG'
const noDecimals = 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'
const threeDecimals = 'BHD IQD JOD KWD LYD OMR TND'

const decimalsByCurrency = new Map<string, number>(
  (
    [
      [twoDecimals, 2],
      [noDecimals, 0],
      [threeDecimals, 3],
    ] as const
  ).flatMap(([codes, decimals]) => codes.split(' ').map((code) => [code, decimals] as const)),
)

export const isCurrency = (code: string): boolean => decimalsByCurrency.has(code)

export type ParsedMoney = { ok: true; minor: bigint } | { ok: false; detail: string }

/**
 * Reads a decimal, given as JSON number or as plain decimal string, as minor units of the currency.
 * Zero and negative values pass: whether they make sense is for the caller to say. Refuses more
 * decimals than the currency has, more digits than `minorMax` (a number never has more than 15),
 * exponents in strings.
 */
export function parseMoney(value: unknown, currency: string, minorMax = moneyMinorMax): ParsedMoney {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) return refuse(`${JSON.stringify(currency)} is not an ISO 4217 currency`)
  if (typeof value !== 'number' && typeof value !== 'string')
    return refuse('must be a number or a plain decimal string')

  // The shortest text that reads back as the same number is the one that was written, as long as it
  // has at most 15 digits.
  const match = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?$/.exec(typeof value === 'number' ? numberText(value) : value)
  if (!match) return refuse('must be a plain decimal such as 100 or 10.25')
  const [, sign, whole = '', fraction = ''] = match
  // Zeros at the end say nothing, in a text as in a number.
  if (/[1-9]/.test(fraction.slice(decimals)))
    return refuse(`must have at most ${decimals} decimals in ${currency}`)
  const max = typeof value === 'number' ? moneyMinorMax : minorMax
  if (whole.length + decimals > 19) return tooWide(max)

  const minor = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'))
  if (minor > max) return tooWide(max)
  return { ok: true, minor: sign ? -minor : minor }
}

/**
 * How many representable numbers a computed one may be away from a minor unit. Each addition or
 * subtraction adds at most half of one.
 */
const computedUlpsMax = 8n

/**
 * Like `parseMoney`, for numbers that their writer has computed in binary floating point, as 1000 -
 * 0.3 - 0.2: one that is at most
 * `computedUlpsMax` units in the last place away from a minor unit is that minor unit. Below one major unit those of one major unit count,
 * since what is left of larger numbers carries their error. Anything further away is refused, and
 * so is whatever is so large that minor units are no longer far apart from each other by this
 * measure. Exact: the double is taken as the fraction that it is.
 */
export function parseComputedMoney(value: number, currency: string): ParsedMoney {
  const exact = parseMoney(value, currency)
  const decimals = decimalsByCurrency.get(currency)
  if (exact.ok || decimals === undefined || !Number.isFinite(value)) return exact

  const { mantissa, exponent } = fractionOf(value)
  if (exponent >= 0) return exact
  // All in units of 2^exponent, times 10^decimals: the value, and one minor unit.
  const scale = 10n ** BigInt(decimals)
  const scaled = mantissa * scale
  const unit = 1n << BigInt(-exponent)
  const minor = (2n * scaled + unit) / (2n * unit)
  // The larger of the two spacings when the minor unit is across a power of two.
  const spacing = minor * unit >= scale << 53n ? 2n : 1n
  const ulp = exponent < -52 ? 1n << BigInt(-52 - exponent) : spacing
  // Half of one more: the minor unit itself is a rounded double.
  const doubledLimit = (2n * computedUlpsMax + 1n) * scale * ulp
  const doubledDistance = 2n * (scaled > minor * unit ? scaled - minor * unit : minor * unit - scaled)
  if (doubledDistance > doubledLimit || 2n * doubledLimit > unit || minor > moneyMinorMax) return exact
  return { ok: true, minor: value < 0 ? -minor : minor }
}

/** The magnitude of a finite double is mantissa · 2^exponent, without remainder. */
function fractionOf(value: number): { mantissa: bigint; exponent: number } {
  const bits = BigInt.asUintN(63, new BigInt64Array(new Float64Array([value]).buffer)[0] ?? 0n)
  const biased = Number(bits >> 52n)
  const fraction = BigInt.asUintN(52, bits)
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 }
}

/**
 * How money is shown: a number up to 15 significant digits, the exact decimal as text beyond, null
 * where this version does not know the currency.
 */
export type ShownMoney = number | string | null

/** What JSON shows for an amount of minor units. Never throws: whatever is stored can be shown. */
export function presentMoney(minor: bigint, currency: string): ShownMoney {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) return null
  // Both operands are exact, and division is correctly rounded, so this is the double nearest to
  // the decimal: the one its text stands for.
  return isExactNumber(minor) ? Number(minor) / 10 ** decimals : decimalText(minor, decimals)
}

/**
 * The number that an event bears for an amount: beyond 15 digits the nearest one there is, and
 * `exactMoney` has the amount itself.
 */
export function moneyNumber(minor: bigint, currency: string): number {
  return Number(presentMoney(minor, currency) ?? Number.NaN)
}

/** The exact decimal of an amount that no number of 15 digits can say; undefined for all others. */
export const exactMoney = (minor: bigint, currency: string): string | undefined =>
  isExactNumber(minor) ? undefined : decimalText(minor, decimalsOf(currency))

const isExactNumber = (minor: bigint): boolean => minor <= moneyMinorMax && minor >= -moneyMinorMax

function decimalsOf(currency: string): number {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) throw new RangeError(`${currency} is not an ISO 4217 currency`)
  return decimals
}

function decimalText(minor: bigint, decimals: number): string {
  const digits = String(minor < 0n ? -minor : minor).padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  return `${minor < 0n ? '-' : ''}${whole}${decimals > 0 ? `.${digits.slice(-decimals)}` : ''}`
}

/**
 * JavaScript writes numbers below 1e-6 with an exponent. They have too many decimals for any
 * currency, whichever these are.
 */
function numberText(value: number): string {
  const text = String(value)
  return /e-/.test(text) ? '0.0000001' : text
}

const tooWide = (max: bigint): ParsedMoney =>
  refuse(`must have at most ${String(max).length} significant digits`)

const refuse = (detail: string): ParsedMoney => ({ ok: false, detail })
