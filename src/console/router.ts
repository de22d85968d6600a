/** The address as state: `#/accounts/ID?at=...` can be shared, and Back works. */
import { createState, useValue } from './state.ts'

/** `path` is decoded: a segment may hold any character. */
export type Route = { path: readonly string[]; query: Readonly<Record<string, string>> }

export function parseHash(hash: string): Route {
  const [path = '', query = ''] = split(hash.replace(/^#\/?/, ''), '?')
  const segments = path.split('/').filter((segment) => segment !== '')
  return { path: segments.map(decode), query: Object.fromEntries(new URLSearchParams(query)) }
}

/** Empty values of the query are left out. */
export function hashOf(path: readonly string[], query: Readonly<Record<string, string | undefined>> = {}) {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]))
  const search = given.length > 0 ? `?${new URLSearchParams(given)}` : ''
  return `#/${path.map(encodeURIComponent).join('/')}${search}`
}

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** An address that somebody typed may hold a lone percent sign. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const current = createState<Route>({ path: [], query: {} })

/** Once, when the page starts. */
export function startRouter(): void {
  const read = () => current.set(parseHash(location.hash))
  addEventListener('hashchange', read)
  read()
}

export const useRoute = (): Route => useValue(current)

/** `replace` for what is typed letter by letter: Back then leaves the view. */
export function navigate(
  path: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
  { replace = false } = {},
): void {
  const hash = hashOf(path, query)
  if (!replace) {
    location.hash = hash
    return
  }
  history.replaceState(null, '', hash)
  current.set(parseHash(hash))
}
