/** Notifications (LISTEN/NOTIFY), kept up across lost connections. */
import type { Sql } from 'postgres'
import { within } from '../process/retry'
import type { Types } from './statements'

/**
 * Listens on a connection of the driver's own until `end`. A regular ping detects a connection that
 * was lost silently, on which a listener would wait for ever. `onListening` is called at every start,
 * since notifications in between are lost.
 */
export function keepListening(
  sql: Sql<Types>,
  channels: Record<string, (payload: string) => void>,
  onListening: () => void = () => {},
  pingMs = 5000,
): { started: Promise<unknown>; end(): Promise<void> } {
  const starting = Object.entries(channels).map(([name, onNotify]) => sql.listen(name, onNotify, onListening))
  // The driver keeps the connection here, and listens on another one when it is lost.
  const { listen } = sql as unknown as { listen: { sql?: Sql } }
  const pinging = setInterval(() => {
    listen.sql?.unsafe('select 1').catch(() => {})
  }, pingMs)
  const started = Promise.all(starting)
  return {
    started,
    async end() {
      clearInterval(pinging)
      const listeners = await started.catch(() => [])
      await within(Promise.all(listeners.map((one) => one.unlisten().catch(() => {}))), 1000)
    },
  }
}
