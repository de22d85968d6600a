/** The parameters of a query, by name: a route takes those of its schema and no others, each once. */

export type QueryFault = { pointer: string; detail: string }

/** Of complaints about one request. Who sends more mistakes gets to know of the rest afterwards. */
const faultsMax = 20
/** Of a name that is shown in a complaint. */
const nameLengthMax = 50

/**
 * What is wrong with the names of a query. Undefined when it cannot be read at all, because it is
 * not percent-encoded UTF-8.
 */
export function queryFaults(search: string, known: ReadonlySet<string>): QueryFault[] | undefined {
  const seen = new Set<string>()
  const faults = new Map<string, string>()
  for (const part of search.replace(/^\?/, '').split('&')) {
    if (part === '') continue
    const [name, value] = [decode(part.split('=', 1)[0] ?? ''), decode(part)]
    if (name === undefined || value === undefined) return undefined
    if (!known.has(name)) faults.set(name, `is not a parameter here; there ${listOf(known)}`)
    else if (seen.has(name)) faults.set(name, 'is given more than once')
    seen.add(name)
  }
  return [...faults].slice(0, faultsMax).map(([name, complaint]) => {
    const shown = name.length > nameLengthMax ? `${name.slice(0, nameLengthMax).toWellFormed()}…` : name
    return { pointer: `#/${pointerOf(shown)}`, detail: `${shown || 'an empty name'} ${complaint}` }
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

const listOf = (known: ReadonlySet<string>): string =>
  known.size === 0 ? 'are none' : `${known.size === 1 ? 'is' : 'are'} ${[...known].join(', ')}`
