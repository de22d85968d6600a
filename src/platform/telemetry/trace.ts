/** W3C Trace Context, level 2: correlates log lines, problems, events and spans with a request. */
import { randomBytes } from 'node:crypto'

/**
 * Version 00 ends with its flags; later ones may have more after a hyphen. Version ff and all-zero ids
 * are invalid.
 */
const versionPattern = /(?!ff)(?:00(?=.{53}$)|(?!00)[0-9a-f]{2})/
const idsPattern = /(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})/
const pattern = new RegExp(`^${versionPattern.source}-${idsPattern.source}-([0-9a-f]{2})(?:-[^,\\s]*)?$`)
/** Sampled and random, which version 00 defines. */
const knownFlags = 0b11

/** The ids in hexadecimal digits, and the flags that version 00 defines. Undefined for an invalid header. */
export function parseTraceparent(
  header: string | null | undefined,
): { traceId: string; parentId: string; flags: number } | undefined {
  const [, traceId, parentId, flags] = (header && pattern.exec(header)) || []
  if (!traceId || !parentId || !flags) return undefined
  return { traceId, parentId, flags: Number.parseInt(flags, 16) & knownFlags }
}

/**
 * Continues the caller's trace as version 00 under a new parent id. Starts a new one without a valid
 * header.
 */
export function continueTrace(header: string | null | undefined): string {
  const parsed = parseTraceparent(header)
  return newTraceparent(parsed?.traceId ?? hex(16), parsed?.flags ?? 1)
}

/** With a parent id of its own. */
export const newTraceparent = (traceId: string, flags: number): string => `00-${traceId}-${hex(8)}-0${flags}`

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35)

/** For log lines. */
export const traceFields = (traceparent: string): { trace_id: string; span_id: string } => ({
  trace_id: traceIdOf(traceparent),
  span_id: traceparent.slice(36, 52),
})

/** Drawn for many ids at once: a draw takes longer than all else for one. */
let drawn = ''
const drawnBytes = 1024

function hex(bytes: number): string {
  const length = 2 * bytes
  if (drawn.length < length) drawn = randomBytes(drawnBytes).toString('hex')
  const id = drawn.slice(0, length)
  drawn = drawn.slice(length)
  return id
}
