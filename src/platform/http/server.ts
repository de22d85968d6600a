/** The port of a service: refusals that precede all routes, and a graceful stop. */

import type { Part } from '../process/service'
import { wallMs } from '../process/wall-clock'
import type { Log } from '../telemetry/log'
import type { Tracing } from '../telemetry/spans'
import { traceFields } from '../telemetry/trace'
import { createAccessLog } from './access-log'
import {
  allowedAt,
  internalError,
  pathOf,
  refuse,
  refuseBody,
  routeOf,
  setArrival,
  setSpan,
  spanOf,
  takeBody,
  traceOf,
  UnreadBody,
} from './app'
import { type Certificate, type CertificateFiles, readCertificate, watchCertificate } from './certificate'
import type { AddressOf, Guard, Refusal } from './guard'
import { createHttpMetrics } from './http-metrics'
import { openListener, type Respond } from './listener'
import {
  corsHeaders,
  hostNameOf,
  isLoopback,
  isRead,
  type OriginRules,
  preflightHeaders,
  refuseRead,
  refuseWrite,
} from './origins'
import { principalOf } from './principal'
import { commonProblems } from './problem'
import { readBody } from './request-body'
import { beginRequest, endRequest } from './request-span'
import { secured } from './security-headers'

type ListenOptions = {
  host: string
  port: number
  /** HTTPS instead of HTTP. */
  tls?: CertificateFiles | undefined
  /** How often the files of the certificate are read, in milliseconds. */
  certificateEveryMs?: number
} & OriginRules

type App = {
  fetch: (request: Request) => Response | Promise<Response>
  routes: readonly object[]
  /** Why a request is refused before its body is read. */
  admit?: (request: Request, addressOf: AddressOf) => Refusal
  /** Whether it is for a route that says nothing of anybody, or for none. */
  isOpen?: (request: Request) => boolean
  /** About the rate limit of a request, for its answer. */
  quotaHeadersOf?: Guard['quotaHeadersOf']
}

/** How long streams of a former certificate may go on, in milliseconds: a day. */
const formerMaxMs = 86_400_000
/** How long browsers use nothing but HTTPS for this host. */
const hsts = { 'strict-transport-security': 'max-age=31536000' }

/** Throws `SetupError` when it cannot listen on the port, or has no certificate for it. */
export function listen(app: App, options: ListenOptions, log: Log, tracing?: Tracing) {
  const { host, port, tls: files, certificateEveryMs: everyMs = 10_000, ...rules } = options
  const logAccess = createAccessLog(log)
  const scheme = files ? 'https' : 'http'
  const metrics = createHttpMetrics()
  const respond: Respond = async (request, addressOf) => {
    const startedMs = performance.now()
    if (!isRead(request.method)) setArrival(request, wallMs())
    const path = pathOf(request)
    const route = routeOf(app, request, path)
    const answered = { request, route, startedMs }
    const span = tracing && beginRequest(tracing, { path, route: route?.path, scheme }, request)
    const response = secured(await answer(app, { request, addressOf }, rules, log))
    withHeaders(response, corsHeaders(request, rules))
    const quota = app.quotaHeadersOf?.(request)
    if (quota) withHeaders(response, quota)
    logAccess(answered, response)
    metrics.observe(answered, response)
    if (span) endRequest(span, response)
    return files && !isLoopbackHost(request) ? withHeaders(response, hsts) : response
  }
  const certificate = files && readCertificate(files)
  const listeners = [openListener({ host, port, certificate }, respond)]
  const bound = listeners[0]?.port ?? port
  let isDraining = false

  /**
   * The runtime cannot exchange the certificate of a listener. So a second one takes over, while requests
   * and streams of the first go on.
   */
  function replace(next: Certificate): void {
    if (isDraining) return
    const former = listeners.at(-1)
    listeners.push(openListener({ host, port: bound, certificate: next, isSecond: true }, respond))
    former?.close(formerMaxMs).then(() => listeners.splice(listeners.indexOf(former), 1))
  }

  /** From now on each answer ends its connection; new ones are still taken. */
  function drain(): void {
    isDraining = true
    for (const listener of listeners) listener.drain()
  }

  /** Refuses new connections, lets requests in flight finish, and aborts the rest after `timeoutMs`. */
  async function close(timeoutMs: number): Promise<void> {
    drain()
    await Promise.all(listeners.map((listener) => listener.close(timeoutMs)))
  }

  const parts: Part[] = [{ name: 'http_server', drain, stop: close, metrics: metrics.all }]
  if (files && certificate)
    parts.push(watchCertificate({ files, current: certificate, use: replace, log, everyMs }))
  return { port: bound, parts, close }
}

type Received = { request: Request; addressOf: AddressOf }

async function answer(
  app: App,
  { request, addressOf }: Received,
  rules: OriginRules,
  log: Log,
): Promise<Response> {
  try {
    const early = answerEarly(app, request, rules)
    if (early) return await withoutBody(request, early)
    const refused = app.admit?.(request, addressOf)
    const unadmitted = refused instanceof Promise ? await refused : refused
    // Without its body: the runtime drops that as it comes. A caller without a key costs no more.
    if (unadmitted) return unadmitted
    // A browser sends no key by itself, so a request that has one is meant.
    const foreign = principalOf(request) ? undefined : refuseForeign(app, request, rules)
    if (foreign) return await withoutBody(request, foreign)
    if (request.headers.has('content-length') || request.body) await takeBody(request)
    if (request.signal.aborted) return refuseBody(request, 'cut_off')
    return request.method === 'HEAD' ? await answerHead(app, request) : await app.fetch(request)
  } catch (error) {
    if (error instanceof UnreadBody) return refuseBody(request, error.fault)
    log.error({ error, ...traceFields(traceOf(request)) }, 'request failed')
    return refuse(request, commonProblems.internal, internalError)
  }
}

async function withoutBody(request: Request, response: Response): Promise<Response> {
  await readBody(request, { keep: false })
  return response
}

/** What is no request to a route, and `OPTIONS`, which has none. */
function answerEarly(app: App, request: Request, rules: OriginRules): Response | undefined {
  if (hostNameOf(request.headers.get('host')) === undefined)
    return refuse(request, commonProblems.malformed, {
      detail: 'the Host header is missing or invalid',
    })
  if (!URL.canParse(request.url) || !/^https?:/.test(request.url))
    return refuse(request, commonProblems.malformed, {
      detail: 'the request target is not an http URL of this service',
    })
  if (request.method !== 'OPTIONS') return undefined
  const allow = allowedAt(app, pathOf(request))
  if (allow === undefined) return undefined
  return new Response(null, { status: 204, headers: { allow, ...preflightHeaders(request, rules, allow) } })
}

/** Without a key: what a page of another site may have sent. */
function refuseForeign(app: App, request: Request, rules: OriginRules): Response | undefined {
  const refused = isRead(request.method)
    ? refuseRead(request, rules, () => app.isOpen?.(request) ?? false)
    : refuseWrite(request, rules)
  if (!refused) return undefined
  const kind = refused.reason === 'host' ? commonProblems.hostNotAllowed : commonProblems.originNotAllowed
  return refuse(request, kind, { detail: refused.detail })
}

/** The response to GET without its body. A stream is cancelled. */
async function answerHead(app: App, request: Request): Promise<Response> {
  const { url, headers, signal } = request
  const get = new Request(url, { headers, signal })
  const span = spanOf(request)
  if (span) setSpan(get, span)
  const response = await app.fetch(get)
  const isStream = response.headers.get('content-type') === 'text/event-stream'
  const length = isStream ? undefined : (await response.arrayBuffer()).byteLength
  if (isStream) await response.body?.cancel()
  const withoutBody = new Response(null, response)
  if (length) withoutBody.headers.set('content-length', String(length))
  return withoutBody
}

const isLoopbackHost = ({ headers }: Request): boolean => isLoopback(hostNameOf(headers.get('host')) ?? '')

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}
