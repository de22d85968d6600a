/** Notifications (LISTEN/NOTIFY), kept up across lost connections. */
import type { Sql } from 'postgres'
import { pause } from '../process/retry'
import type { Types } from './statements'

const listenerPingMs = 5000

/**
 * Listens until it is ended, on a connection of the driver's own. A listener has nothing to say, so
 * it is asked now and then: one that was cut in silence would wait for ever. `onListening` is
 * called at each beginning, since what was sent in between is lost.
 */
export function keepListening(
  sql: Sql<Types>,
  channels: Record<string, (payload: string) => void>,
  onListening: () => void = () => {},
): { started: Promise<unknown>; end(): Promise<void> } {
  const starting = Object.entries(channels).map(([name, hear]) => sql.listen(name, hear, onListening))
  // The driver keeps the connection here, and answers its loss by listening on another one.
  const { listen } = sql as unknown as { listen: { sql?: Sql } }
  const pinging = setInterval(() => {
    listen.sql?.unsafe('select 1').catch(() => {})
  }, listenerPingMs)
  const started = Promise.all(starting)
  return {
    started,
    async end() {
      clearInterval(pinging)
      const listeners = await started.catch(() => [])
      await Promise.race([Promise.all(listeners.map((one) => one.unlisten().catch(() => {}))), pause(1000)])
    },
  }
}
