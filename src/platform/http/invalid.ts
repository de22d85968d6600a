/**
 * What a request can be refused for before anything is done. Thrown where it is read, and answered
 * in one place.
 */

/** Of the values at fault in one request, as many are named. */
export const errorsMax = 20

/** Values are well-formed JSON, but cannot be taken. A `pointer` is `#` and a JSON Pointer. */
export class InvalidValue extends Error {
  override name = 'InvalidValue'
  readonly errors: { pointer: string; detail: string }[]
  constructor(...errors: { pointer: string; detail: string }[]) {
    super(errors.length === 1 ? errors[0]?.detail : `${countOf(errors)} values are invalid`)
    this.errors = errors.slice(0, errorsMax)
  }
}

/** The body does not have the shape that the route asks for. */
export class InvalidBody extends InvalidValue {
  constructor(...errors: { pointer: string; detail: string }[]) {
    super(...errors)
    this.message = `the body has ${errors.length === 1 ? 'an invalid value' : `${countOf(errors)} invalid values`}`
  }
}

const countOf = ({ length }: object[]): string =>
  length > errorsMax ? `more than ${errorsMax}` : String(length)

/** A header, a cursor or the body as a whole cannot be read. The message says what it should be. */
export class MalformedRequest extends Error {
  override name = 'MalformedRequest'
}

export class InvalidCursor extends MalformedRequest {
  constructor() {
    super('invalid cursor; restart without one')
  }
}
