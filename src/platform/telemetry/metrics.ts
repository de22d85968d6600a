/**
 * Metrics as Prometheus reads them. A capability defines its own as data, and creates them where it is
 * created, so two services in one process share none. The documents are made from the definitions.
 */
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

export type Definition = {
  type: 'counter' | 'gauge' | 'histogram'
  /** With its unit, in base units; counters end in `_total`. */
  name: string
  /** One sentence, without quotes: it is the HELP line, too. */
  help: string
  /** What each label says. Its values are a closed set of ours, never what a caller sent. */
  labels?: Readonly<Record<string, string>>
  /** Upper bounds, of a histogram. */
  buckets?: readonly number[]
}

export type Definitions = Readonly<Record<string, Definition>>

/** Keeps the names of labels, so that a wrong one does not compile. */
export const defineMetrics = <const D extends Definitions>(definitions: D): D => definitions

type LabelsOf<D extends Definition> = D extends { labels: infer L } ? keyof L & string : never
type Labels<D extends Definition> = Readonly<Record<LabelsOf<D>, string | number>>

export type Metric = Counter<string> | Gauge<string> | Histogram<string>

/** As the library has them, but with the labels of their definitions. */
type Of<D extends Definition> = D['type'] extends 'counter'
  ? { add(labels: Labels<D>, count?: number): void }
  : D['type'] extends 'gauge'
    ? { set(labels: Labels<D>, value: number): void; clear(): void }
    : {
        /** The trace is shown as an exemplar of its bucket. */
        observe(labels: Labels<D>, value: number, traceId?: string): void
      }

export type Metrics<D extends Definitions> = { readonly [Name in keyof D]: Of<D[Name]> } & {
  /** For the registry of the service. */
  readonly all: readonly Metric[]
}

/** Reads a gauge when it is scraped: its value, or one for each set of labels. Must not wait. */
type Read<D extends Definition> = () => number | readonly (readonly [labels: Labels<D>, value: number])[]

export function createMetrics<const D extends Definitions>(
  definitions: D,
  reads: { readonly [Name in keyof D]?: Read<D[Name]> } = {},
): Metrics<D> {
  const created = Object.entries(definitions).map(
    ([key, definition]) => [key, create(definition, reads[key] as Read<Definition>)] as const,
  )
  return {
    ...Object.fromEntries(created.map(([key, { handle }]) => [key, handle])),
    all: created.map(([, { metric }]) => metric),
  } as unknown as Metrics<D>
}

type Values = Readonly<Record<string, string | number>>

/** In no registry: with exemplars, the library would look for one of OpenMetrics. */
function create({ type, name, help, labels = {}, buckets }: Definition, read?: Read<Definition>) {
  const options = { name, help, labelNames: Object.keys(labels), registers: [] }
  if (type === 'counter') {
    const metric = new Counter<string>(options)
    return { metric, handle: { add: (values: Values, count = 1) => metric.inc({ ...values }, count) } }
  }
  if (type === 'gauge') {
    const metric: Gauge<string> = new Gauge<string>({
      ...options,
      ...(read && { collect: () => setAll(metric, read()) }),
    })
    // The library begins with a zero, which nothing has measured.
    metric.remove({})
    const set = (values: Values, value: number) => metric.set({ ...values }, value)
    return { metric, handle: { set, clear: () => metric.reset() } }
  }
  const metric = new Histogram<string>({
    ...options,
    enableExemplars: true,
    ...(buckets && { buckets: [...buckets] }),
  })
  const observe = (values: Values, value: number, traceId?: string) =>
    metric.observe({
      labels: values,
      value,
      ...(traceId !== undefined && { exemplarLabels: { trace_id: traceId } }),
    })
  return { metric, handle: { observe } }
}

function setAll(metric: Gauge<string>, read: ReturnType<Read<Definition>>): void {
  metric.reset()
  if (typeof read === 'number') metric.set(read)
  else for (const [labels, value] of read) metric.set({ ...labels }, value)
}

/** What a service shows of a part. */
export type Measured = {
  name: string
  metrics?: readonly Metric[]
  sample?(): Promise<void>
}

const textType = Registry.PROMETHEUS_CONTENT_TYPE
const openMetricsType = Registry.OPENMETRICS_CONTENT_TYPE

export type Page = { text: string; contentType: string }

/** How often a part is asked for a sample at most, and how long a scrape waits for it, in milliseconds. */
const [sampleEveryMs, sampleWaitMs] = [2000, 1000]

export const sampleMetrics = defineMetrics({
  age: {
    type: 'gauge',
    name: 'saldo_sample_age_seconds',
    help: 'How old the gauges of this part are that take a query; they keep their last values.',
    labels: { part: 'the part of the service, as in the checks of /readyz' },
  },
})

/** All metrics of a service. */
export class MetricsPage {
  readonly #registry = new Registry(openMetricsType)
  readonly #samplers: Sampler[]
  readonly #age = createMetrics(sampleMetrics)
  readonly #waitMs: number

  constructor(parts: readonly Measured[], { everyMs = sampleEveryMs, waitMs = sampleWaitMs } = {}) {
    for (const metric of parts.flatMap(({ metrics = [] }) => metrics)) this.#registry.registerMetric(metric)
    for (const metric of this.#age.all) this.#registry.registerMetric(metric)
    this.#samplers = parts.flatMap((part) => (part.sample ? new Sampler(part, everyMs) : []))
    this.#waitMs = waitMs
  }

  /** `accept` chooses between OpenMetrics, which has exemplars, and the text format. Never throws. */
  async render(accept: string): Promise<Page> {
    await settled(
      this.#samplers.map((sampler) => sampler.refresh()),
      this.#waitMs,
    )
    for (const { part, ageSeconds } of this.#samplers) this.#age.age.set({ part }, ageSeconds)
    const text = await this.#registry.metrics()
    return /\bapplication\/openmetrics-text\b/i.test(accept)
      ? { text, contentType: openMetricsType }
      : { text: asText(text), contentType: textType }
  }
}

/** Resolves after `ms` at the latest. */
async function settled(work: readonly Promise<void>[], ms: number): Promise<void> {
  let timer: Timer | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([Promise.all(work), late])
  clearTimeout(timer)
}

/** Asks a part for a sample at most every few seconds, however often it is scraped, and once at a time. */
class Sampler {
  readonly part: string
  readonly #sample: () => Promise<void>
  readonly #everyMs: number
  #begunMs = Number.NEGATIVE_INFINITY
  /** Without a sample, since the start. */
  #sampledMs = performance.now()
  #running: Promise<void> | undefined

  constructor(part: Measured, everyMs: number) {
    this.part = part.name
    this.#sample = async () => part.sample?.()
    this.#everyMs = everyMs
  }

  get ageSeconds(): number {
    return (performance.now() - this.#sampledMs) / 1000
  }

  /** Resolves once there is a sample, or none is to be had. */
  async refresh(): Promise<void> {
    const nowMs = performance.now()
    if (!this.#running && nowMs - this.#begunMs >= this.#everyMs) {
      this.#begunMs = nowMs
      this.#running = this.#sample()
        .then(
          () => {
            this.#sampledMs = nowMs
          },
          // The age says so.
          () => {},
        )
        .finally(() => {
          this.#running = undefined
        })
    }
    await this.#running
  }
}

/**
 * The text format 0.0.4 of an OpenMetrics page. The library writes both, but drops the `_total` of its
 * counters for good once it has written OpenMetrics.
 */
function asText(openMetrics: string): string {
  const counters = new Set(Array.from(openMetrics.matchAll(/^# TYPE (\S+) counter$/gm), ([, name]) => name))
  const lines = openMetrics.split('\n').flatMap((line) => {
    if (line === '# EOF') return []
    if (!line.startsWith('# ')) return line.replace(/ # \{.*$/, '')
    const [, keyword, name = '', rest] = /^# (\w+) (\S+) (.*)$/.exec(line) ?? []
    return counters.has(name) ? `# ${keyword} ${name}_total ${rest}` : line
  })
  return lines.join('\n')
}
