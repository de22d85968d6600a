/** Headers of records, for tests that write them as text. */
import type { RecordHeader } from '../platform/kafka/record-set'

/** Names that the engine takes for numbers come first: use others. */
export const headersOf = (texts: Record<string, string>): RecordHeader[] =>
  Object.entries(texts).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])

/** Of a name that is repeated the last. */
export const textsOf = (headers: readonly RecordHeader[]): Record<string, string> =>
  Object.fromEntries(headers.map(([name, value]) => [String(name), String(value)]))

export const headerText = ({ headers }: { headers: readonly RecordHeader[] }, name: string): string =>
  textsOf(headers)[name] ?? ''
