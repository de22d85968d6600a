/**
 * The Idempotency-Key header (IETF HTTPAPI draft, revision 7): a structured-field string, in quotes.
 * Many clients send it without, which is accepted, too. HTTP joins repeated headers with a comma, so a
 * bare key has none.
 */
import { MalformedRequest } from './invalid'

/** RFC 8941: printable ASCII, with quotes and backslashes escaped. */
const quoted = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/
const bare = /^[!-+\--~]([ -+\--~]*[!-+\--~])?$/
const lengthMax = 255

/** Throws `MalformedRequest`, also for an empty key. */
export function parseIdempotencyKey(header: string): string {
  const text = header.trim()
  const key = text.startsWith('"') ? quoted.exec(text)?.[1]?.replace(/\\(.)/g, '$1') : bare.exec(text)?.[0]
  if (key && key.length <= lengthMax) return key
  throw new MalformedRequest(
    `Idempotency-Key must be one key of 1 to ${lengthMax} printable ASCII characters, ` +
      'in quotes if it has a comma',
  )
}

/** Null without the header. Throws `MalformedRequest`. */
export function readIdempotencyKey({ headers }: Request): string | null {
  const header = headers.get('idempotency-key')
  return header === null ? null : parseIdempotencyKey(header)
}

/** Runs before values are validated. */
export function requireValidIdempotencyKey({ request }: { request: Request }): void {
  readIdempotencyKey(request)
}

/**
 * What a key stands for: SHA-256, in hex, of method, route and request, independent of the order of
 * members.
 */
export function fingerprint(scope: string, request: unknown): string {
  return new Bun.CryptoHasher('sha256').update(`${scope}\n${canonicalJson(request)}`).digest('hex')
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner === 'bigint') return String(inner)
    return typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner
  })
}
