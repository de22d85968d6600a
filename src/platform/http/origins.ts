/**
 * Protects requests without a key from other sites in a browser. A request from another site carries its
 * `Origin`, and the browser shows it no answer. One by DNS rebinding carries a foreign name in `Host`.
 */

import { isIP } from 'node:net'

export type OriginRules = {
  /** Host names that are accepted beside those of this machine; `*` for any. */
  allowedHosts: readonly string[]
  /** Origins whose pages may read and write, such as https://app.example.com. */
  corsOrigins: readonly string[]
}

type OriginRefusal = { reason: 'host' | 'origin'; detail: string }

/** The name in a `Host` header, in lower case and without the port; undefined if invalid. */
export function hostNameOf(header: string | null): string | undefined {
  // Nearly all requests have the same one, and each asks several times.
  if (header !== lastHeader) [lastHeader, lastName] = [header, readHostName(header)]
  return lastName
}

let lastHeader: string | null = null
let lastName: string | undefined

function readHostName(header: string | null): string | undefined {
  const [, name, port = '0'] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(header ?? '') ?? []
  return name === undefined || Number(port) > 65_535 ? undefined : name.toLowerCase().replace(/(?<=.)\.$/, '')
}

/** Names that always refer to this machine and cannot be pointed elsewhere. */
export const isLoopback = (name: string): boolean =>
  /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(name)

const methodsOfReads = new Set(['GET', 'HEAD', 'OPTIONS'])
export const isRead = (method: string): boolean => methodsOfReads.has(method)

/**
 * Of reads only a name that a site can have is refused: not an address, and not a name without a dot, as
 * containers call each other. `isOpen` says whether the answer is nobody's secret.
 */
export function refuseRead(
  { headers }: Request,
  rules: OriginRules,
  isOpen: () => boolean,
): OriginRefusal | undefined {
  const host = hostNameOf(headers.get('host')) ?? ''
  if (!host.includes('.') || isAddress(host) || rules.allowedHosts.includes('*')) return undefined
  if (isAllowedHost(host, rules) || isOpen()) return undefined
  const remedy = 'use localhost, an API key, or add it to ALLOWED_HOSTS'
  return { reason: 'host', detail: `reads from host ${host} are not allowed: ${remedy}` }
}

const isAddress = (host: string): boolean => isIP(host) !== 0 || host.startsWith('[')

/** Undefined when the request is accepted. */
export function refuseWrite(request: Request, rules: OriginRules): OriginRefusal | undefined {
  if (isRead(request.method)) return undefined
  const { headers } = request
  const host = hostNameOf(headers.get('host'))
  const isAny = rules.allowedHosts.includes('*')
  if (!isAny && !isAllowedHost(host, rules)) {
    const detail = `writes to host ${host} are not allowed: use localhost, or add it to ALLOWED_HOSTS`
    return { reason: 'host', detail }
  }
  const origin = headers.get('origin')
  if (origin === null) {
    // Browsers that omit the origin still send this.
    if (headers.get('sec-fetch-site')?.toLowerCase() !== 'cross-site') return undefined
    return { reason: 'origin', detail: 'writes from pages of other sites are not allowed' }
  }
  if (rules.corsOrigins.includes(origin)) return undefined
  const page = hostNameOf(/^https?:\/\/(.+)$/i.exec(origin)?.[1] ?? null)
  // With any host, a page may still write only to the host it came from.
  if (page !== undefined && (isAny ? page === host : isAllowedHost(page, rules))) return undefined
  const detail = `writes from pages of ${origin} are not allowed: if it is yours, add it to CORS_ORIGINS`
  return { reason: 'origin', detail }
}

/**
 * For routes that no page may call but those of the service itself, with a key or without: neither pages of
 * `corsOrigins`, nor those of other ports of this machine.
 */
export function refuseOtherPages({ headers }: Request): OriginRefusal | undefined {
  const site = headers.get('sec-fetch-site')
  const origin = headers.get('origin')
  // Browsers do not send it to an address that is neither HTTPS nor this machine.
  const isOwn =
    site === null
      ? origin === null ||
        origin.replace(/^https?:\/\//i, '').toLowerCase() === headers.get('host')?.toLowerCase()
      : site.toLowerCase() === 'same-origin'
  if (isOwn) return undefined
  const detail = `pages of ${origin ?? 'other sites'} may not do this: it is for the page of this service`
  return { reason: 'origin', detail }
}

const isAllowedHost = (name: string | undefined, { allowedHosts }: OriginRules): boolean =>
  name !== undefined && (isLoopback(name) || allowedHosts.includes(name))

const exposedHeaders =
  'Balances-As-Of, Balances-Lag, Consistency-Token, ETag, Idempotency-Replayed, Link, Location, ' +
  'Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate'
const acceptedHeaders =
  'Authorization, Consistency-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, ' +
  'Last-Event-ID, Prefer, traceparent, tracestate'

/** Lets a page of an allowed origin read the response (WHATWG Fetch). */
export function corsHeaders(request: Request, { corsOrigins }: OriginRules): Record<string, string> {
  if (corsOrigins.length === 0) return {}
  const origin = request.headers.get('origin')
  if (origin === null || !corsOrigins.includes(origin)) return { vary: 'Origin' }
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': exposedHeaders,
  }
}

/** `corsHeaders`, and for a preflight request from an allowed origin what it may send. */
export function preflightHeaders(
  request: Request,
  rules: OriginRules,
  allow: string,
): Record<string, string> {
  const headers = corsHeaders(request, rules)
  if (!('access-control-allow-origin' in headers) || !request.headers.has('access-control-request-method'))
    return headers
  return {
    ...headers,
    'access-control-allow-methods': allow,
    'access-control-allow-headers': acceptedHeaders,
    'access-control-max-age': '600',
  }
}
