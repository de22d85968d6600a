/** Coalesces concurrent reads: one query for all callers that arrive while earlier queries are in flight. */
import { Fault } from './fault'

/** More queries in flight would only split the same work. */
const inFlightMax = 2
/** After this a read is given up with a `Fault`. */
const timeoutMs = 5000

/**
 * Every result comes from a query that was sent after the call, so it is as fresh as the database. A
 * single read never waits. Throws what `readMany` throws, and a `Fault` when it takes too long.
 */
export function coalesce<Row>(readMany: (ids: readonly string[]) => Promise<Map<string, Row>>) {
  type Batch = { ids: Set<string>; rows: Promise<Map<string, Row>>; send: () => void }
  let pending: Batch | undefined
  let inFlight = 0

  const openBatch = (): Batch => {
    const ids = new Set<string>()
    const { promise: rows, resolve, reject } = Promise.withResolvers<Map<string, Row>>()
    const timer = setTimeout(() => {
      if (pending === next) pending = undefined
      reject(new Fault('database_unavailable', `no response from the database for ${timeoutMs} ms`))
    }, timeoutMs)

    const send = () => {
      // Already sent, when a query finished in the same tick.
      if (pending !== next) return
      pending = undefined
      inFlight++
      readMany([...ids])
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer)
          inFlight--
          pending?.send()
        })
    }
    const next = { ids, rows, send }
    return next
  }

  return async (id: string): Promise<Row | undefined> => {
    const isFirst = pending === undefined
    pending ??= openBatch()
    const { ids, rows, send } = pending
    ids.add(id)
    // At the end of this tick: requests of the same packet are sent together.
    if (isFirst && inFlight < inFlightMax) queueMicrotask(send)
    return (await rows).get(id)
  }
}
