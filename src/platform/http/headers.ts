/** Header fields as data: those that a route reads, and those that it sends. */
import { type TSchema, Type } from '@sinclair/typebox'

export type HeaderField = {
  name: string
  description: string
  schema: TSchema
  /** Sent with each response that lists it. Of a request, none is. */
  isRequired: boolean
  /** Sent by so many routes that the documents describe it once. */
  isShared?: true
}

/** Header names are the same in any letter case. */
export const isHeader = (field: HeaderField, name: string): boolean =>
  field.name.toLowerCase() === name.toLowerCase()

export const header = (name: string, description: string, schema: TSchema = Type.String()): HeaderField => ({
  name,
  description,
  schema,
  isRequired: true,
})

/** The same field where it is not always sent. */
export const sometimes = (field: HeaderField): HeaderField => ({ ...field, isRequired: false })

export const shared = (field: HeaderField): HeaderField => ({ ...field, isShared: true })

const constant = (value: string) => Type.String({ const: value })

export const requestHeaders = {
  idempotencyKey: header(
    'Idempotency-Key',
    'The name of this request, chosen by the caller: 1 to 255 printable ASCII characters, in quotes. ' +
      'The same request under the same key is executed once and answered alike for 24 hours.',
    Type.String({ examples: ['"8e03978e-40d5-43e8-bc93-6894a57f9324"'] }),
  ),
  ifNoneMatch: header(
    'If-None-Match',
    'Entity tags that the caller has. If one is current, the response is 304 without a body.',
    Type.String({ examples: ['"4-1b6s2wq0hjtpz"', '*'] }),
  ),
  lastEventId: header(
    'Last-Event-ID',
    'The id of the last event received: the stream continues after it. Browsers send it by themselves.',
  ),
  prefer: (description: string) => header('Prefer', description, Type.String({ examples: ['wait=2'] })),
  traceparent: header(
    'traceparent',
    'W3C Trace Context. The events of this request and its problem continue this trace; an invalid one is ' +
      'replaced by a new trace.',
    Type.String({ examples: ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'] }),
  ),
}

export const responseHeaders = {
  authenticate: header(
    'WWW-Authenticate',
    'How to authenticate, and what is wrong with the key (RFC 6750).',
    Type.String({ examples: ['Bearer realm="saldo", error="invalid_token"'] }),
  ),
  cacheControl: (value: 'no-store' | 'private, no-cache') =>
    header('Cache-Control', value === 'no-store' ? 'Not stored.' : 'Revalidated each time.', constant(value)),
  contentSecurityPolicy: header('Content-Security-Policy', 'The page loads and runs nothing.'),
  etag: header(
    'ETag',
    'The version of the account and a hash of the body.',
    Type.String({ examples: ['"4-1b6s2wq0hjtpz"'] }),
  ),
  idempotencyReplayed: header(
    'Idempotency-Replayed',
    'This response repeats the one of an earlier request under the same key.',
    constant('true'),
  ),
  link: header(
    'Link',
    'The next page (RFC 8288). Absent on the last one.',
    Type.String({ examples: ['</transactions?cursor=WyIxN>; rel="next"'] }),
  ),
  location: header(
    'Location',
    'The path of what was created.',
    Type.String({
      format: 'uri-reference',
      examples: ['/transactions/01935a52-3f4b-7c1e-a1d0-2f6f8f4f9a10'],
    }),
  ),
  preferenceApplied: header(
    'Preference-Applied',
    'How long the read was willing to wait, where the request had a reason to wait.',
    Type.String({ examples: ['wait=2'] }),
  ),
  rateLimit: header(
    'RateLimit',
    'The rate limit that applied: `r` requests may follow at once, and in `t` seconds there is one more ' +
      '(draft-ietf-httpapi-ratelimit-headers-10).',
    Type.String({ pattern: '^"(key|address)";r=\\d+;t=\\d+$', examples: ['"key";r=1999;t=1'] }),
  ),
  rateLimitPolicy: header(
    'RateLimit-Policy',
    'Of this API key, or of this address without a valid key: at most `q` requests at once, which come ' +
      'back within `w` seconds.',
    Type.String({ pattern: '^"(key|address)";q=\\d+;w=\\d+$', examples: ['"key";q=2000;w=2'] }),
  ),
  retryAfter: header(
    'Retry-After',
    'Seconds after which to retry.',
    Type.String({ pattern: '^\\d+$', examples: ['1'] }),
  ),
  accelBuffering: header('X-Accel-Buffering', 'Proxies pass each event on at once.', constant('no')),
  accept: header('Accept', 'The media type that is accepted.', constant('application/json')),
  acceptEncoding: header('Accept-Encoding', 'The encoding that is accepted.', constant('identity')),
  connection: header('Connection', 'The connection is closed.', constant('close')),
}
