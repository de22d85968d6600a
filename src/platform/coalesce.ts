/**
 * Reads together what is asked for at the same time: one query for everybody who came while the
 * last ones were under way.
 */
import { Fault } from './fault'

/** More in flight would only divide the same work into smaller queries. */
const inFlightMax = 2
/** A read that takes longer is given up, in milliseconds. The caller is told to come back. */
const patienceMs = 5000

export type ReadMany<Row> = (ids: readonly string[]) => Promise<Map<string, Row>>

/**
 * Every answer comes from a query that was sent after it was asked for, so it is as fresh as the
 * database. A lone read never waits. Throws what `readMany` throws, and a `Fault` when it takes too
 * long.
 */
export function coalesce<Row>(readMany: ReadMany<Row>): (id: string) => Promise<Row | undefined> {
  type Gathering = { ids: Set<string>; rows: Promise<Map<string, Row>>; send: () => void }
  let gathering: Gathering | undefined
  let inFlight = 0

  const gather = (): Gathering => {
    const ids = new Set<string>()
    const { promise: rows, resolve, reject } = Promise.withResolvers<Map<string, Row>>()
    const timer = setTimeout(() => {
      if (gathering === next) gathering = undefined
      reject(new Fault('database_unavailable', `the database has not answered for ${patienceMs} ms`))
    }, patienceMs)

    const send = () => {
      // Sent already, when a query came back in the same turn.
      if (gathering !== next) return
      gathering = undefined
      inFlight++
      readMany([...ids])
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer)
          inFlight--
          gathering?.send()
        })
    }
    const next = { ids, rows, send }
    return next
  }

  return async (id) => {
    const isFirst = gathering === undefined
    gathering ??= gather()
    const { ids, rows, send } = gathering
    ids.add(id)
    // Not before this turn of the loop is over: what arrived in the same packet goes out together.
    if (isFirst && inFlight < inFlightMax) queueMicrotask(send)
    return (await rows).get(id)
  }
}
