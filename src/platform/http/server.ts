/** The port of a service: refusals that precede all routes, and a graceful stop. */

import { isIP } from 'node:net'
import { SetupError } from '../fault'
import { describeHolder } from '../process/ports'
import { late, within } from '../process/retry'
import type { Log } from '../telemetry/log'
import { continueTrace, traceIdOf } from '../telemetry/trace'
import { allowedAt, internalError, pathOf, refuse, refuseBody, takeBody, traceOf, UnreadBody } from './app'
import { corsHeaders, hostNameOf, type OriginRules, preflightHeaders, refuseWrite } from './origins'
import { commonProblems, problemResponse } from './problem'
import { readBody } from './request-body'

type ListenOptions = { host: string; port: number } & OriginRules

type App = {
  fetch: (request: Request) => Response | Promise<Response>
  routes: readonly object[]
}

/** Idle connections are closed after this, in seconds. */
const idleTimeout = 60

/** Throws `SetupError` when it cannot listen on the port. */
export function listen(app: App, { host, port, ...rules }: ListenOptions, log: Log) {
  const server = bind(host, port, (request) => answer(app, request, rules, log))
  return {
    port: server.port ?? port,
    /** Refuses new connections, lets requests in flight finish, and aborts the rest after `timeoutMs`. */
    async close(timeoutMs: number): Promise<void> {
      if ((await within(server.stop(), timeoutMs)) === late) await server.stop(true)
    },
  }
}

function bind(hostname: string, port: number, fetch: (request: Request) => Promise<Response>) {
  try {
    return Bun.serve({
      hostname,
      port,
      fetch,
      idleTimeout,
      // Otherwise two processes could share the port, each with some of the requests.
      reusePort: false,
      // Bun's own error page shows source and paths.
      development: false,
      error: () =>
        problemResponse(commonProblems.internal, internalError, '/', traceIdOf(continueTrace(null))),
      // `readBody` bounds bodies. Above its own limit Bun responds without a reason.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE')
      throw new SetupError(
        `port ${port} on ${hostname} is in use by ${describeHolder(port)}: ` +
          'stop it, or set PORT to another port',
      )
    throw new SetupError(
      `cannot listen on port ${port} of ${hostname} (${bindFault(hostname, code)}): check HOST and PORT`,
    )
  }
}

/** For a name that does not resolve, the runtime reports a stale code. */
function bindFault(hostname: string, code = 'unknown cause'): string {
  if (code === 'EACCES') return 'this user may not listen there'
  if (code === 'EADDRNOTAVAIL') return 'no interface of this machine has this address'
  return isIP(hostname) ? code : 'neither a name nor an address of this machine'
}

async function answer(app: App, request: Request, rules: OriginRules, log: Log): Promise<Response> {
  try {
    const refusal = refuseEarly(app, request, rules)
    if (refusal) {
      await readBody(request, { keep: false })
      return withHeaders(refusal, corsHeaders(request, rules))
    }
    if (request.body) await takeBody(request)
    if (request.signal.aborted) return refuseBody(request, 'cut_off')
    const response = request.method === 'HEAD' ? await answerHead(app, request) : await app.fetch(request)
    return rules.corsOrigins.length === 0 ? response : withHeaders(response, corsHeaders(request, rules))
  } catch (error) {
    if (error instanceof UnreadBody)
      return withHeaders(refuseBody(request, error.fault), corsHeaders(request, rules))
    log.error({ error, trace_id: traceIdOf(traceOf(request)) }, 'request failed')
    return refuse(request, commonProblems.internal, internalError)
  }
}

/** Also answers `OPTIONS`, which has no routes. */
function refuseEarly(app: App, request: Request, rules: OriginRules): Response | undefined {
  if (hostNameOf(request.headers.get('host')) === undefined)
    return refuse(request, commonProblems.malformed, {
      detail: 'the Host header is missing or invalid',
    })
  if (!URL.canParse(request.url) || !/^https?:/.test(request.url))
    return refuse(request, commonProblems.malformed, {
      detail: 'the request target is not an http URL of this service',
    })
  const refused = refuseWrite(request, rules)
  if (refused) {
    const kind = refused.reason === 'host' ? commonProblems.hostNotAllowed : commonProblems.originNotAllowed
    return refuse(request, kind, { detail: refused.detail })
  }
  if (request.method !== 'OPTIONS') return undefined
  const allow = allowedAt(app, pathOf(request))
  if (allow === undefined) return undefined
  return new Response(null, { status: 204, headers: { allow, ...preflightHeaders(request, rules, allow) } })
}

/** The response to GET without its body. A stream is cancelled. */
async function answerHead(app: App, request: Request): Promise<Response> {
  const { url, headers, signal } = request
  const get = new Request(url, { headers, signal })
  const response = await app.fetch(get)
  const isStream = response.headers.get('content-type') === 'text/event-stream'
  const length = isStream ? undefined : (await response.arrayBuffer()).byteLength
  if (isStream) await response.body?.cancel()
  const withoutBody = new Response(null, response)
  if (length) withoutBody.headers.set('content-length', String(length))
  return withoutBody
}

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}
