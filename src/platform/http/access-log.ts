/** One line for each request that may write, refused ones included: who, what, and how it ended. */
import type { Log } from '../telemetry/log'
import { traceIdOf } from '../telemetry/trace'
import { pathOf, traceOf } from './app'
import { principalOf } from './principal'
import { type Route, routerOf } from './route'

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Neither body, header nor query: they have what must not be in a log. Nor the path: it has ids, and what
 * a caller put into the wrong place.
 */
export function createAccessLog(app: { routes: readonly object[] }, log: Log) {
  const find = routerOf(app.routes as readonly Route[])
  return (request: Request, { status }: Response, startedMs: number): void => {
    const { method } = request
    if (reads.has(method)) return
    const fields = {
      trace_id: traceIdOf(traceOf(request)),
      actor: principalOf(request)?.name,
      method,
      route: find(method, pathOf(request))?.path,
      status,
      duration_ms: Math.round((performance.now() - startedMs) * 10) / 10,
    }
    log.info(fields, 'access')
  }
}
