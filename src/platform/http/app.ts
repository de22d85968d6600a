/** The HTTP of both services: parsing bodies, turning errors into problems, health and documents. */
import { Type } from '@sinclair/typebox'
import { Elysia, type ValidationError } from 'elysia'
import { Fault, messageOf } from '../fault'
import { databaseFault } from '../postgres/failures'
import type { Checks } from '../process/service'
import type { Log } from '../telemetry/log'
import type { Page } from '../telemetry/metrics'
import type { Span } from '../telemetry/spans'
import { continueTrace, traceFields, traceIdOf } from '../telemetry/trace'
import { faultText, missingBody } from './body-schema'
import { describeApi } from './docs/markdown'
import { type ApiInfo, openApi } from './docs/openapi'
import type { AddressOf, Guard, Refusal } from './guard'
import { responseHeaders } from './headers'
import { InvalidValue, MalformedRequest } from './invalid'
import { type Page as HtmlPage, markdownPage } from './page'
import { isPreview } from './preview'
import {
  codesOf,
  commonProblems,
  mergeProblems,
  type ProblemDetails,
  type ProblemKind,
  problemResponse,
  retries,
} from './problem'
import { queryFaults } from './query'
import { type BodyFault, bodyLimits, mediaFault, readBody } from './request-body'
import { answer, type FindRoute, mount, type Route, route, routerOf } from './route'
import { closedObject, oneOf } from './schemas'

export type Health = () => Promise<Checks>

export type HttpOptions = {
  log: Log
  /** Throws errors whose messages may be shown to the caller. A `pointer` refers to the invalid value. */
  parseJson: (text: string) => unknown
  /** For `/openapi`. */
  api: ApiInfo
  /** Further documents by path: Markdown text is served as a page, anything else as JSON. */
  documents: Readonly<Record<string, () => string | object>>
  /** What the page at `/` says before its links, in Markdown. Unused where `routes` has a `/`. */
  introduction?: string
  /** The service's own. */
  routes?: readonly Route[]
  /** The checks of everything the service needs. */
  health: Health
  /** What its parts show, in the format that `accept` asks for. */
  metrics: (accept: string) => Promise<Page>
  /** Decides who may use which route. Without it, anyone may use all. */
  guard?: Guard
  /** While false, all routes except health and documents respond with 503. */
  isReady: () => boolean
}

/** The HTTP of a service, made from its table of routes. */
export function createHttp(options: HttpOptions) {
  const { log, parseJson, documents, isReady, guard } = options
  const routes = tableOf(options)
  const find = routerOf(routes)
  const app = new Elysia({
    // Refuse unknown properties rather than drop them: most are typing errors.
    normalize: false,
    handler: { standardHostname: false },
  })
    .onRequest(({ request }) => {
      if (isReady()) return
      const pathname = pathOf(request)
      if (alwaysServed.test(pathname) || Object.hasOwn(documents, pathname)) return
      return refuse(request, commonProblems.unavailable, { detail: 'the service is starting or stopping' })
    })
    .onParse({ as: 'global' }, async ({ request }) => {
      const body = bodies.get(request) ?? (await takeBody(request))
      if (body.length === 0) return missingBody
      const fault = mediaFault(request.headers)
      if (fault) throw new UnsupportedMedia(request.headers, fault)
      return parseJson(decode(body))
    })
    .onTransform({ as: 'global' }, ({ request, route }) => checkQuery(find, request, route))
    .onError({ as: 'global' }, ({ code, error, request, path }) => {
      const answer = (kind: ProblemKind, details: ProblemDetails) => refuse(request, kind, details)
      const cause = code === 'PARSE' ? (error as Error).cause : error
      if (cause instanceof UnsupportedMedia)
        return answer(commonProblems.unsupportedMediaType, { detail: cause.message, headers: cause.accepted })
      if (cause instanceof UnreadBody) return refuseBody(request, cause.fault)
      if (cause instanceof MalformedRequest)
        return answer(commonProblems.malformed, { detail: cause.message })
      if (cause instanceof InvalidValue)
        return answer(commonProblems.validation, { detail: cause.message, errors: cause.errors })
      if (code === 'PARSE' && cause instanceof Error && 'pointer' in cause) {
        const errors = [{ detail: cause.message, pointer: String(cause.pointer) }]
        return answer(commonProblems.validation, { detail: cause.message, errors })
      }
      if (code === 'PARSE')
        return answer(commonProblems.malformed, {
          detail: `invalid JSON in the body: ${messageOf(cause).replace(/^JSON Parse error: /, '')}`,
        })
      if (code === 'VALIDATION')
        return answer(commonProblems.validation, validationDetails(error as ValidationError))
      if (code === 'NOT_FOUND') return notFound(app, request, path)
      const fault = cause instanceof Fault ? cause : databaseFault(cause)
      if (fault) {
        log.warn({ path, ...traceFields(traceOf(request)) }, fault.message)
        const kind = isLoad.has(fault.code) ? commonProblems.overloaded : commonProblems.unavailable
        return answer(kind, { detail: faultDetails[fault.code] })
      }
      log.error({ error, path, ...traceFields(traceOf(request)) }, 'request failed')
      return answer(commonProblems.internal, internalError)
    })
  const findFor = (request: Request) =>
    find(request.method === 'HEAD' ? 'GET' : request.method, pathOf(request))
  return Object.assign(mount(app, routes, guard), {
    /** What the guard says before the body is read. */
    admit: (request: Request, addressOf: AddressOf): Refusal =>
      guard?.admit(request, findFor(request), addressOf),
    isOpen: (request: Request): boolean => (findFor(request)?.scope ?? 'open') === 'open',
    quotaHeadersOf: (request: Request) => guard?.quotaHeadersOf(request),
  })
}

/**
 * All routes of a service: its own, and those that both services have. The documents and the problems
 * are made from this table, so they are written when they are first asked for.
 */
export function tableOf(options: HttpOptions): Route[] {
  const { health, metrics, documents, api, introduction = '', routes = [] } = options
  const table: Route[] = [
    ...routes,
    problemRoute(() => table.flatMap(({ problems }) => problems)),
    ...Object.entries({
      '/openapi': () => describeApi(table, api),
      '/openapi.json': () => openApi(table, api),
      ...documents,
    }).map(([path, write]) => documentRoute(path, write)),
    ...(routes.some(({ path }) => path === '/') ? [] : [indexRoute(api.title, introduction, () => table)]),
    healthRoute('/livez', 'Liveness: the process answers.', async () => ({})),
    healthRoute('/readyz', 'Readiness: everything that the service needs, by name.', () => health()),
    healthRoute('/healthz', 'Readiness, by its older name.', () => health()),
    metricsRoute((accept) => metrics(accept)),
  ]
  return table
}

const serviceTag = { name: 'Service', description: 'Health, documents, and the meaning of problems.' }
/** Of routes that need nothing and take nothing. */
const fewProblems = [commonProblems.malformed, commonProblems.internal]

const HealthStatus = oneOf(['pass', 'warn', 'fail'], '`warn` is still ready.')
/** As in the health check draft that most tools read. */
const HealthResponse = closedObject('Health', {
  status: HealthStatus,
  checks: Type.Record(
    Type.String(),
    closedObject('HealthCheck', {
      status: HealthStatus,
      output: Type.Optional(Type.String({ description: 'For people.' })),
    }),
    { description: 'By the name of the part.' },
  ),
})

const healthIds = { '/livez': 'getLiveness', '/readyz': 'getReadiness', '/healthz': 'getHealth' } as const

const healthRoute = (path: keyof typeof healthIds, summary: string, health: Health): Route => {
  const content = { mediaType: 'application/health+json', schema: HealthResponse }
  const headers = [responseHeaders.cacheControl('no-store')]
  return route({
    method: 'GET',
    path,
    id: healthIds[path],
    scope: 'open',
    isUnlimited: true,
    tag: serviceTag,
    summary,
    responses: {
      200: answer(content, { headers, description: 'It passes, or warns.' }),
      503: answer(content, { headers, description: 'It fails.' }),
    },
    common: fewProblems,
    examples: { now: { status: 200 } },
    async handle() {
      const checks = await health()
      const states = Object.values(checks).map((check) => check.status)
      const status = states.includes('fail') ? 'fail' : states.includes('warn') ? 'warn' : 'pass'
      return Response.json(
        { status, checks },
        {
          status: status === 'fail' ? 503 : 200,
          headers: { 'content-type': 'application/health+json', 'cache-control': 'no-store' },
        },
      )
    },
  })
}

const metricsRoute = (render: HttpOptions['metrics']): Route =>
  route({
    method: 'GET',
    path: '/metrics',
    id: 'getMetrics',
    scope: 'metrics',
    isUnlimited: true,
    tag: serviceTag,
    summary: 'What the service measures of itself, for Prometheus.',
    description:
      'In the text format, and as OpenMetrics with exemplars for `Accept: application/openmetrics-text`. ' +
      'docs/metrics.md lists all metrics.',
    responses: {
      200: answer(
        { mediaType: 'text/plain', alternatives: ['application/openmetrics-text'] },
        { headers: [responseHeaders.cacheControl('no-store')], description: 'All metrics.' },
      ),
    },
    common: [...fewProblems, commonProblems.validation, commonProblems.unavailable],
    examples: { now: { status: 200 } },
    async handle({ request }) {
      const { text, contentType } = await render(request.headers.get('accept') ?? '')
      const headers = { 'content-type': contentType, 'cache-control': 'no-store', vary: 'Accept' }
      return new Response(text, { headers })
    },
  })

function problemRoute(served: () => readonly ProblemKind[]): Route {
  let catalogue: Map<string, ProblemKind> | undefined
  return route({
    method: 'GET',
    path: '/problems/:name',
    id: 'getProblem',
    scope: 'open',
    tag: serviceTag,
    summary: 'What a type of problem means, and what to do about it.',
    params: {
      name: Type.String({ description: 'The last part of the `type` of a problem.' }),
    },
    responses: { 200: answer({ mediaType: 'text/plain' }, { description: 'Title, cause and remedy.' }) },
    problems: [commonProblems.notFound],
    common: [...fewProblems, commonProblems.validation],
    examples: { validation: { params: { name: 'validation' }, status: 200 } },
    handle({ params, request }) {
      catalogue ??= new Map(
        mergeProblems([...Object.values(commonProblems), ...served()]).map((kind) => [kind.name, kind]),
      )
      const kind = catalogue.get(params.name)
      if (!kind)
        return refuse(request, commonProblems.notFound, { detail: `unknown problem type ${params.name}` })
      return new Response(explain(kind), { headers: { 'content-type': 'text/plain; charset=utf-8' } })
    },
  })
}

const explain = (kind: ProblemKind): string =>
  [
    `${kind.title} (${kind.status})`,
    kind.cause,
    kind.remedy,
    `Retry: ${retries[kind.retry]}.`,
    `Code: ${codesOf(kind).join(', ')}.\n`,
  ].join('\n\n')

/** `/openapi.json` is for tools, `/openapi` the page for people. */
function documentRoute(path: string, write: () => string | object): Route {
  // Large ones take longer than any other request may, and none changes.
  let written: HtmlPage | undefined
  const [, name = '', isJson] = /^\/(\w+)(\.json)?$/.exec(path) ?? []
  const subject = name === 'openapi' ? 'The routes of this service' : 'The events of this service'
  return route({
    method: 'GET',
    path,
    id: `get${name[0]?.toUpperCase()}${name.slice(1)}${isJson ? '' : 'Page'}`,
    scope: 'open',
    tag: serviceTag,
    summary: `${subject}, ${isJson ? 'for tools' : 'as a page'}.`,
    responses: {
      200: isJson
        ? answer(Type.Object({}), { description: 'The document.' })
        : answer(
            { mediaType: 'text/html' },
            { headers: [responseHeaders.contentSecurityPolicy], description: 'The page.' },
          ),
    },
    common: [...fewProblems, commonProblems.validation],
    examples: { now: { status: 200 } },
    handle() {
      written ??= render(write())
      return new Response(written.text, { headers: written.headers })
    },
  })
}

/** For people who open the address in a browser: links to what the service says about itself. */
function indexRoute(title: string, introduction: string, served: () => readonly Route[]): Route {
  let written: HtmlPage | undefined
  return route({
    method: 'GET',
    path: '/',
    id: 'getIndexPage',
    scope: 'open',
    tag: serviceTag,
    summary: 'Links to documents and health, as a page.',
    description: 'For `Accept: text/html`, as browsers send it.',
    responses: {
      200: answer(
        { mediaType: 'text/html' },
        { headers: [responseHeaders.contentSecurityPolicy], description: 'The page.' },
      ),
    },
    problems: [commonProblems.notFound],
    common: [...fewProblems, commonProblems.validation],
    examples: { inBrowser: { headers: { Accept: 'text/html' }, status: 200 } },
    handle({ request }) {
      if (!/\btext\/html\b/i.test(request.headers.get('accept') ?? ''))
        return refuse(request, commonProblems.notFound, {
          detail: 'no route for /: the routes are at /openapi.json, health is at /readyz',
          headers: { vary: 'Accept' },
        })
      const links = served()
        .filter(({ tag, path }) => tag === serviceTag && path !== '/' && !path.includes(':'))
        .map(({ path, summary }) => `- [${path}](${path}): ${summary}`)
      written ??= markdownPage(`# ${title}\n\n${introduction}\n\n${links.join('\n')}\n`)
      return new Response(written.text, { headers: { ...written.headers, vary: 'Accept' } })
    },
  })
}

const render = (document: string | object): HtmlPage =>
  typeof document === 'string'
    ? markdownPage(document)
    : { text: JSON.stringify(document), headers: { 'content-type': 'application/json' } }

/** Refuses unknown parameters at every route, before values are validated. */
function checkQuery(find: FindRoute<Route>, { url, method }: Request, path: string): void {
  const begin = url.indexOf('?')
  if (begin < 0 || isHealth.test(path)) return
  const target = find(method, path)
  const names = new Set(Object.keys(target?.query?.properties ?? {}))
  const patterns = Object.keys(target?.query?.patternProperties ?? {}).map((pattern) => new RegExp(pattern))
  const faults = queryFaults(url.slice(begin), names, patterns)
  if (faults.length > 0) throw new InvalidValue(...faults)
}

/** Probes may send any parameters. */
const isHealth = /^\/(livez|readyz|healthz)$/

export function refuse(request: Request, kind: ProblemKind, details: ProblemDetails): Response {
  const marked = isPreview(request) ? { ...details, isPreview: true } : details
  spans.get(request)?.set({ 'saldo.problem': kind.name })
  return problemResponse(kind, marked, pathOf(request), traceIdOf(traceOf(request)))
}

export const internalError = { detail: 'internal error; look up this trace_id in the logs' }

const alwaysServed = /^\/(|livez|readyz|healthz|metrics|problems\/.*|openapi(\.json)?|docs(\/.*)?)$/

const traces = new WeakMap<Request, string>()
const spans = new WeakMap<Request, Span>()

const arrivals = new WeakMap<Request, number>()

/** In milliseconds since 1970. */
export function setArrival(request: Request, ms: number): void {
  arrivals.set(request, ms)
}

/** Undefined for a request that did not come over the network. */
export const arrivalOf = (request: Request): number | undefined => arrivals.get(request)

/** The span of a request: what it leads to continues from there. */
export function setSpan(request: Request, span: Span): void {
  spans.set(request, span)
  traces.set(request, span.traceparent)
}

/** Undefined where the request is not traced. */
export const spanOf = (request: Request): Span | undefined => spans.get(request)

/** The trace of a request, continued from its header or new. Stable for the same request. */
export function traceOf(request: Request): string {
  let traceparent = traces.get(request)
  if (!traceparent) {
    traceparent = continueTrace(request.headers.get('traceparent'))
    traces.set(request, traceparent)
  }
  return traceparent
}

/** `Prefer: wait=n` (RFC 7240), in seconds. An invalid preference is ignored. */
export function preferredWait(request: Request): number | undefined {
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?=$|[,;\s])/i.exec(
    request.headers.get('prefer') ?? '',
  )?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

/** The path as it was sent, also of an invalid URL. */
export const pathOf = (request: Request): string =>
  /^[a-z]+:\/\/[^/?#]*(\/[^?#]*)/i.exec(request.url)?.[1] ?? /^\/[^?#]*/.exec(request.url)?.[0] ?? '/'

const bodies = new WeakMap<Request, Uint8Array>()

/** Reads the body ahead of routing. Throws `UnreadBody`. */
export async function takeBody(request: Request): Promise<Uint8Array> {
  const read = await readBody(request)
  if (!read.ok) throw new UnreadBody(read.fault)
  bodies.set(request, read.bytes)
  return read.bytes
}

export class UnreadBody extends Error {
  override name = 'UnreadBody'
  constructor(readonly fault: BodyFault) {
    super(fault)
  }
}

/** Closes the connection, since the rest of the body may still arrive. */
export function refuseBody(request: Request, fault: BodyFault): Response {
  const [kind, detail] = bodyFaults[fault]
  return refuse(request, kind, { detail, headers: { connection: 'close' } })
}

const bodyFaults: Record<BodyFault, [ProblemKind, detail: string]> = {
  too_large: [commonProblems.bodyTooLarge, `a body may have at most ${bodyLimits.bytesMax} bytes`],
  too_slow: [commonProblems.bodyTimeout, `the body did not arrive within ${bodyLimits.readMs / 1000} s`],
  overloaded: [commonProblems.overloaded, 'too many request bodies at once'],
  cut_off: [commonProblems.malformed, 'the body is incomplete'],
}

/** Rejects invalid UTF-8 rather than replacing it. Skips a byte order mark. */
function decode(body: Uint8Array): string {
  try {
    return utf8.decode(body)
  } catch {
    throw new MalformedRequest('the body is not UTF-8')
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

class UnsupportedMedia extends Error {
  override name = 'UnsupportedMedia'
  /** The header that names what is accepted (RFC 9110, RFC 7694). */
  readonly accepted: Record<string, string>
  constructor(headers: Headers, fault: NonNullable<ReturnType<typeof mediaFault>>) {
    const type = headers.get('content-type')
    const details = {
      encoding: `Content-Encoding ${headers.get('content-encoding')} is not supported; send it as it is`,
      charset: `${type} is not supported; send application/json in UTF-8`,
      type: `${type} is not supported; send application/json`,
      type_missing: 'missing header Content-Type: application/json',
    }
    super(details[fault])
    this.accepted = fault === 'encoding' ? { 'accept-encoding': 'identity' } : { accept: 'application/json' }
  }
}

const isLoad: ReadonlySet<Fault['code']> = new Set(['overloaded', 'deadline_exceeded', 'too_many_streams'])

const faultDetails = {
  database_unavailable: 'the database is unavailable; nothing was done',
  outcome_unknown:
    'the connection to the database was lost before its response: whether this took effect is not known. ' +
    'Retry under the same Idempotency-Key: it takes effect once',
  broker_unavailable: 'the broker is unavailable',
  overloaded: 'too many requests are waiting',
  deadline_exceeded: 'the request waited too long; nothing was done',
  too_many_streams: 'too many streams are open, in all or of this API key: close some, or retry later',
} as const satisfies Record<Fault['code'], string>

/** For queries: `bodyOf` validates bodies. One error per value. */
function validationDetails(error: ValidationError): ProblemDetails {
  const byPath = new Map<string, string>()
  for (const fault of error.all) {
    if (!('path' in fault)) continue
    const path = String(fault.path)
    if (!byPath.has(path)) byPath.set(path, faultText(fault))
  }
  const errors = [...byPath].map(([path, detail]) => ({ detail, pointer: `#${path}` }))
  const count = errors.length === 1 ? 'an invalid value' : `${errors.length} invalid values`
  return { detail: `the ${error.type} has ${count}`, errors }
}

/** Routes of Elysia, which have the members of ours that are needed to find them. */
type Routes = { routes: readonly object[] }

const routers = new WeakMap<Routes, FindRoute<Route>>()

/** The router over all routes of an app, made when it is first needed. */
function routerIn(app: Routes): FindRoute<Route> {
  const find = routers.get(app) ?? routerOf(app.routes as readonly Route[])
  routers.set(app, find)
  return find
}

/** The route that answers a request: a HEAD is answered as a GET. */
export const routeOf = (app: Routes, { method }: Request, path: string): Route | undefined =>
  routerIn(app)(method === 'HEAD' ? 'GET' : method, path)

/** Distinguishes a wrong method from a wrong path. */
function notFound(app: Routes, request: Request, path: string): Response {
  const allow = allowedAt(app, path)
  if (allow === undefined) return refuse(request, commonProblems.notFound, { detail: `no route for ${path}` })
  return refuse(request, commonProblems.methodNotAllowed, {
    detail: `${request.method} is not allowed at ${path}; allowed: ${allow}`,
    headers: { allow },
  })
}

/** The methods of a path, as `Allow` lists them; undefined where there is no route. */
export function allowedAt(app: Routes, path: string): string | undefined {
  const routes = app.routes as readonly Route[]
  const find = routerIn(app)
  const methods = new Set<string>(routes.map(({ method }) => method))
  const allowed = [...methods].filter((method) => find(method, path))
  if (allowed.length === 0) return undefined
  return [...allowed, ...(allowed.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ')
}
