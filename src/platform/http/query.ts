/** Query parameters: a route accepts those of its schema, each once, and no others. */
import { errorsMax, type InvalidValue, MalformedRequest } from './invalid'

/** Of a name in a detail. */
const nameLengthMax = 50

/** Faults in the names of a query. `patterns` allow further names. Throws `MalformedRequest`. */
export function queryFaults(
  search: string,
  allowed: ReadonlySet<string>,
  patterns: readonly RegExp[] = [],
): InvalidValue['errors'] {
  const seen = new Set<string>()
  const faults = new Map<string, string>()
  for (const part of search.replace(/^\?/, '').split('&')) {
    if (part === '') continue
    const [name = ''] = part.split('=', 1).map(decode)
    decode(part)
    if (!allowed.has(name) && !patterns.some((pattern) => pattern.test(name)))
      faults.set(name, `is not a parameter of this route, which has ${listOf(allowed)}`)
    else if (seen.has(name)) faults.set(name, 'is given more than once')
    seen.add(name)
  }
  return [...faults].slice(0, errorsMax).map(([name, problem]) => {
    const shown = name.length > nameLengthMax ? `${name.slice(0, nameLengthMax).toWellFormed()}…` : name
    return { pointer: `#/${pointerOf(shown)}`, detail: `${shown || 'an empty name'} ${problem}` }
  })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new MalformedRequest('the query is not percent-encoded UTF-8')
  }
}

const pointerOf = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

const listOf = (allowed: ReadonlySet<string>): string =>
  allowed.size === 0 ? 'none' : [...allowed].join(', ')
