/** The span of a request, until its answer is made, as OpenTelemetry's HTTP conventions have it. */
import type { Span, Tracing } from '../telemetry/spans'
import { setSpan } from './app'

/** Undefined for probes, which say nothing of anybody and come all the time. */
export function beginRequest(
  tracing: Tracing,
  { path, route, scheme }: { path: string; route: string | undefined; scheme: 'http' | 'https' },
  request: Request,
): Span | undefined {
  if (isProbe.test(path)) return undefined
  const { method, headers } = request
  const known = isMethod.test(method) ? method : undefined
  const span = tracing.begin([known ?? 'HTTP', ...(route === undefined ? [] : [route])].join(' '), {
    kind: 'server',
    parent: headers.get('traceparent'),
    tracestate: headers.get('tracestate'),
    // Without `url.path`, which is required: it has ids, and what a caller put into the wrong place.
    attributes: {
      'http.request.method': known ?? '_OTHER',
      ...(route !== undefined && { 'http.route': route }),
      'url.scheme': scheme,
    },
  })
  setSpan(request, span)
  return span
}

export function endRequest(span: Span, { status }: Response): void {
  span.set({ 'http.response.status_code': status })
  // What is refused is no failure of the service.
  if (status >= 500) span.fail(String(status))
  span.end()
}

const isProbe = /^\/(livez|readyz|healthz|metrics)$/
const isMethod = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)$/
