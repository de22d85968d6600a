/** One line for each request that may write, refused ones included: who, what, and how it ended. */
import type { Log } from '../telemetry/log'
import { traceFields } from '../telemetry/trace'
import { pathOf, routerIn, traceOf } from './app'
import { isRead } from './origins'
import { principalOf } from './principal'

/**
 * Neither body, header nor query: they have what must not be in a log. Nor the path: it has ids, and what
 * a caller put into the wrong place.
 */
export function createAccessLog(app: { routes: readonly object[] }, log: Log) {
  return (request: Request, { status }: Response, startedMs: number): void => {
    const { method } = request
    if (isRead(method)) return
    const fields = {
      ...traceFields(traceOf(request)),
      actor: principalOf(request)?.name,
      method,
      route: routerIn(app)(method, pathOf(request))?.path,
      status,
      duration_ms: Math.round((performance.now() - startedMs) * 10) / 10,
    }
    log.info(fields, 'access')
  }
}
