/** Problem Details (RFC 9457): the body of every refusal and failure over HTTP. */
import { type Static, Type } from '@sinclair/typebox'
import { type HeaderField, responseHeaders, sometimes } from './headers'
import { AssumedVersions, DryRunMark } from './preview'
import { closedObject } from './schemas'

/** When sending the request again makes sense. */
export const retries = {
  same: 'The same request, under the same `Idempotency-Key`, after `Retry-After` seconds',
  changed: 'After a change of the request or of the state that it met, under a new `Idempotency-Key`',
  never: 'Never: the answer stays',
} as const

/** Clients switch on `type` and `code`, which never change. */
export type ProblemKind = {
  /** Last part of its URI, `/problems/{name}`. */
  name: string
  status: number
  title: string
  cause: string
  /** What to do. */
  remedy: string
  retry: keyof typeof retries
  /** Where the name in upper case is not the only one. */
  codes?: readonly string[]
  /** Beside `Retry-After`, which every problem has that is worth the same request again. */
  headers?: readonly HeaderField[]
}

export const headersOf = ({ retry, headers = [] }: ProblemKind): readonly HeaderField[] =>
  retry === 'same' ? [responseHeaders.retryAfter, ...headers] : headers

export const codesOf = ({ name, codes }: ProblemKind): readonly string[] => codes ?? [upperSnake(name)]

/** Each name once, with the codes of all that have it. */
export function mergeProblems(kinds: readonly ProblemKind[]): ProblemKind[] {
  const merged = new Map<string, ProblemKind>()
  for (const kind of kinds) {
    const before = merged.get(kind.name)
    const codes = new Set([...(before ? codesOf(before) : []), ...codesOf(kind)])
    merged.set(kind.name, codes.size > 1 ? { ...kind, codes: [...codes] } : kind)
  }
  return [...merged.values()]
}

export type ProblemDetails = {
  /** About this occurrence. Never a stack trace, SQL or a driver's message. */
  detail: string
  code?: string
  /** A `pointer` is `#` and a JSON Pointer, not percent-encoded yet. */
  errors?: { detail: string; pointer: string }[]
  /** Names of the limits that were exceeded. */
  violatedPolicies?: string[]
  headers?: Record<string, string>
  /** Whether it refuses a preview, and the versions on which that was decided. */
  isPreview?: boolean
  assumed?: Static<typeof AssumedVersions>
}

export const commonProblems = {
  validation: {
    name: 'validation',
    status: 422,
    title: 'The request has invalid values',
    cause: 'Values of the body or of the query are not what the route expects. Nothing was done.',
    remedy: 'Each entry of `errors` names a value by JSON Pointer and says what is expected. Correct them.',
    retry: 'changed',
  },
  malformed: {
    name: 'malformed',
    status: 400,
    title: 'Malformed request',
    cause:
      'The body is not well-formed JSON, or a header, the query or a cursor cannot be read. Nothing was ' +
      'done.',
    remedy: '`detail` says which. Correct it.',
    retry: 'changed',
  },
  notFound: {
    name: 'not-found',
    status: 404,
    title: 'Not found',
    cause: 'No route has this path.',
    remedy: 'The routes are at /openapi.',
    retry: 'changed',
  },
  methodNotAllowed: {
    name: 'method-not-allowed',
    status: 405,
    title: 'Method not allowed',
    cause: 'The path exists, but not for this method.',
    remedy: 'The `Allow` header lists its methods.',
    retry: 'changed',
  },
  bodyTooLarge: {
    name: 'body-too-large',
    status: 413,
    title: 'Body too large',
    cause: 'The body has more than 1 MiB, and no request needs that. Nothing was done.',
    remedy: 'Split the request, or leave out what the ledger need not know.',
    retry: 'changed',
  },
  bodyTimeout: {
    name: 'body-timeout',
    status: 408,
    title: 'Body timeout',
    cause: 'The body did not arrive within ten seconds. Nothing was done, and the connection is closed.',
    remedy: 'Send it again on a new connection.',
    retry: 'same',
  },
  unauthenticated: {
    name: 'unauthenticated',
    status: 401,
    title: 'No valid API key',
    cause:
      'The request has no API key and needs one, or its key is malformed, unknown, revoked or expired; ' +
      '`code` says which. Nothing was done.',
    remedy:
      'Send a valid key as `Authorization: Bearer saldo_…`. The operator of the service creates keys with ' +
      '`npm run saldo -- keys create`.',
    retry: 'changed',
    codes: ['KEY_MISSING', 'KEY_MALFORMED', 'KEY_UNKNOWN', 'KEY_REVOKED', 'KEY_EXPIRED'],
    headers: [responseHeaders.authenticate],
  },
  insufficientScope: {
    name: 'insufficient-scope',
    status: 403,
    title: 'The API key does not allow that',
    cause:
      'The key is valid and lacks the scope of the route, or it is restricted to accounts or a client and ' +
      'the request is about others or names none; `code` says which. Nothing was done.',
    remedy: 'Use a key that allows it. With a restricted key, name an account or a client that it may use.',
    retry: 'changed',
    codes: ['INSUFFICIENT_SCOPE', 'KEY_RESTRICTED'],
    headers: [responseHeaders.authenticate],
  },
  quotaExceeded: {
    name: 'quota-exceeded',
    status: 429,
    title: 'Too many requests',
    cause:
      'The API key, or the address without a valid key, has sent more requests than its rate limit allows; ' +
      '`violated-policies` says which limit. Nothing was done.',
    remedy: 'Retry after `Retry-After` seconds, and send less often: `RateLimit` says what is left.',
    retry: 'same',
    headers: [responseHeaders.rateLimit, responseHeaders.rateLimitPolicy],
  },
  hostNotAllowed: {
    name: 'host-not-allowed',
    status: 403,
    title: 'Host name not allowed',
    cause:
      'Without an API key, only known host names are accepted: for writes localhost, loopback addresses ' +
      'and those in `ALLOWED_HOSTS`; for reads also other addresses and names without a dot. This protects ' +
      'against DNS rebinding by web pages. Nothing was done.',
    remedy: 'Use localhost or an API key, or add the name to `ALLOWED_HOSTS`.',
    retry: 'changed',
  },
  originNotAllowed: {
    name: 'origin-not-allowed',
    status: 403,
    title: 'Origin not allowed',
    cause:
      'The request comes from a web page. Writes are accepted from pages of this machine, of the ' +
      'hosts in `ALLOWED_HOSTS` and of the origins in `CORS_ORIGINS`. Nothing was done.',
    remedy: 'If the page is yours, add its origin to `CORS_ORIGINS`.',
    retry: 'changed',
  },
  unsupportedMediaType: {
    name: 'unsupported-media-type',
    status: 415,
    title: 'Unsupported media type',
    cause: 'Bodies are uncompressed JSON in UTF-8. Nothing was done.',
    remedy: 'Send `Content-Type: application/json`, no other charset and no `Content-Encoding`.',
    retry: 'changed',
    headers: [sometimes(responseHeaders.accept), sometimes(responseHeaders.acceptEncoding)],
  },
  unavailable: {
    name: 'unavailable',
    status: 503,
    title: 'Service unavailable',
    cause:
      'A dependency is unavailable, or the service is starting or stopping. Where the connection was lost ' +
      'during a write, it is not known whether it took effect; `detail` says so.',
    remedy: 'Retry, writes under the same `Idempotency-Key`: they take effect once.',
    retry: 'same',
  },
  overloaded: {
    name: 'overloaded',
    status: 503,
    title: 'Service overloaded',
    cause: 'Too much is waiting already, or the request waited longer than it wanted to. Nothing was done.',
    remedy: 'Retry later, and less often.',
    retry: 'same',
  },
  internal: {
    name: 'internal',
    status: 500,
    title: 'Internal error',
    cause: 'A bug or an unexpected failure.',
    remedy: 'The logs of the service have the cause under this `trace_id`. Report it.',
    retry: 'same',
  },
} as const satisfies Record<string, ProblemKind>

/** Of an `Idempotency-Key`. */
export const keyProblems = {
  reused: {
    name: 'idempotency-key-reused',
    status: 422,
    title: 'Idempotency key used for another request',
    cause:
      'A key stands for one request: its method, its path, and a body of the same meaning. Another ' +
      'request was sent under this key less than 24 hours ago. Nothing was done.',
    remedy: 'Send a new request under a new key.',
    retry: 'changed',
  },
  inProgress: {
    name: 'idempotency-in-progress',
    status: 409,
    title: 'Request with this idempotency key in progress',
    cause: 'The first request under this key has no response yet.',
    remedy: 'Retry to get that response.',
    retry: 'same',
  },
} as const satisfies Record<string, ProblemKind>

const ProblemError = closedObject('ProblemError', {
  detail: Type.String({ description: 'What is expected of the value.' }),
  pointer: Type.String({
    description: 'The value, as a JSON Pointer in the form of a URI fragment.',
    examples: ['#/amount'],
  }),
  code: Type.Optional(Type.String({ description: 'Of a member of a batch: why it was refused.' })),
})

/** The body of every refusal and failure. */
export const ProblemResponse = closedObject('ProblemDetails', {
  type: Type.String({
    format: 'uri-reference',
    description: 'The kind of problem. It is the address of its explanation.',
    examples: ['/problems/validation'],
  }),
  title: Type.String({ description: 'The kind of problem, for people.' }),
  status: Type.Integer({ minimum: 400, maximum: 599, description: 'The status of the response.' }),
  detail: Type.String({ description: 'What happened in this case.' }),
  instance: Type.String({ description: 'The path of the request.' }),
  code: Type.String({
    pattern: '^[A-Z0-9_]+$',
    description: 'For programs: the name of the problem, or the exact reason where it has several.',
    examples: ['VALIDATION'],
  }),
  errors: Type.Optional(
    Type.Array(ProblemError, { description: 'The values at fault, if it is about values.' }),
  ),
  trace_id: Type.String({
    pattern: '^[0-9a-f]{32}$',
    description: 'The trace under which the logs have the cause.',
  }),
  'violated-policies': Type.Optional(
    Type.Array(Type.String(), {
      description: 'The rate limits that were exceeded, if it is about those: `key` or `address`.',
    }),
  ),
  dry_run: Type.Optional(DryRunMark),
  assumed: Type.Optional(AssumedVersions),
})

export function problemResponse(
  kind: ProblemKind,
  details: ProblemDetails,
  instance: string,
  traceId: string,
): Response {
  const { detail, code = upperSnake(kind.name), errors, violatedPolicies } = details
  const { headers, isPreview, assumed } = details
  const body: Static<typeof ProblemResponse> = {
    type: `/problems/${kind.name}`,
    title: kind.title,
    status: kind.status,
    detail: clipped(detail),
    instance: clipped(instance),
    code,
    ...(errors
      ? {
          errors: errors.map((one) => ({
            ...one,
            detail: clipped(one.detail),
            pointer: uriFragmentOf(clipped(one.pointer)),
          })),
        }
      : {}),
    trace_id: traceId,
    ...(violatedPolicies && { 'violated-policies': violatedPolicies }),
    ...(isPreview && { dry_run: true }),
    ...(assumed && { assumed }),
  }
  return new Response(JSON.stringify(body), {
    status: kind.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(kind.retry === 'same' && { 'retry-after': '1' }),
      ...headers,
    },
  })
}

/** Shortens quoted input. The end is kept, since it usually says what to do. */
const clipped = (text: string): string =>
  text.length > 400 ? `${text.slice(0, 250)}…${text.slice(-150)}`.toWellFormed() : text

/** A JSON Pointer that begins with `#`, in the characters that a URI may have. */
const uriFragmentOf = (pointer: string): string =>
  `#${encodeURI(pointer.slice(1).toWellFormed()).replaceAll('#', '%23')}`

const upperSnake = (name: string): string => name.replaceAll('-', '_').toUpperCase()
