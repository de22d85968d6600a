/** How busy connection pools are, how soon the database answers, and how far apart the clocks are. */
import type { Part } from '../process/service'
import { createMetrics, defineMetrics } from '../telemetry/metrics'
import type { Database, PoolUsage } from './database'

const pool = { pool: 'what its connections are for, as in `application_name` at the server' }

export const databaseMetrics = defineMetrics({
  size: {
    type: 'gauge',
    name: 'saldo_database_pool_size',
    help: 'Connections that the pool may open.',
    labels: pool,
  },
  inUse: {
    type: 'gauge',
    name: 'saldo_database_pool_in_use',
    help: 'Connections that execute a query or hold a transaction.',
    labels: pool,
  },
  waiting: {
    type: 'gauge',
    name: 'saldo_database_pool_waiting',
    help: 'Queries that wait for a connection, or behind another query of theirs.',
    labels: pool,
  },
  roundTrip: {
    type: 'gauge',
    name: 'saldo_database_round_trip_seconds',
    help: 'How long the database took to answer a query that reads nothing, with the wait for a connection.',
  },
  clockOffset: {
    type: 'gauge',
    name: 'saldo_clock_offset_seconds',
    help: 'How far the clock of the database is ahead of that of the process.',
  },
})

/** `first` is asked for its time. */
export function measureDatabase(
  first: Database,
  pools: Readonly<Record<string, Database>>,
): Required<Pick<Part, 'metrics' | 'sample'>> {
  const read = (count: keyof PoolUsage) => () =>
    Object.entries(pools).map(([pool, { usage }]) => [{ pool }, usage()[count]] as const)
  const metrics = createMetrics(databaseMetrics, {
    size: read('size'),
    inUse: read('inUse'),
    waiting: read('waiting'),
  })
  return {
    metrics: metrics.all,
    async sample() {
      const [sentMs, sentAtMs] = [performance.now(), Date.now()]
      const [row] = await first.sql<{ epoch: number }[]>`
        select extract(epoch from clock_timestamp())::float8 as epoch`
      const tripMs = performance.now() - sentMs
      metrics.roundTrip.set({}, tripMs / 1000)
      metrics.clockOffset.set({}, (row?.epoch ?? 0) - (sentAtMs + tripMs / 2) / 1000)
    },
  }
}
