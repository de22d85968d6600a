/** Invalid requests. Thrown where they are parsed, and turned into problems in one place. */

/** Invalid values reported for one request. */
export const errorsMax = 20

/** Well-formed JSON with invalid values. A `pointer` is `#` and a JSON Pointer. */
export class InvalidValue extends Error {
  override name = 'InvalidValue'
  readonly errors: { pointer: string; detail: string }[]
  constructor(...errors: { pointer: string; detail: string }[]) {
    super(errors.length === 1 ? errors[0]?.detail : `${countOf(errors)} values are invalid`)
    this.errors = errors.slice(0, errorsMax)
  }
}

/** Parses each. Throws one `InvalidValue` with what is invalid in any of them. */
export function parseEach<From, To>(all: readonly From[], parse: (one: From, index: number) => To): To[] {
  const parsed: To[] = []
  const errors: InvalidValue['errors'] = []
  for (const [index, one] of all.entries())
    try {
      parsed.push(parse(one, index))
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error
      errors.push(...error.errors)
    }
  if (errors.length > 0) throw new InvalidValue(...errors)
  return parsed
}

/** The body does not match the schema of the route. */
export class InvalidBody extends InvalidValue {
  constructor(...errors: { pointer: string; detail: string }[]) {
    super(...errors)
    const count = errors.length === 1 ? 'an invalid value' : `${countOf(errors)} invalid values`
    this.message = `the body has ${count}`
  }
}

const countOf = ({ length }: object[]): string =>
  length > errorsMax ? `more than ${errorsMax}` : String(length)

/** A header, a cursor or the body cannot be parsed. The message says what is expected. */
export class MalformedRequest extends Error {
  override name = 'MalformedRequest'
}

export class InvalidCursor extends MalformedRequest {
  constructor() {
    super('invalid cursor; restart without one')
  }
}
