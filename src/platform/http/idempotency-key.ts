/**
 * The request header Idempotency-Key (IETF HTTPAPI draft, revision 7): a structured-field string,
 * so in quotes. Many clients send it bare, which is taken as well. HTTP joins two lines of a header
 * with a comma, so a bare key has none.
 */
import { MalformedRequest } from './invalid'

export type ParsedKey = { ok: true; key: string } | { ok: false; detail: string }

/** RFC 8941: printable ASCII, with quotes and backslashes escaped. */
const quoted = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/
const bare = /^[!-+\--~]([ -+\--~]*[!-+\--~])?$/
const lengthMax = 255

export function parseIdempotencyKey(header: string): ParsedKey {
  const text = header.trim()
  const key = text.startsWith('"') ? quoted.exec(text)?.[1]?.replace(/\\(.)/g, '$1') : bare.exec(text)?.[0]
  if (!key || key.length > lengthMax)
    return {
      ok: false,
      detail: `Idempotency-Key must be one key of 1 to ${lengthMax} printable ASCII characters, in quotes if it has a comma`,
    }
  return { ok: true, key }
}

/** Null when there is none. An empty key is a mistake, not the absence of one. Throws `MalformedRequest`. */
export function readIdempotencyKey({ headers }: Request): string | null {
  const header = headers.get('idempotency-key')
  if (header === null) return null
  const parsed = parseIdempotencyKey(header)
  if (!parsed.ok) throw new MalformedRequest(parsed.detail)
  return parsed.key
}

/** Before the values of a request are looked at. */
export function requireValidIdempotencyKey({ request }: { request: Request }): void {
  readIdempotencyKey(request)
}

/** A caller who sends a key relies on it, so a route that does not support keys refuses one. */
export function rejectIdempotencyKey({ request }: { request: Request }): void {
  if (request.headers.has('idempotency-key'))
    throw new MalformedRequest('this route does not support Idempotency-Key; send the request without it')
}

/**
 * SHA-256, in hex, of method, route and what was asked for, whatever the order of members: what a
 * key stands for.
 */
export function fingerprint(scope: string, asked: unknown): string {
  return new Bun.CryptoHasher('sha256').update(`${scope}\n${canonicalJson(asked)}`).digest('hex')
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner === 'bigint') return String(inner)
    return typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner
  })
}
