/** Problem Details (RFC 9457): the body of every refusal and failure over HTTP. */
import { type Static, Type } from '@sinclair/typebox'
import { closedObject } from './schemas'

/** Clients switch on `type` and `code`, which never change. */
export type ProblemKind = {
  /** Last part of its URI, `/problems/{name}`. */
  name: string
  status: number
  title: string
  /** What it means, and what to do. */
  description: string
}

export type ProblemDetails = {
  /** About this occurrence. Never a stack trace, SQL or a driver's message. */
  detail: string
  code?: string
  /** A `pointer` is `#` and a JSON Pointer, not percent-encoded yet. */
  errors?: { detail: string; pointer: string }[]
  headers?: Record<string, string>
}

export const commonProblems = {
  validation: {
    name: 'validation',
    status: 422,
    title: 'The request has invalid values',
    description:
      'Each entry of `errors` names a value by JSON Pointer, and what is expected of it. Correct them' +
      ' and retry.',
  },
  malformed: {
    name: 'malformed',
    status: 400,
    title: 'Malformed request',
    description:
      'The body is not well-formed JSON, or a header or cursor is invalid; `detail` says which. ' +
      'Nothing was done.',
  },
  notFound: {
    name: 'not-found',
    status: 404,
    title: 'Not found',
    description: 'No route has this path. The list of routes is in the README and in the .http files.',
  },
  methodNotAllowed: {
    name: 'method-not-allowed',
    status: 405,
    title: 'Method not allowed',
    description: 'The path exists, but not for this method. The `Allow` header lists its methods.',
  },
  bodyTooLarge: {
    name: 'body-too-large',
    status: 413,
    title: 'Body too large',
    description: 'No request needs a body of this size. Nothing was done.',
  },
  bodyTimeout: {
    name: 'body-timeout',
    status: 408,
    title: 'Body timeout',
    description: 'A body must arrive within ten seconds. Nothing was done, and the connection is closed.',
  },
  hostNotAllowed: {
    name: 'host-not-allowed',
    status: 403,
    title: 'Host name not allowed',
    description:
      'Without authentication, writes are accepted only under known host names: localhost, loopback ' +
      'addresses, and those in `ALLOWED_HOSTS`. This protects against DNS rebinding by web pages. ' +
      'Nothing was done.',
  },
  originNotAllowed: {
    name: 'origin-not-allowed',
    status: 403,
    title: 'Origin not allowed',
    description:
      'The request comes from a web page. Writes are accepted from pages of this machine, of the ' +
      'hosts in `ALLOWED_HOSTS` and of the origins in `CORS_ORIGINS`. Nothing was done.',
  },
  unsupportedMediaType: {
    name: 'unsupported-media-type',
    status: 415,
    title: 'Unsupported media type',
    description:
      'Bodies are uncompressed JSON in UTF-8: send `Content-Type: application/json`, no other charset' +
      ' and no `Content-Encoding`.',
  },
  unavailable: {
    name: 'unavailable',
    status: 503,
    title: 'Service unavailable',
    description:
      'A dependency is unavailable, or the service is starting or stopping. Retry after `Retry-After`' +
      ' seconds.',
  },
  overloaded: {
    name: 'overloaded',
    status: 503,
    title: 'Service overloaded',
    description: 'The request was rejected before anything was done. Retry after `Retry-After` seconds.',
  },
  internal: {
    name: 'internal',
    status: 500,
    title: 'Internal error',
    description:
      'A bug or an unexpected failure. The logs of the service have the cause under this `trace_id`.',
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

/** Shortens quoted input. The end is kept, since it usually says what to do. */
const clipped = (text: string): string =>
  text.length > 400 ? `${text.slice(0, 250)}…${text.slice(-150)}`.toWellFormed() : text

/** A JSON Pointer that begins with `#`, in the characters that a URI may have. */
const uriFragmentOf = (pointer: string): string =>
  `#${encodeURI(pointer.slice(1).toWellFormed()).replaceAll('#', '%23')}`

const upperSnake = (name: string): string => name.replaceAll('-', '_').toUpperCase()
