/** Spans through OpenTelemetry's SDK, exported in batches. Loaded only where traces are wanted. */
import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span as SdkSpan,
  SpanKind as SdkSpanKind,
  type SpanContext,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler as SdkSampler,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { messageOf } from '../fault'
import type { Log } from './log'
import type {
  Attributes,
  Sampler,
  Span,
  SpanKind,
  SpanOptions,
  SpanReference,
  Tracing,
  TracingOptions,
} from './spans'
import { newTraceparent, parseTraceparent } from './trace'

export function createTracing(options: TracingOptions, log: Log): Tracing {
  const { url, headers, timeoutMs, resource, sampler } = options
  const exporter = new OTLPTraceExporter({ url, headers, timeoutMillis: timeoutMs })
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes(resource)),
    sampler: samplerOf(sampler),
    spanProcessors: [boundedProcessor(exporter, options, log)],
  })
  const tracer = provider.getTracer('saldo')
  return {
    begin(name, { parent, tracestate, ...rest }) {
      const above = parent ? contextOf(parent, tracestate) : undefined
      const isSampled = !above || (above.traceFlags & TraceFlags.SAMPLED) !== 0
      return isSampled || !sampler.isParentBased
        ? new TracedSpan(tracer, name, { ...rest, above })
        : new UnsampledSpan(above)
    },
    close: () => provider.shutdown().catch(() => {}),
  }
}

const kinds: Record<SpanKind, SdkSpanKind> = {
  server: SdkSpanKind.SERVER,
  client: SdkSpanKind.CLIENT,
  producer: SdkSpanKind.PRODUCER,
  consumer: SdkSpanKind.CONSUMER,
  internal: SdkSpanKind.INTERNAL,
}

/** Sampled is decided by the SDK; that its ids are random is what the caller says. */
const randomFlag = 0b10

class TracedSpan implements Span {
  readonly traceparent: string
  readonly isRecorded: boolean
  readonly context: SpanContext
  readonly #span: SdkSpan

  constructor(
    tracer: Tracer,
    name: string,
    { kind, above, ...options }: SpanOptions & { above: SpanContext | undefined },
  ) {
    const links = options.links?.flatMap(linkTo)
    this.#span = tracer.startSpan(
      name,
      {
        kind: kinds[kind],
        startTime: options.startMs ?? performance.now(),
        ...(links && { links }),
        ...(options.attributes && { attributes: options.attributes }),
      },
      above ? contextWith(above) : ROOT_CONTEXT,
    )
    this.context = this.#span.spanContext()
    const { traceId, spanId, traceFlags } = this.context
    const flags = traceFlags | ((above?.traceFlags ?? 0) & randomFlag)
    this.traceparent = `00-${traceId}-${spanId}-0${flags}`
    this.isRecorded = this.#span.isRecording()
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes)
  }

  link(to: SpanReference): void {
    for (const link of linkTo(to)) this.#span.addLink(link)
  }

  fail(type: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR })
    this.#span.setAttribute('error.type', type)
  }

  end(endMs = performance.now()): void {
    this.#span.end(endMs)
  }
}

/**
 * What the SDK would make of it, for less: where few traces are sampled, most spans are of this kind.
 */
class UnsampledSpan implements Span {
  readonly traceparent: string
  readonly isRecorded = false

  constructor({ traceId, traceFlags }: SpanContext) {
    this.traceparent = newTraceparent(traceId, traceFlags)
  }

  set(): void {}
  link(): void {}
  fail(): void {}
  end(): void {}
}

const contextWith = (above: SpanContext): Context => trace.setSpanContext(ROOT_CONTEXT, above)

const linkTo = (to: SpanReference): { context: SpanContext }[] => {
  const context = contextOf(to)
  return context ? [{ context }] : []
}

function contextOf(reference: SpanReference, tracestate?: string | null): SpanContext | undefined {
  if (reference instanceof TracedSpan) return reference.context
  const parsed = parseTraceparent(typeof reference === 'string' ? reference : reference.traceparent)
  if (!parsed) return undefined
  const { traceId, parentId: spanId, flags: traceFlags } = parsed
  const context = { traceId, spanId, traceFlags, isRemote: true }
  return tracestate ? { ...context, traceState: createTraceState(tracestate) } : context
}

function samplerOf({ root: name, ratio, isParentBased }: Sampler): SdkSampler {
  const root =
    name === 'ratio'
      ? new TraceIdRatioBasedSampler(ratio)
      : name === 'on'
        ? new AlwaysOnSampler()
        : new AlwaysOffSampler()
  return isParentBased ? new ParentBasedSampler({ root }) : root
}

/** Losses are over once there were none for so long, in milliseconds. */
const lossesOverMs = 60_000

/**
 * A queue that a dead or slow collector can fill and no more: what does not fit is dropped, and so is what
 * could not be exported in time. The first loss is a line in the log, and the end of them is one.
 */
function boundedProcessor(
  exporter: SpanExporter,
  { queueMax, batchMax, delayMs, timeoutMs }: TracingOptions,
  log: Log,
): SpanProcessor {
  /** Spans that are queued or on their way, and those that were lost since the line in the log. */
  let [pending, dropped] = [0, 0]
  let droppedAtMs = 0
  const drop = (count: number, cause: string) => {
    if (dropped === 0) log.warn({ queueMax }, `traces are being dropped: ${cause}`)
    dropped += count
    droppedAtMs = performance.now()
  }
  const exported = () => {
    if (dropped === 0 || performance.now() - droppedAtMs < lossesOverMs) return
    log.info({ dropped }, 'traces are exported again')
    dropped = 0
  }

  const counted: SpanExporter = {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        pending -= spans.length
        if (result.code === 0) exported()
        else drop(spans.length, exportFailure(result.error))
        done(result)
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
  const processor = new BatchSpanProcessor({
    exporter: counted,
    maxQueueSize: queueMax,
    maxExportBatchSize: batchMax,
    scheduledDelayMillis: delayMs,
    // Longer than the exporter's own, which says why.
    exportTimeoutMillis: 2 * timeoutMs,
  })
  return {
    onStart() {},
    onEnd(span) {
      if (pending >= queueMax) return drop(1, `${queueMax} spans are waiting for the collector`)
      pending++
      processor.onEnd(span)
    },
    forceFlush: () => processor.forceFlush(),
    shutdown() {
      if (dropped > 0) log.warn({ dropped }, 'traces were dropped')
      return processor.shutdown()
    },
  }
}

/** Of the library's own error: it may repeat what the collector answered. */
const exportFailure = (error: Error | undefined): string =>
  error && 'code' in error && typeof error.code === 'number'
    ? `the collector answered ${error.code}`
    : `the collector cannot be reached (${messageOf(error ?? 'unknown cause')})`
