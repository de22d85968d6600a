/** Query parameters: a route accepts those of its schema, each once, and no others. */

export type QueryFault = { pointer: string; detail: string }

/** Faults reported for one request. */
const faultsMax = 20
/** Of a name in a detail. */
const nameLengthMax = 50

/** Faults in the names of a query. Undefined if it is not percent-encoded UTF-8. */
export function queryFaults(search: string, allowed: ReadonlySet<string>): QueryFault[] | undefined {
  const seen = new Set<string>()
  const faults = new Map<string, string>()
  for (const part of search.replace(/^\?/, '').split('&')) {
    if (part === '') continue
    const [name, value] = [decode(part.split('=', 1)[0] ?? ''), decode(part)]
    if (name === undefined || value === undefined) return undefined
    if (!allowed.has(name)) faults.set(name, `is not a parameter of this route, which has ${listOf(allowed)}`)
    else if (seen.has(name)) faults.set(name, 'is given more than once')
    seen.add(name)
  }
  return [...faults].slice(0, faultsMax).map(([name, problem]) => {
    const shown = name.length > nameLengthMax ? `${name.slice(0, nameLengthMax).toWellFormed()}…` : name
    return { pointer: `#/${pointerOf(shown)}`, detail: `${shown || 'an empty name'} ${problem}` }
  })
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

const pointerOf = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

const listOf = (allowed: ReadonlySet<string>): string =>
  allowed.size === 0 ? 'none' : [...allowed].join(', ')
