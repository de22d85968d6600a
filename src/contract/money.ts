/**
 * Money at the edges: decimal numbers outside, integer minor units (`bigint`) inside. The only file that converts, both ways,
 * and nothing is ever rounded: a value that cannot be held exactly is refused with a reason.
 */

/** The course's services speak of money without naming a currency; this is the one they mean. */
export const currencyDefault = 'BRL'

/**
 * No amount and no balance has more than 15 significant digits, because every IEEE 754 reader of JSON gives those back exactly.
 * In minor units, inclusive, on both sides of zero.
 */
export const moneyMinorMax = 999_999_999_999_999n

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
 * Reads a decimal, given as JSON number or as plain decimal string, as minor units of the currency. Zero and negative values pass: whether
 * they make sense is for the caller to say. Refuses more decimals than the currency has, more than 15 significant digits, exponents in strings.
 */
export function parseMoney(value: unknown, currency: string): ParsedMoney {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) return refuse(`${JSON.stringify(currency)} is not an ISO 4217 currency`)
  if (typeof value !== 'number' && typeof value !== 'string')
    return refuse('must be a number or a plain decimal string')

  // The shortest text that reads back as the same number is the one that was written, as long as it has at most 15 digits.
  const match = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?$/.exec(typeof value === 'number' ? numberText(value) : value)
  if (!match) return refuse('must be a plain decimal such as 100 or 10.25')
  const [, sign, whole = '', fraction = ''] = match
  // Zeros at the end say nothing, in a text as in a number.
  if (/[1-9]/.test(fraction.slice(decimals))) return refuse(`must have at most ${decimals} decimals in ${currency}`)
  if (whole.length + decimals > 19) return refuse('must have at most 15 significant digits')

  const minor = BigInt(whole + fraction.slice(0, decimals).padEnd(decimals, '0'))
  if (minor > moneyMinorMax) return refuse('must have at most 15 significant digits')
  return { ok: true, minor: sign ? -minor : minor }
}

/** The number that JSON shows for an amount of minor units. Asserts the 15 digits, since past them the number would be another one. */
export function presentMoney(minor: bigint, currency: string): number {
  const decimals = decimalsByCurrency.get(currency)
  if (decimals === undefined) throw new RangeError(`${currency} is not an ISO 4217 currency`)
  if (minor > moneyMinorMax || minor < -moneyMinorMax) throw new RangeError(`${minor} has more than 15 digits`)
  // Both operands are exact, and division is correctly rounded, so this is the double nearest to the decimal: the one its text stands for.
  return Number(minor) / 10 ** decimals
}

/** JavaScript writes numbers below 1e-6 with an exponent. They have too many decimals for any currency, so their plain text may be long. */
function numberText(value: number): string {
  const text = String(value)
  return /e-/.test(text) ? value.toFixed(20) : text
}

const refuse = (detail: string): ParsedMoney => ({ ok: false, detail })
