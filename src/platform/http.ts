/** What both services' HTTP has in common: how bodies are read, how failures answer, health, and stopping without cutting anybody off. */
import { Elysia, type ValidationError } from 'elysia'
import { Fault, messageOf } from './fault'
import type { Log } from './log'
import { markdownPage } from './page'
import { commonProblems, type ProblemDetails, type ProblemKind, problemResponse } from './problem'
import { queryFaults } from './query'
import { continueTrace, traceIdOf } from './trace'

/** A body far beyond any request of ours is refused. In bytes. */
const bodyBytesMax = 1024 * 1024
/** Beyond this the server itself hangs up on whoever sends on, without a word. */
const readBytesMax = 16 * bodyBytesMax

export type Check = { status: 'pass' | 'warn' | 'fail'; output?: string }
export type Health = () => Promise<Record<string, Check>>

export type HttpOptions = {
  log: Log
  /** Reads a JSON text, or throws a `SyntaxError` whose message may be shown. */
  parseJson: (text: string) => unknown
  /** Documented at `/problems/{name}`, beside the common ones. */
  problems: readonly ProblemKind[]
  /** Further documentation by path: a text in Markdown is answered as a page, anything else as JSON. */
  documents: Readonly<Record<string, () => string | object>>
  /** Everything a ready service needs. Asked by `/readyz` only. */
  health: Health
  /** While false, every route but health and documentation answers 503. */
  isReady: () => boolean
}

/** Values are well-formed JSON, but cannot be taken. A `pointer` is a JSON Pointer as URI fragment. */
export class InvalidValue extends Error {
  override name = 'InvalidValue'
  readonly errors: { pointer: string; detail: string }[]
  constructor(...errors: { pointer: string; detail: string }[]) {
    super(errors.length === 1 ? errors[0]?.detail : `${errors.length} values are invalid`)
    this.errors = errors
  }
}

/** A header or a cursor cannot be read. The message says what it should be. */
export class MalformedRequest extends Error {
  override name = 'MalformedRequest'
}

/** Begins a service's HTTP. Add the routes to what it returns. */
export function createHttp({ log, parseJson, problems, documents, health, isReady }: HttpOptions) {
  const catalogue = new Map([...Object.values(commonProblems), ...problems].map((kind) => [kind.name, kind]))
  let routes = (): readonly Route[] => []
  const app = new Elysia({
    // A property that nobody knows is more often a typing error than a message to a newer version: refuse it rather than drop it.
    normalize: false,
    serve: { maxRequestBodySize: readBytesMax, idleTimeout: 60 },
  })
    .onRequest(({ request }) => {
      if (isReady()) return
      const { pathname } = new URL(request.url)
      if (alwaysServed.test(pathname) || Object.hasOwn(documents, pathname)) return
      return refuse(request, commonProblems.unavailable, { detail: 'the service is starting or stopping' })
    })
    .onParse({ as: 'global' }, async ({ request }, contentType) => {
      if (contentType !== 'application/json') throw new UnsupportedMedia(contentType)
      if (Number(request.headers.get('content-length')) > bodyBytesMax) throw new BodyTooLarge()
      const text = await request.text()
      if (text.length > bodyBytesMax) throw new BodyTooLarge()
      return parseJson(text)
    })
    .onTransform({ as: 'global' }, ({ request, route }) => checkQuery(routes(), request, route))
    .onError({ as: 'global' }, ({ code, error, request, path }) => {
      const answer = (kind: ProblemKind, details: ProblemDetails) => refuse(request, kind, details)
      const cause = code === 'PARSE' ? (error as Error).cause : error
      if (cause instanceof UnsupportedMedia)
        return answer(commonProblems.unsupportedMediaType, { detail: cause.message })
      if (cause instanceof BodyTooLarge) return answer(commonProblems.bodyTooLarge, { detail: cause.message })
      if (cause instanceof MalformedRequest) return answer(commonProblems.malformed, { detail: cause.message })
      if (cause instanceof InvalidValue)
        return answer(commonProblems.validation, { detail: cause.message, errors: cause.errors })
      if (code === 'PARSE')
        return answer(commonProblems.malformed, {
          detail: `the body is not JSON: ${messageOf(cause).replace(/^JSON Parse error: /, '')}`,
        })
      if (code === 'VALIDATION') return answer(commonProblems.validation, validationDetails(error as ValidationError))
      if (code === 'NOT_FOUND') return notFound(app, request, path)
      if (cause instanceof Fault) {
        log.warn({ path, trace_id: traceIdOf(traceOf(request)) }, cause.message)
        const isLoad = cause.code === 'overloaded' || cause.code === 'deadline_exceeded'
        const kind = isLoad ? commonProblems.overloaded : commonProblems.unavailable
        return answer(kind, { detail: faultDetails[cause.code] })
      }
      log.error({ error, path, trace_id: traceIdOf(traceOf(request)) }, 'request failed')
      return answer(commonProblems.internal, { detail: 'the log has the cause under this trace_id' })
    })
    .get('/livez', () => healthResponse({}))
    .get('/readyz', async () => healthResponse(await health()))
    .get('/healthz', async () => healthResponse(await health()))
    .get('/problems/:name', ({ params, request }) => {
      const kind = catalogue.get(params.name)
      if (!kind) return refuse(request, commonProblems.notFound, { detail: `no problem is called ${params.name}` })
      return new Response(`${kind.title} (${kind.status})\n\n${kind.description}\n`, {
        headers: { 'content-type': 'text/plain; charset=utf-8' },
      })
    })
  routes = () => app.routes
  for (const [path, write] of Object.entries(documents))
    app.get(path, () => {
      const document = write()
      return typeof document === 'string' ? markdownPage(document) : Response.json(document)
    })
  return app
}

/** Before the values are looked at, and at every route: what a route does not take is refused rather than ignored. */
function checkQuery(routes: readonly Route[], { url, method }: Request, route: string): void {
  const begin = url.indexOf('?')
  if (begin < 0 || isHealth.test(route)) return
  const known = routes.find((one) => one.path === route && one.method === (method === 'HEAD' ? 'GET' : method))
  const names = Object.keys(known?.hooks?.query?.properties ?? {})
  const faults = queryFaults(url.slice(begin), new Set(names))
  if (!faults) throw new MalformedRequest('the query is not percent-encoded UTF-8')
  if (faults.length > 0) throw new InvalidValue(...faults)
}

type Route = { method: string; path: string; hooks?: { query?: { properties?: object } } }

/** Probes send what they like, and are answered. */
const isHealth = /^\/(livez|readyz|healthz)$/

/** The answer to a request that is refused. */
export function refuse(request: Request, kind: ProblemKind, details: ProblemDetails): Response {
  return problemResponse(kind, details, new URL(request.url).pathname, traceIdOf(traceOf(request)))
}

const alwaysServed = /^\/(livez|readyz|healthz|problems\/.*)$/

const traces = new WeakMap<Request, string>()

/** The trace a request belongs to, its own when the caller sent none: the same value however often it is asked. */
export function traceOf(request: Request): string {
  let traceparent = traces.get(request)
  if (!traceparent) {
    traceparent = continueTrace(request.headers.get('traceparent'))
    traces.set(request, traceparent)
  }
  return traceparent
}

/** For how long the caller is willing to wait (RFC 7240, `Prefer: wait=n`), in seconds. A preference that cannot be read is ignored. */
export function preferredWait(request: Request): number | undefined {
  const seconds = /(?:^|[,;\s])wait="?(\d{1,6})"?(?=$|[,;\s])/i.exec(request.headers.get('prefer') ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

export type Listening = {
  port: number
  /** Refuses new connections at once, lets requests in flight finish, and cuts off what is left after `timeoutMs`. */
  close(timeoutMs: number): Promise<void>
}

type Server = { port?: number | undefined; hostname?: string | undefined }
type Listener = { server: Server | null; listen(options: object): unknown; stop(force?: boolean): Promise<unknown> }

export function listen(app: Listener, { host, port }: { host: string; port: number }): Listening {
  app.listen({ hostname: host, port })
  return {
    port: app.server?.port ?? port,
    async close(timeoutMs) {
      let timer: Timer | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), timeoutMs)
      })
      const outcome = await Promise.race([app.stop(), late])
      clearTimeout(timer)
      if (outcome === 'late') await app.stop(true)
    },
  }
}

class UnsupportedMedia extends Error {
  override name = 'UnsupportedMedia'
  constructor(contentType: string) {
    super(
      contentType
        ? `${contentType} cannot be read; send application/json`
        : 'the header Content-Type: application/json is missing',
    )
  }
}

class BodyTooLarge extends Error {
  override name = 'BodyTooLarge'
  constructor() {
    super(`a body may have at most ${bodyBytesMax} bytes`)
  }
}

const faultDetails = {
  database_unavailable: 'the database cannot be reached',
  broker_unavailable: 'the broker cannot be reached',
  overloaded: 'more requests are waiting than can be answered in time',
  deadline_exceeded: 'the request waited for longer than it may, and nothing was done for it',
} as const satisfies Record<Fault['code'], string>

/** One complaint per value: the first one says what to do, those behind it repeat it in other words. */
function validationDetails(error: ValidationError): ProblemDetails {
  const byPath = new Map<string, string>()
  for (const complaint of error.all) {
    if (!('path' in complaint)) continue
    const path = String(complaint.path)
    if (!byPath.has(path)) byPath.set(path, complaintText(complaint))
  }
  const errors = [...byPath].map(([path, detail]) => ({ detail, pointer: `#${path}` }))
  const place = error.type === 'body' ? 'the body' : `the ${error.type}`
  return {
    detail: `${place} has ${errors.length === 1 ? 'an invalid value' : `${errors.length} invalid values`}`,
    errors,
  }
}

/** A schema may say in its own words what it wants (`error`); otherwise TypeBox does. */
function complaintText(complaint: object): string {
  const schema = 'schema' in complaint ? (complaint.schema as { description?: string; wanted?: string }) : {}
  if (schema.wanted && !('value' in complaint && complaint.value === undefined)) return schema.wanted
  return 'message' in complaint ? String(complaint.message) : 'is invalid'
}

/** Tells a wrong method from a wrong path. */
function notFound(app: { routes: { method: string; path: string }[] }, request: Request, path: string): Response {
  const allowed = app.routes.filter((route) => matches(route.path, path)).map((route) => route.method)
  if (allowed.length === 0) return refuse(request, commonProblems.notFound, { detail: `nothing is at ${path}` })
  const allow = [...new Set(allowed)].sort().join(', ')
  return refuse(request, commonProblems.methodNotAllowed, {
    detail: `${request.method} is not allowed at ${path}; allowed: ${allow}`,
    headers: { allow },
  })
}

/** As the router sees it: a slash at the end makes no difference, and a parameter is not empty. */
function matches(route: string, path: string): boolean {
  const [expected, actual] = [route, path.replace(/(?<=.)\/$/, '')].map((one) => one.split('/'))
  if (expected?.length !== actual?.length) return false
  return Boolean(expected?.every((part, index) => (part.startsWith(':') ? actual?.[index] : part === actual?.[index])))
}

/** Body as in the health check draft that most tools read. `warn` is still ready. */
function healthResponse(checks: Record<string, Check>): Response {
  const states = Object.values(checks).map((check) => check.status)
  const status = states.includes('fail') ? 'fail' : states.includes('warn') ? 'warn' : 'pass'
  return new Response(JSON.stringify({ status, checks }), {
    status: status === 'fail' ? 503 : 200,
    headers: { 'content-type': 'application/health+json', 'cache-control': 'no-store' },
  })
}
