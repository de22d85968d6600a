/** Reads JSON without letting a number change on the way. */

/** The text is JSON, but one of its numbers is not what a double can hold: reading it would change the value unnoticed. */
export class InexactNumber extends Error {
  override name = 'InexactNumber'
  constructor(readonly source: string) {
    super(
      `the number ${source.length > 40 ? `${source.slice(0, 40)}…` : source} has more digits than can be read exactly`,
    )
  }
}

/** A run of 16 digits, with or without a point. Texts without one, nearly all, take the fast road. */
const manyDigits = /\d[\d.]{15}/

/** Like `JSON.parse`, and throws `InexactNumber` where a number of more than 15 digits would be rounded. Text that is not JSON throws a `SyntaxError`. */
export function parseJson(text: string): unknown {
  return manyDigits.test(text) ? JSON.parse(text, refuseRounded) : JSON.parse(text)
}

/** The third argument is the source text of a primitive (ECMAScript, JSON.parse source text access); TypeScript does not know it yet. */
function refuseRounded(this: unknown, _key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value
  if (
    significantDigits(context.source).length > 15 &&
    significantDigits(String(value)) !== significantDigits(context.source)
  )
    throw new InexactNumber(context.source)
  return value
}

/** Digits without sign, point, exponent and surrounding zeros: two texts of one magnitude are the same number when these are. */
function significantDigits(source: string): string {
  const mantissa = source.replace(/[eE].*$/, '')
  return mantissa.replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '')
}
