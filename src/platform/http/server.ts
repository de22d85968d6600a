/**
 * The port that a service answers on: what is refused before any route sees it, and stopping
 * without cutting anybody off.
 */

import { isIP } from 'node:net'
import { SetupError } from '../fault'
import { describeHolder } from '../process/ports'
import type { Log } from '../telemetry/log'
import { continueTrace, traceIdOf } from '../telemetry/trace'
import { type Access, corsHeaders, hostNameOf, preflightHeaders, refuseWrite } from './access'
import { allowedAt, pathOf, refuse, refuseBody, takeBody, traceOf, UnreadBody } from './app'
import { commonProblems, problemResponse } from './problem'
import { readBody } from './request-body'

export type Listening = {
  port: number
  /**
   * Refuses new connections at once, lets requests in flight finish, and cuts off what is left
   * after `timeoutMs`.
   */
  close(timeoutMs: number): Promise<void>
}

export type ListenOptions = { host: string; port: number } & Access

type App = {
  fetch: (request: Request) => Response | Promise<Response>
  routes: { method: string; path: string }[]
}

/** A connection that says nothing for this long is closed, in seconds. */
const idleTimeout = 60

/** Throws `SetupError` when the port cannot be had. */
export function listen(app: App, { host, port, ...access }: ListenOptions, log: Log): Listening {
  const server = bind(host, port, (request) => answer(app, request, access, log))
  return {
    port: server.port ?? port,
    async close(timeoutMs) {
      let timer: Timer | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), timeoutMs)
      })
      const outcome = await Promise.race([server.stop(), late])
      clearTimeout(timer)
      if (outcome === 'late') await server.stop(true)
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
      // Two processes would share the port, and each would see some of the requests.
      reusePort: false,
      // Bun's own page about an error shows source and paths.
      development: false,
      error: () =>
        problemResponse(
          commonProblems.internal,
          { detail: 'the request could not be answered' },
          '/',
          traceIdOf(continueTrace(null)),
        ),
      // Bodies are bounded as they are read. Beyond its own limit Bun answers without saying why.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE')
      throw new SetupError(
        `port ${port} on ${hostname} is taken by ${describeHolder(port)}: stop that, or choose another with PORT=...`,
      )
    throw new SetupError(
      `port ${port} on ${hostname} cannot be used (${bindFault(hostname, code)}): see HOST and PORT`,
    )
  }
}

/** Of a name that cannot be resolved the runtime gives any code that was left from before. */
function bindFault(hostname: string, code = 'unknown cause'): string {
  if (code === 'EACCES') return 'this user may not listen there'
  if (code === 'EADDRNOTAVAIL') return 'no interface of this machine has that address'
  return isIP(hostname) ? code : 'it is neither a name nor an address of this machine'
}

async function answer(app: App, request: Request, access: Access, log: Log): Promise<Response> {
  try {
    const refusal = refuseEarly(app, request, access)
    if (refusal) {
      await readBody(request, { keep: false })
      return withHeaders(refusal, corsHeaders(request, access))
    }
    if (request.body) await takeBody(request)
    if (request.signal.aborted) return refuseBody(request, 'cut_off')
    const response = request.method === 'HEAD' ? await answerHead(app, request) : await app.fetch(request)
    return access.corsOrigins.length === 0 ? response : withHeaders(response, corsHeaders(request, access))
  } catch (error) {
    if (error instanceof UnreadBody)
      return withHeaders(refuseBody(request, error.fault), corsHeaders(request, access))
    log.error({ error, trace_id: traceIdOf(traceOf(request)) }, 'request failed')
    return refuse(request, commonProblems.internal, { detail: 'the log has the cause under this trace_id' })
  }
}

/** Also answers questions about methods (`OPTIONS`), which no route has to do with. */
function refuseEarly(app: App, request: Request, access: Access): Response | undefined {
  if (hostNameOf(request.headers.get('host')) === undefined)
    return refuse(request, commonProblems.malformed, {
      detail: 'the header Host is missing, or is no host and port',
    })
  if (!URL.canParse(request.url) || !/^https?:/.test(request.url))
    return refuse(request, commonProblems.malformed, {
      detail: 'the target of the request is not one of this service',
    })
  const refused = refuseWrite(request, access)
  if (refused) {
    const kind = refused.reason === 'host' ? commonProblems.hostNotAllowed : commonProblems.originNotAllowed
    return refuse(request, kind, { detail: refused.detail })
  }
  if (request.method !== 'OPTIONS') return undefined
  const allow = allowedAt(app, pathOf(request))
  if (allow === undefined) return undefined
  return new Response(null, { status: 204, headers: { allow, ...preflightHeaders(request, access, allow) } })
}

/** What GET would answer, without the body. A stream is not begun. */
async function answerHead(app: App, request: Request): Promise<Response> {
  const { url, headers, signal } = request
  const asked = new Request(url, { headers, signal })
  const response = await app.fetch(asked)
  const isStream = response.headers.get('content-type') === 'text/event-stream'
  const length = isStream ? undefined : (await response.arrayBuffer()).byteLength
  if (isStream) await response.body?.cancel()
  const answered = new Response(null, response)
  if (length) answered.headers.set('content-length', String(length))
  return answered
}

function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}
