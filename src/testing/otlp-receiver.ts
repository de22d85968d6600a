/**
 * A collector for tests: takes traces over OTLP/HTTP. It decodes the protobuf itself, so that what is checked
 * is what other collectors read. Field numbers are those of opentelemetry-proto (trace/v1, common/v1).
 */

export type ReceivedSpan = {
  traceId: string
  spanId: string
  parentSpanId: string
  tracestate: string
  name: string
  kind: string
  startMs: number
  endMs: number
  attributes: Record<string, unknown>
  links: { traceId: string; spanId: string }[]
  isError: boolean
  /** `service.name` of its resource. */
  service: string
}

export type OtlpReceiver = {
  /** For `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. */
  url: string
  spans: ReceivedSpan[]
  resources: Record<string, unknown>[]
  /** Header fields of the last request. */
  headers(): Headers | undefined
  [Symbol.asyncDispose](): Promise<void>
}

/** `answer`: instead of the one that all is well. */
export function receiveOtlp(answer: () => Response | Promise<Response> = () => new Response()): OtlpReceiver {
  const spans: ReceivedSpan[] = []
  const resources: Record<string, unknown>[] = []
  let headers: Headers | undefined
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      headers = request.headers
      for (const { resource, own } of resourceSpansOf(Buffer.from(await request.arrayBuffer()))) {
        resources.push(resource)
        spans.push(...own)
      }
      return answer()
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/v1/traces`,
    spans,
    resources,
    headers: () => headers,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

type Field = { id: number; bytes: Buffer; number: bigint }

/** The fields of a message. Groups, which OTLP has not, are a fault. */
function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('cut off')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = Number(varint())
    const [id, type] = [tag >> 3, tag & 7]
    if (type === 0) yield { id, bytes: message.subarray(0, 0), number: varint() }
    else {
      const length = type === 2 ? Number(varint()) : type === 1 ? 8 : type === 5 ? 4 : Number.NaN
      const bytes = message.subarray(at, at + length)
      if (bytes.length !== length) throw new RangeError(`field ${id} of type ${type} is cut off`)
      at += length
      yield { id, bytes, number: type === 1 ? bytes.readBigUInt64LE() : 0n }
    }
  }
}

const all = (message: Buffer, wanted: number): Field[] =>
  [...fieldsOf(message)].filter(({ id }) => id === wanted)
const bytesOf = (message: Buffer, id: number): Buffer => all(message, id).at(-1)?.bytes ?? Buffer.alloc(0)
const textOf = (message: Buffer, id: number): string => bytesOf(message, id).toString()
const hexOf = (message: Buffer, id: number): string => bytesOf(message, id).toString('hex')
const numberOf = (message: Buffer, id: number): bigint => all(message, id).at(-1)?.number ?? 0n

const valueReaders: Record<number, (field: Field) => unknown> = {
  1: ({ bytes }) => bytes.toString(),
  2: ({ number }) => number === 1n,
  3: ({ number }) => Number(number),
  4: ({ bytes }) => bytes.readDoubleLE(),
}

const attributesOf = (message: Buffer, id: number): Record<string, unknown> =>
  Object.fromEntries(
    all(message, id).map(({ bytes }) => {
      const [field] = fieldsOf(bytesOf(bytes, 2))
      return [textOf(bytes, 1), field && valueReaders[field.id]?.(field)]
    }),
  )

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

function* resourceSpansOf(request: Buffer) {
  for (const { bytes: group } of all(request, 1)) {
    const resource = attributesOf(bytesOf(group, 1), 1)
    const own = all(group, 2)
      .flatMap(({ bytes: scope }) => all(scope, 2))
      .map(({ bytes }) => spanOf(bytes, String(resource['service.name'])))
    yield { resource, own }
  }
}

const spanOf = (span: Buffer, service: string): ReceivedSpan => ({
  traceId: hexOf(span, 1),
  spanId: hexOf(span, 2),
  tracestate: textOf(span, 3),
  parentSpanId: hexOf(span, 4),
  name: textOf(span, 5),
  kind: kinds[Number(numberOf(span, 6))] ?? '',
  startMs: Number(numberOf(span, 7)) / 1e6,
  endMs: Number(numberOf(span, 8)) / 1e6,
  attributes: attributesOf(span, 9),
  links: all(span, 13).map(({ bytes }) => ({ traceId: hexOf(bytes, 1), spanId: hexOf(bytes, 2) })),
  isError: numberOf(bytesOf(span, 15), 3) === 2n,
  service,
})

/** The spans of a trace as lines, each below its parent, in the order of their begin. */
export function treeOf(spans: readonly ReceivedSpan[], traceId: string): string[] {
  const own = spans.filter((span) => span.traceId === traceId).sort((a, b) => a.startMs - b.startMs)
  const below = (parent: string, depth: number): string[] =>
    own
      .filter(({ parentSpanId }) => parentSpanId === parent)
      .flatMap(({ service, name, spanId }) => [
        `${'  '.repeat(depth)}${service}: ${name}`,
        ...below(spanId, depth + 1),
      ])
  const known = new Set(own.map(({ spanId }) => spanId))
  const roots = new Set(own.map(({ parentSpanId }) => parentSpanId).filter((id) => !known.has(id)))
  return [...roots].flatMap((root) => below(root, 0))
}
