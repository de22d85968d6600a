/** How long requests take, by route and outcome. Every answer counts, refusals before all routes included. */
import { createMetrics, defineMetrics } from '../telemetry/metrics'
import { traceIdOf } from '../telemetry/trace'
import type { Answered } from './access-log'
import { traceOf } from './app'
import { pathOf as openApiPath } from './docs/openapi'

export const httpMetrics = defineMetrics({
  duration: {
    type: 'histogram',
    name: 'saldo_http_request_duration_seconds',
    help: 'From the request to the answer, of a stream to its beginning.',
    labels: {
      method: 'in capitals; `other` for one that no route has',
      route: 'the path as in OpenAPI, with its parameters by name; `none` where there is no such route',
      status: 'the status of the answer',
    },
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
})

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])

export function createHttpMetrics() {
  const { duration, all } = createMetrics(httpMetrics)
  const shown = new Map<object, string>()
  const nameOf = (route: { path: string }): string => {
    const name = shown.get(route) ?? openApiPath(route)
    shown.set(route, name)
    return name
  }
  return {
    all,
    observe({ request, route, startedMs }: Answered, { status }: Response): void {
      const { method } = request
      const labels = {
        method: methods.has(method) ? method : 'other',
        route: route ? nameOf(route) : 'none',
        status,
      }
      duration.observe(labels, (performance.now() - startedMs) / 1000, traceIdOf(traceOf(request)))
    },
  }
}
