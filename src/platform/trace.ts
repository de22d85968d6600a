/** Trace context (W3C, level 1): which request a log line, a problem or an event belongs to. */
import { randomBytes } from 'node:crypto'

/** Version 00. All-zero ids are invalid. */
const pattern = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/

/** Carries a caller's trace on with a new parent id, or begins one. A header that cannot be read begins a new trace, as the standard says. */
export function continueTrace(header: string | null | undefined): string {
  const [, traceId, flags] = (header && pattern.exec(header)) || []
  return `00-${traceId ?? hex(16)}-${hex(8)}-${flags ?? '01'}`
}

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35)

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')
