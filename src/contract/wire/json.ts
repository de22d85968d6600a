/**
 * Parses JSON without changing a value, in time linear in the length of the text. `JSON.parse` does
 * the parsing; a scan before it rejects what it would alter, or read at unbounded cost.
 */

/** Depth of nesting. No event or request of ours is deeper than six. */
export const depthMax = 32

/** Members of one object, or items of one list. A batch has up to a thousand, metadata may have more. */
export const membersMax = 5000

/** JSON that cannot be read without changing a value. `pointer` is a JSON Pointer as URI fragment. */
export abstract class UnfaithfulJson extends Error {
  constructor(
    message: string,
    readonly pointer: string,
  ) {
    super(message)
  }
}

/** A number that a double cannot hold exactly. */
export class InexactNumber extends UnfaithfulJson {
  override name = 'InexactNumber'
  constructor(
    readonly source: string,
    pointer: string,
  ) {
    super(`the number ${clip(source)} cannot be read exactly`, pointer)
  }
}

/** Half of a surrogate pair, which UTF-8 cannot encode. */
export class BrokenText extends UnfaithfulJson {
  override name = 'BrokenText'
  constructor(pointer: string) {
    super('a text has half of a surrogate pair', pointer)
  }
}

/** The same member twice: parsers differ in which one counts. An error, as in I-JSON (RFC 7493). */
export class DuplicateMember extends SyntaxError {
  override name = 'DuplicateMember'
  constructor(member: string, pointer: string) {
    super(`${pointer} has the member ${clip(JSON.stringify(member))} twice`)
  }
}

export class TooDeep extends SyntaxError {
  override name = 'TooDeep'
  constructor() {
    super(`it is nested more than ${depthMax} levels deep`)
  }
}

export class TooWide extends SyntaxError {
  override name = 'TooWide'
  constructor() {
    super(`an object or a list has more than ${membersMax} members`)
  }
}

/**
 * Like `JSON.parse`, but throws `InexactNumber`, `BrokenText`, `DuplicateMember`, `TooDeep` or
 * `TooWide` where that would alter what was written. Text that is not JSON throws a `SyntaxError`.
 */
export function parseJson(text: string): unknown {
  scan(text, reject)
  return JSON.parse(text)
}

/**
 * Like `parseJson`, but inexact numbers are read as the nearest double and listed: a writer may print
 * its doubles with more digits than identify them. Numbers beyond the range of doubles still throw.
 */
export function parseRoundedJson(text: string): { value: unknown; rounded: InexactNumber[] } {
  const rounded: InexactNumber[] = []
  scan(text, (number) => {
    const value = Number(number.source)
    if (!Number.isFinite(value) || value === 0 || rounded.length === roundedMax) throw number
    rounded.push(number)
  })
  return { value: JSON.parse(text), rounded }
}

/** More than the numbers of any event. */
const roundedMax = 10

type OnInexact = (number: InexactNumber) => void
const reject: OnInexact = (number) => {
  throw number
}

/** An object or list that the scan is inside. */
type Frame = {
  /** Members of an object so far; null for a list. */
  members: Set<string> | null
  /** The current member or item. */
  at: string | number
  /** Whether the next text is the name of a member. */
  expectsName: boolean
}

const [
  quote,
  comma,
  plus,
  minus,
  point,
  zero,
  nine,
  openList,
  backslash,
  closeList,
  openObject,
  closeObject,
] = [0x22, 0x2c, 0x2b, 0x2d, 0x2e, 0x30, 0x39, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d] as const

/** Checks structure only: what is not JSON passes, for `JSON.parse` to reject. */
function scan(text: string, onInexact: OnInexact): void {
  const hasEscapes = text.includes('\\')
  const frames: Frame[] = []
  let frame: Frame | undefined
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === quote) {
      const end = hasEscapes ? endOfText(text, index) : text.indexOf('"', index + 1)
      // An unterminated text runs to the end.
      if (end === -1) return
      const isName = frame?.members && frame.expectsName
      if (isName) enterMember(frames, frame as Frame, text.slice(index + 1, end))
      else if (hasEscapes) readText(text.slice(index + 1, end), frames)
      index = end
    } else if (code === comma) {
      if (!frame) continue
      if (frame.members) frame.expectsName = true
      else if (++(frame.at as number) >= membersMax) throw new TooWide()
    } else if (code === openObject || code === openList) {
      if (frames.length === depthMax) throw new TooDeep()
      const isObject = code === openObject
      frame = { members: isObject ? new Set() : null, at: isObject ? '' : 0, expectsName: isObject }
      frames.push(frame)
    } else if (code === closeObject || code === closeList) {
      frames.pop()
      frame = frames[frames.length - 1]
    } else if (isDigit(code) || code === minus) {
      index = passNumber(text, index, frames, onInexact) - 1
    }
  }
}

function enterMember(frames: Frame[], frame: Frame, source: string): void {
  // Compare decoded names: "\u0061" is "a".
  const member = source.includes('\\') ? readText(source, frames.slice(0, -1)) : source
  if (frame.members?.has(member)) throw new DuplicateMember(member, pointerOf(frames.slice(0, -1)))
  frame.members?.add(member)
  if ((frame.members?.size ?? 0) > membersMax) throw new TooWide()
  frame.at = member
  frame.expectsName = false
}

/** The index of the closing quote, or -1. */
function endOfText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++
    if (escapes % 2 === 0) return end
  }
  return -1
}

/** The text between two quotes. Only escapes can contain half of a pair: in bytes it is invalid UTF-8. */
function readText(source: string, frames: readonly Frame[]): string {
  if (!source.includes('\\')) return source
  const value: string = JSON.parse(`"${source}"`)
  if (!value.isWellFormed()) throw new BrokenText(pointerOf(frames))
  return value
}

/** Checks a number, and returns its end. */
function passNumber(text: string, start: number, frames: readonly Frame[], onInexact: OnInexact): number {
  let end = start + 1
  let exponentAt = 0
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (isDigit(code) || code === point || code === plus || code === minus) continue
    // e and E
    if ((code | 0x20) !== 0x65) break
    exponentAt = end
  }
  // Fifteen digits are exact in any double, unless the exponent takes them near the ends of its range.
  if (end - start <= 15 && (exponentAt === 0 || end - exponentAt <= 3)) return end
  const source = text.slice(start, end)
  if (!isExact(source)) onInexact(new InexactNumber(source, pointerOf(frames)))
  return end
}

const isDigit = (code: number): boolean => code >= zero && code <= nine

function pointerOf(frames: readonly Frame[]): string {
  const path = frames.map(({ at }) => `/${String(at).replaceAll('~', '~0').replaceAll('/', '~1')}`)
  return `#${path.join('')}`
}

function isExact(source: string): boolean {
  const value = Number(source)
  // Not a number: `JSON.parse` rejects it.
  if (Number.isNaN(value)) return true
  if (!Number.isFinite(value)) return false
  const [written, read] = [decimalOf(source), decimalOf(String(value))]
  return written.digits === read.digits && (written.digits === '' || written.exponent === read.exponent)
}

/** The canonical form 0.digits × 10^exponent, without leading and trailing zeros. */
function decimalOf(source: string): { digits: string; exponent: number } {
  const [mantissa = '', exponent = '0'] = source.replace(/^-/, '').toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const all = whole + fraction
  const leading = all.search(/[1-9]|$/)
  const trailing = endOfDigits(all)
  return { digits: all.slice(leading, trailing), exponent: whole.length - leading + Number(exponent) }
}

/**
 * The end of the last non-zero digit. Not a regular expression, which takes quadratic time on a long
 * run of zeros.
 */
function endOfDigits(digits: string): number {
  let end = digits.length
  while (end > 0 && digits.charCodeAt(end - 1) === zero) end--
  return end
}

const clip = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…`.toWellFormed() : text)
