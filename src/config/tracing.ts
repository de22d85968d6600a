/** OpenTelemetry's own variables, as its specification defines them: those for traces. */
import { flag, integer, oneOf, type Parser, text, type Variable } from './parsers'

/** Undefined without an endpoint: then nothing else of it is read. */
export function tracingConfig(variable: Variable, service: string) {
  const base = variable('OTEL_EXPORTER_OTLP_ENDPOINT', httpUrl, undefined)
  const url = variable('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', httpUrl, base && pathBehind(base))
  if (url === undefined || variable('OTEL_SDK_DISABLED', flag, false)) return undefined
  if (variable('OTEL_TRACES_EXPORTER', oneOf('otlp', 'none'), 'otlp') === 'none') return undefined
  /** The variable for all signals, unless there is one for traces. */
  const ofTraces = <T>(name: string, parse: Parser<T>, fallback: T): T =>
    variable(
      `OTEL_EXPORTER_OTLP_TRACES_${name}`,
      parse,
      variable(`OTEL_EXPORTER_OTLP_${name}`, parse, fallback),
    )
  ofTraces('PROTOCOL', oneOf('http/protobuf'), 'http/protobuf')
  const resource: Record<string, string> = {
    'service.namespace': 'saldo',
    'service.instance.id': crypto.randomUUID(),
    'service.name': service,
    ...variable('OTEL_RESOURCE_ATTRIBUTES', pairs, {}),
    ...nameOf(variable('OTEL_SERVICE_NAME', text, undefined)),
  }
  const queueMax = variable('OTEL_BSP_MAX_QUEUE_SIZE', integer(1, 1_000_000), 8192)
  return {
    url,
    headers: ofTraces('HEADERS', pairs, {}),
    timeoutMs: ofTraces('TIMEOUT', integer(1, 600_000), 10_000),
    sampler: samplerConfig(variable),
    queueMax,
    batchMax: Math.min(queueMax, variable('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', integer(1, 100_000), 512)),
    delayMs: variable('OTEL_BSP_SCHEDULE_DELAY', integer(1, 600_000), 5000),
    resource,
  }
}

const nameOf = (name: string | undefined) => (name === undefined ? {} : { 'service.name': name })

const samplers = {
  always_on: { root: 'on', isParentBased: false },
  always_off: { root: 'off', isParentBased: false },
  traceidratio: { root: 'ratio', isParentBased: false },
  parentbased_always_on: { root: 'on', isParentBased: true },
  parentbased_always_off: { root: 'off', isParentBased: true },
  parentbased_traceidratio: { root: 'ratio', isParentBased: true },
} as const

function samplerConfig(variable: Variable) {
  const names = Object.keys(samplers) as (keyof typeof samplers)[]
  const sampler = samplers[variable('OTEL_TRACES_SAMPLER', oneOf(...names), 'parentbased_always_on')]
  // Of an invalid name, which is a fault.
  if (sampler?.root !== 'ratio') return { ...(sampler ?? samplers.always_off), ratio: 1 }
  return { ...sampler, ratio: variable('OTEL_TRACES_SAMPLER_ARG', share, 1) }
}

const share: Parser<number> = (value) => {
  if (/^(0(\.\d+)?|1(\.0+)?)$/.test(value)) return Number(value)
  throw new Error('must be a number from 0 to 1, such as 0.01')
}

const httpUrl: Parser<string> = (value) => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password) return value
  throw new Error('must be a URL such as http://127.0.0.1:4318, without a password')
}

/** The endpoint of all signals is a base: that of traces is below it. */
const pathBehind = (base: string): string => `${base.replace(/\/+$/, '')}/v1/traces`

/** `name=value,name=value`, percent-encoded. Faults say nothing of the content: headers have secrets. */
const pairs: Parser<Record<string, string>> = (value) => {
  const entries = value.split(',').filter((entry) => entry.trim() !== '')
  return Object.fromEntries(
    entries.map((entry, index) => {
      const [, name, text = ''] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(entry) ?? []
      try {
        if (name !== undefined) return [decodeURIComponent(name), decodeURIComponent(text)]
      } catch {}
      throw new Error(
        `must be a comma-separated list of name=value, percent-encoded, but entry ${index + 1} is not`,
      )
    }),
  )
}
