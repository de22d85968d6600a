/**
 * Spans by hand: what the services say of their work to OpenTelemetry. Without tracing there is no `Tracing`,
 * so that nothing is called and nothing allocated. Who begins a span names its parent: there is no ambient
 * context to keep over every `await`.
 */

export type Attributes = Record<string, string | number | boolean>

export type SpanKind = 'server' | 'client' | 'producer' | 'consumer' | 'internal'

/** A span of this process, or the `traceparent` of one anywhere. */
export type SpanReference = Span | string

export type SpanOptions = {
  kind: SpanKind
  /** Without one, or with a `traceparent` that is invalid, a trace begins. */
  parent?: SpanReference | null | undefined
  /** Of the caller, beside its `traceparent`. */
  tracestate?: string | null | undefined
  links?: readonly SpanReference[]
  attributes?: Attributes
  /** On the clock of `performance.now`; by default now. A span that has this is ended with `endMs`. */
  startMs?: number
}

export type Span = {
  /** With what a caller or a record continues the trace, recorded or not. */
  readonly traceparent: string
  /** Whether anybody will see it: not where the trace is not sampled. */
  readonly isRecorded: boolean
  set(attributes: Attributes): void
  link(to: SpanReference): void
  /** `type`: a code of a short list, never a message. */
  fail(type: string): void
  /** `endMs`: on the clock of `performance.now`. */
  end(endMs?: number): void
}

export type Tracing = {
  /** Names are of a short list: neither ids nor anything that a caller sends. */
  begin(name: string, options: SpanOptions): Span
  /** Exports what is left, which takes as long as the collector does. */
  close(): Promise<void>
}

export type TracingOptions = {
  /** Of the collector, with its path: spans are posted there as protobuf (OTLP/HTTP). */
  url: string
  headers: Record<string, string>
  /** Of an export, in milliseconds, retries included. */
  timeoutMs: number
  sampler: Sampler
  /** Spans that may wait to be exported. More are dropped. */
  queueMax: number
  batchMax: number
  /** How long a span waits for others, in milliseconds. */
  delayMs: number
  /** What every span is of. */
  resource: Attributes
}

/** Which traces are recorded. `ratio`: the share of those that begin here. */
export type Sampler = {
  root: 'on' | 'off' | 'ratio'
  ratio: number
  /** Whether the caller's decision stands where there is one. */
  isParentBased: boolean
}
