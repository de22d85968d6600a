/** Requests to a service, under the API key of the drill where the services want one. */
import { SetupError } from '../platform/fault'

export type Service = {
  /** Without a path. */
  url: string
  key: string | undefined
  /** The variable that has the key. */
  keyVariable: string
}

/** The service refuses the key, or wants one. */
export class KeyRefused extends SetupError {}

/** As `fetch`. Throws `KeyRefused`, with the remedy. `scope` is the one that the request needs. */
export async function ask(
  { url, key, keyVariable }: Service,
  path: string,
  scope: string,
  { headers, ...init }: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Response> {
  const authorization = key === undefined ? [] : [['authorization', `Bearer ${key}`] as const]
  const all = Object.fromEntries([...Object.entries(headers ?? {}), ...authorization])
  const answer = await fetch(url + path, { ...init, headers: all })
  if (answer.status !== 401 && answer.status !== 403) return answer
  await answer.body?.cancel()
  const refused = key === undefined ? 'wants an API key' : `refuses the key in ${keyVariable}`
  throw new KeyRefused(
    `${url} ${refused} (${answer.status}): set ${keyVariable}, or ${keyVariable}_FILE, to one with the ` +
      `scope ${scope}. docs/runbooks.md#drills says how to make it.`,
  )
}
