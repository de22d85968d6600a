/**
 * Parses JSON without changing a value, in time linear in the length of the text. `JSON.parse` does
 * the parsing; a scan before it rejects what it would alter, or read at unbounded cost.
 */

/** Depth of nesting. No event or request of ours is deeper than six. */
export const depthMax = 32

/** Members of one object, or items of one list. A batch has up to a thousand, metadata may have more. */
export const membersMax = 5000

/** JSON that `JSON.parse` would alter, or read at unbounded cost. */
export class RefusedJson extends SyntaxError {
  override name = 'RefusedJson'
  constructor(
    readonly code: 'inexact_number' | 'not_unicode' | 'duplicate_member' | 'too_deep' | 'too_wide',
    message: string,
  ) {
    super(message)
  }
}

/** A value that cannot be kept as written. `pointer` is a JSON Pointer as URI fragment. */
export class UnfaithfulJson extends RefusedJson {
  constructor(
    code: 'inexact_number' | 'not_unicode',
    message: string,
    readonly pointer: string,
  ) {
    super(code, message)
  }
}

/**
 * Like `JSON.parse`, but throws `RefusedJson` for numbers that a double cannot hold, halves of surrogate
 * pairs, members given twice, and more depth or width than allowed. Text that is not JSON throws a
 * `SyntaxError`.
 */
export function parseJson(text: string): unknown {
  const members = membersWritten(text)
  if (members !== undefined) {
    try {
      const value: unknown = JSON.parse(text)
      // Of members given twice `JSON.parse` keeps one.
      if (membersOf(value) === members) return value
    } catch {
      // The scan may know a better reason.
    }
  }
  scan(text, (_, error) => {
    throw error
  })
  return JSON.parse(text)
}

/**
 * Like `parseJson`, but inexact numbers are read as the nearest double, and their pointers listed: a
 * writer may print its doubles with more digits than identify them. Numbers beyond the range of doubles
 * still throw.
 */
export function parseRoundedJson(text: string): { value: unknown; pointers: string[] } {
  const pointers: string[] = []
  scan(text, (value, error) => {
    if (!Number.isFinite(value) || value === 0 || pointers.length === roundedMax) throw error
    pointers.push(error.pointer)
  })
  return { value: JSON.parse(text), pointers }
}

/** More than the numbers of any event. */
const roundedMax = 10

type OnInexact = (nearest: number, error: UnfaithfulJson) => void

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
  colon,
  openList,
  backslash,
  closeList,
  lowerE,
  openObject,
  closeObject,
] = [0x22, 0x2c, 0x2b, 0x2d, 0x2e, 0x30, 0x39, 0x3a, 0x5b, 0x5c, 0x5d, 0x65, 0x7b, 0x7d] as const

/** A number of so many is exact in any double. */
const exactDigitsMax = 15

/**
 * How many members the objects have together. Undefined where only the scan can tell whether the text is
 * accepted. Takes less than half its time, and nearly all texts pass.
 */
function membersWritten(text: string): number | undefined {
  const { length } = text
  let members = 0
  let commas = 0
  let depth = 0
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code === quote) {
      for (index++; index < length; index++) {
        const inner = text.charCodeAt(index)
        if (inner === quote) break
        if (inner === backslash) return undefined
      }
    } else if (code === colon) members++
    else if (code === comma) commas++
    else if (code === openObject || code === openList) {
      if (++depth > depthMax) return undefined
    } else if (code === closeObject || code === closeList) depth--
    else if (isDigit(code) || code === minus) {
      const end = endOfShortNumber(text, index)
      if (end === undefined) return undefined
      index = end - 1
    }
  }
  return commas < membersMax ? members : undefined
}

/** Undefined for a number that is not exact by its length alone. */
function endOfShortNumber(text: string, start: number): number | undefined {
  let end = start + 1
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if ((code | 0x20) === lowerE) return undefined
    if (!isDigit(code) && code !== point && code !== plus && code !== minus) break
  }
  return end - start <= exactDigitsMax ? end : undefined
}

function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let members = 0
  if (Array.isArray(value)) for (const item of value) members += membersOf(item)
  else for (const name in value) members += 1 + membersOf(value[name as keyof typeof value])
  return members
}

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
      if (frame?.members && frame.expectsName)
        enterMember(frames, frame, frame.members, text.slice(index + 1, end))
      else if (hasEscapes) readText(text.slice(index + 1, end), frames)
      index = end
    } else if (code === comma) {
      if (frame?.members) frame.expectsName = true
      else if (frame && ++(frame.at as number) >= membersMax) throw tooWide()
    } else if (code === openObject || code === openList) {
      if (frames.length === depthMax)
        throw new RefusedJson('too_deep', `it is nested more than ${depthMax} levels deep`)
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

function enterMember(frames: Frame[], frame: Frame, members: Set<string>, source: string): void {
  // Compare decoded names: "\u0061" is "a".
  const member = source.includes('\\') ? readText(source, frames.slice(0, -1)) : source
  if (members.has(member)) {
    const [object, name] = [pointerOf(frames.slice(0, -1)), clip(JSON.stringify(member))]
    throw new RefusedJson('duplicate_member', `${object} has the member ${name} twice`)
  }
  members.add(member)
  if (members.size > membersMax) throw tooWide()
  frame.at = member
  frame.expectsName = false
}

const tooWide = () => new RefusedJson('too_wide', `an object or a list has more than ${membersMax} members`)

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
  if (value.isWellFormed()) return value
  throw new UnfaithfulJson('not_unicode', 'a text has half of a surrogate pair', pointerOf(frames))
}

/** Checks a number, and returns its end. */
function passNumber(text: string, start: number, frames: readonly Frame[], onInexact: OnInexact): number {
  let end = start + 1
  let exponentAt = 0
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (isDigit(code) || code === point || code === plus || code === minus) continue
    if ((code | 0x20) !== lowerE) break
    exponentAt = end
  }
  // Unless the exponent takes it near the ends of the range.
  if (end - start <= exactDigitsMax && (exponentAt === 0 || end - exponentAt <= 3)) return end
  const source = text.slice(start, end)
  const nearest = Number(source)
  if (isExact(source, nearest)) return end
  const message = `the number ${clip(source)} cannot be read exactly`
  onInexact(nearest, new UnfaithfulJson('inexact_number', message, pointerOf(frames)))
  return end
}

const isDigit = (code: number): boolean => code >= zero && code <= nine

function pointerOf(frames: readonly Frame[]): string {
  const path = frames.map(({ at }) => `/${String(at).replaceAll('~', '~0').replaceAll('/', '~1')}`)
  return `#${path.join('')}`
}

function isExact(source: string, value: number): boolean {
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

/** The beginning of a text that quotes its source, which may be of any length. */
export const clip = (text: string, lengthMax = 40): string =>
  text.length > lengthMax ? `${text.slice(0, lengthMax)}…`.toWellFormed() : text
