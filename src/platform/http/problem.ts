/**
 * Problem Details (RFC 9457): the one shape of every refusal and failure over HTTP. Knows no word
 * of the trade.
 */
import { type Static, Type } from '@sinclair/typebox'
import { response } from './schemas'

/** A kind of problem. `type` and `code` are what clients switch on; both are for ever. */
export type ProblemKind = {
  /** Last part of its URI, `/problems/{name}`. */
  name: string
  status: number
  title: string
  /** For a person who has met it: what it means and what to do. */
  description: string
}

export type ProblemDetails = {
  /** What is particular to this occurrence. Never a stack trace, SQL or a driver's message. */
  detail: string
  code?: string
  /** A `pointer` is `#` and a JSON Pointer, not percent-encoded yet. */
  errors?: { detail: string; pointer: string }[]
  headers?: Record<string, string>
}

/** The problems that any HTTP service has. */
export const commonProblems = {
  validation: {
    name: 'validation',
    status: 422,
    title: 'The request has invalid values',
    description:
      'Each entry of `errors` names a value by JSON Pointer and says what is expected of it. Correct them and send the request again.',
  },
  malformed: {
    name: 'malformed',
    status: 400,
    title: 'The request cannot be read',
    description:
      'The body is not well-formed JSON, or a header or a cursor is not what it should be; `detail` says which. Nothing was done.',
  },
  notFound: {
    name: 'not-found',
    status: 404,
    title: 'There is nothing at this address',
    description: 'No route has this path. The list of routes is in the README and in the .http files.',
  },
  methodNotAllowed: {
    name: 'method-not-allowed',
    status: 405,
    title: 'The method is not allowed here',
    description: 'The path exists, but not for this method. The header `Allow` lists those it has.',
  },
  bodyTooLarge: {
    name: 'body-too-large',
    status: 413,
    title: 'The body is too large',
    description: 'No request needs a body of that size. Nothing was done.',
  },
  bodyTimeout: {
    name: 'body-timeout',
    status: 408,
    title: 'The body did not arrive in time',
    description: 'A body has to be there within ten seconds. Nothing was done, and the connection is closed.',
  },
  hostNotAllowed: {
    name: 'host-not-allowed',
    status: 403,
    title: 'The service is not written to under this name',
    description:
      'As long as no request needs a key, a write is accepted only under a host name that the service knows: localhost, the loopback addresses, and what `ALLOWED_HOSTS` lists. That keeps pages of the internet from moving money by a name that they point at this machine. Nothing was done.',
  },
  originNotAllowed: {
    name: 'origin-not-allowed',
    status: 403,
    title: 'The page is not one that may write here',
    description:
      'The request comes from a page in a browser. A write is accepted from pages of this machine, of the hosts in `ALLOWED_HOSTS` and of the origins in `CORS_ORIGINS`. Nothing was done.',
  },
  unsupportedMediaType: {
    name: 'unsupported-media-type',
    status: 415,
    title: 'The media type is not supported',
    description:
      'Bodies are JSON in UTF-8, not compressed: send `Content-Type: application/json`, no other charset and no `Content-Encoding`.',
  },
  unavailable: {
    name: 'unavailable',
    status: 503,
    title: 'The service cannot answer at the moment',
    description:
      'Something the service depends on is away, or the service is starting or stopping. Send the request again after `Retry-After` seconds.',
  },
  overloaded: {
    name: 'overloaded',
    status: 503,
    title: 'The service has more work than it can do',
    description:
      'The request was turned away before anything was done. Send it again after `Retry-After` seconds.',
  },
  internal: {
    name: 'internal',
    status: 500,
    title: 'Something went wrong that should not',
    description: 'A fault of the service, written to its log under the `trace_id` of the answer.',
  },
} as const satisfies Record<string, ProblemKind>

const ProblemError = response('ProblemError', {
  detail: Type.String({ description: 'What is expected of the value.' }),
  pointer: Type.String({
    description: 'The value, as a JSON Pointer in the form of a URI fragment.',
    examples: ['#/amount'],
  }),
  code: Type.Optional(Type.String({ description: 'Of a member of a batch: why it was refused.' })),
})

/** The body of every refusal and failure. */
export const ProblemResponse = response('ProblemDetails', {
  type: Type.String({
    format: 'uri-reference',
    description: 'The kind of problem. It is the address of its explanation.',
    examples: ['/problems/validation'],
  }),
  title: Type.String({ description: 'The kind of problem, for people.' }),
  status: Type.Integer({ minimum: 400, maximum: 599, description: 'The status of the response.' }),
  detail: Type.String({ description: 'What is particular to this occurrence.' }),
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
    description: 'The trace that the log has the cause under.',
  }),
})

export function problemResponse(
  kind: ProblemKind,
  details: ProblemDetails,
  instance: string,
  traceId: string,
): Response {
  const { detail, code = upperSnake(kind.name), errors, headers } = details
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
  }
  return new Response(JSON.stringify(body), {
    status: kind.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(kind.status === 503 ? { 'retry-after': '1' } : {}),
      ...headers,
    },
  })
}

/**
 * What quotes something that was sent, quotes a part of it. The end of a sentence tends to say what
 * to do.
 */
const clipped = (text: string): string =>
  text.length > 400 ? `${text.slice(0, 250)}…${text.slice(-150)}`.toWellFormed() : text

/** A JSON Pointer that begins with `#`, in the characters that a URI may have. */
const uriFragmentOf = (pointer: string): string =>
  `#${encodeURI(pointer.slice(1).toWellFormed()).replaceAll('#', '%23')}`

const upperSnake = (name: string): string => name.replaceAll('-', '_').toUpperCase()
