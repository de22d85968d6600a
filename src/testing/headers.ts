/** Record headers as text, for tests. */
import type { RecordHeader } from '../platform/kafka/record-set'

/** Integer-like names would come first: avoid them. */
export const headersOf = (texts: Record<string, string>): RecordHeader[] =>
  Object.entries(texts).map(([name, value]) => [Buffer.from(name), Buffer.from(value)])

/** The last value wins for a repeated name. */
export const textsOf = (headers: readonly RecordHeader[]): Record<string, string> =>
  Object.fromEntries(headers.map(([name, value]) => [String(name), String(value)]))

export const headerText = ({ headers }: { headers: readonly RecordHeader[] }, name: string): string =>
  textsOf(headers)[name] ?? ''
