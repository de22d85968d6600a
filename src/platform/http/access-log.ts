/** One line for each request that may write, refused ones included: who, what, and how it ended. */
import type { Log } from '../telemetry/log'
import { traceFields } from '../telemetry/trace'
import { traceOf } from './app'
import { isRead } from './origins'
import { principalOf } from './principal'

/** A request, its route if there is one, and when it began, on the clock of `performance.now`. */
export type Answered = { request: Request; route: { path: string } | undefined; startedMs: number }

/**
 * Neither body, header nor query: they have what must not be in a log. Nor the path: it has ids, and what
 * a caller put into the wrong place.
 */
export function createAccessLog(log: Log) {
  return ({ request, route, startedMs }: Answered, { status }: Response): void => {
    const { method } = request
    if (isRead(method)) return
    const fields = {
      ...traceFields(traceOf(request)),
      actor: principalOf(request)?.name,
      method,
      route: route?.path,
      status,
      duration_ms: Math.round((performance.now() - startedMs) * 10) / 10,
    }
    log.info(fields, 'access')
  }
}
