/**
 * Which requests may change something while no request needs a key: those that a browser was not
 * tricked into. A page from elsewhere bears its
 * `Origin`, and a name that was made to point at this machine (DNS rebinding) stands in `Host`.
 */

export type Access = {
  /** Names by which the service may be written to, beside those of this machine; `*` is any. */
  allowedHosts: readonly string[]
  /** Origins of pages that may read and write, such as https://app.example.com. */
  corsOrigins: readonly string[]
}

export type AccessRefusal = { reason: 'host' | 'origin'; detail: string }

/** The name in a `Host`, in lower case and without the port; undefined for what is no host and port. */
export function hostNameOf(header: string | null): string | undefined {
  const [, name, port = '0'] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(header ?? '') ?? []
  return name === undefined || Number(port) > 65_535 ? undefined : name.toLowerCase().replace(/(?<=.)\.$/, '')
}

/** Names that lead to this machine for everybody: nobody can make them point elsewhere. */
const isLoopback = (name: string): boolean =>
  /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(name)

const methodsOfReads = new Set(['GET', 'HEAD', 'OPTIONS'])
export const isRead = (method: string): boolean => methodsOfReads.has(method)

/** Undefined when the request may go on. */
export function refuseWrite(request: Request, access: Access): AccessRefusal | undefined {
  if (isRead(request.method)) return undefined
  const { headers } = request
  const host = hostNameOf(headers.get('host'))
  const isAny = access.allowedHosts.includes('*')
  if (!isAny && !isAllowedHost(host, access)) {
    const detail = `a write is not accepted under the host name ${host ?? 'it bears'}: use localhost, or name it in ALLOWED_HOSTS`
    return { reason: 'host', detail }
  }
  const origin = headers.get('origin')
  if (origin === null) {
    // Browsers that leave out the origin still say this.
    if (headers.get('sec-fetch-site')?.toLowerCase() !== 'cross-site') return undefined
    return { reason: 'origin', detail: 'a write from a page of another site is not accepted' }
  }
  if (access.corsOrigins.includes(origin)) return undefined
  const page = hostNameOf(/^https?:\/\/(.+)$/i.exec(origin)?.[1] ?? null)
  // Where any host will do, a page may still write only to the host it came from.
  if (page !== undefined && (isAny ? page === host : isAllowedHost(page, access))) return undefined
  const detail = `a write from a page of ${origin} is not accepted: name that origin in CORS_ORIGINS, if it is yours`
  return { reason: 'origin', detail }
}

const isAllowedHost = (name: string | undefined, { allowedHosts }: Access): boolean =>
  name !== undefined && (isLoopback(name) || allowedHosts.includes(name))

const exposed =
  'Balances-As-Of, Balances-Lag, Consistency-Token, ETag, Idempotency-Replayed, Link, Location, Preference-Applied, Retry-After'
const acceptedHeaders =
  'Consistency-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, traceparent, tracestate'

/** What lets a page of an origin of `CORS_ORIGINS` read the answer (WHATWG Fetch). Empty for anybody else. */
export function corsHeaders(request: Request, { corsOrigins }: Access): Record<string, string> {
  if (corsOrigins.length === 0) return {}
  const origin = request.headers.get('origin')
  if (origin === null || !corsOrigins.includes(origin)) return { vary: 'Origin' }
  return { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed }
}

/**
 * What is said beside that to a browser that asks before it sends. Empty for a question from
 * anywhere else.
 */
export function preflightHeaders(request: Request, access: Access, allow: string): Record<string, string> {
  const headers = corsHeaders(request, access)
  if (!('access-control-allow-origin' in headers) || !request.headers.has('access-control-request-method'))
    return headers
  return {
    ...headers,
    'access-control-allow-methods': allow,
    'access-control-allow-headers': acceptedHeaders,
    'access-control-max-age': '600',
  }
}
