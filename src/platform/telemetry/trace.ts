/** Trace context (W3C, level 2): which request a log line, a problem or an event belongs to. */
import { randomBytes } from 'node:crypto'

/**
 * Version 00 ends with its flags; a later one may have more behind a hyphen. There is no version
 * ff, and all-zero ids are invalid.
 */
const pattern =
  /^(?!ff)(?:00(?=.{53}$)|(?!00)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-[^,\s]*)?$/
/** Sampled and random: what version 00 defines. */
const knownFlags = 0b11

/**
 * Carries a caller's trace on as version 00 with a new parent id, or begins one. A header that
 * cannot be read begins a new trace, as the standard says.
 */
export function continueTrace(header: string | null | undefined): string {
  const [, traceId, flags] = (header && pattern.exec(header)) || []
  const ours = (Number.parseInt(flags ?? '01', 16) & knownFlags).toString(16).padStart(2, '0')
  return `00-${traceId ?? hex(16)}-${hex(8)}-${ours}`
}

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35)

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')
