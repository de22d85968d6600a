/** What is left of the traces is exported at the very end, since all other parts add to them. */
import type { Tracing } from '../telemetry/spans'
import { within } from './retry'
import type { Part } from './service'

/** A collector that does not answer delays the end by no more than this, in milliseconds. */
const exportMaxMs = 3000

/** None without tracing. First in the list of parts, and so the last to stop. */
export const tracesPart = (tracing: Tracing | undefined): Part[] =>
  tracing
    ? [{ name: 'traces', stop: (timeoutMs) => within(tracing.close(), Math.min(timeoutMs, exportMaxMs)) }]
    : []
