/**
 * The spans of a send, as OpenTelemetry's messaging conventions have them: one for each trace and topic,
 * under what has written the records, however many are sent together. So each trace is whole, and a record
 * carries the context of its own `send`.
 */
import type { Attributes, Span, Tracing } from '../telemetry/spans'
import type { RecordCoordinates } from './offsets'

/** `traceparent`: of what has written it. Those without one share a trace. */
export type TracedRecord = { topic: string; traceparent: string | null }

type Outcome = RecordCoordinates | 'too_large' | 'unsent'

export class SendSpans {
  readonly #spans: Span[]
  readonly #sends = new Map<string, { span: Span; indexes: number[] }>()

  constructor(tracing: Tracing, records: readonly TracedRecord[]) {
    this.#spans = records.map(({ topic, traceparent }, index) => {
      const name = `${topic} ${traceparent}`
      const known = this.#sends.get(name)
      if (known) {
        known.indexes.push(index)
        return known.span
      }
      const span = tracing.begin(`send ${topic}`, {
        kind: 'producer',
        parent: traceparent,
        attributes: {
          'messaging.system': 'kafka',
          'messaging.operation.name': 'send',
          'messaging.operation.type': 'send',
          'messaging.destination.name': topic,
        },
      })
      this.#sends.set(name, { span, indexes: [index] })
      return span
    })
  }

  /** What the record carries. */
  traceparentOf(index: number): string | undefined {
    return this.#spans[index]?.traceparent
  }

  end(outcomes: readonly Outcome[]): void {
    for (const { span, indexes } of this.#sends.values()) {
      if (span.isRecorded) {
        const own = indexes.map((index) => outcomes[index] ?? 'unsent')
        span.set(placeOf(own))
        const failed = own.find((outcome) => typeof outcome === 'string')
        if (typeof failed === 'string') span.fail(failed)
      }
      span.end()
    }
  }

  /**
   * One span has the error, in the trace of the oldest record: while the broker is away, the same records are
   * sent again and again. The others are never exported.
   */
  fail(type: string): void {
    const first = this.#sends.values().find(({ span }) => span.isRecorded)
    first?.span.fail(type)
    first?.span.end()
  }
}

/** Where a record is; of several, how many, and the partition if it is one. */
function placeOf(outcomes: readonly Outcome[]): Attributes {
  const places = outcomes.filter((outcome) => typeof outcome === 'object')
  const partitions = new Set(places.map(({ partition }) => partition))
  const [place] = places
  return {
    ...(place && partitions.size === 1 && { 'messaging.destination.partition.id': String(place.partition) }),
    ...(outcomes.length > 1
      ? { 'messaging.batch.message_count': outcomes.length }
      : place && { 'messaging.kafka.offset': Number(place.offset) }),
  }
}
