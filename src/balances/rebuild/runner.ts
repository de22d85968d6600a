/**
 * The work of a rebuild: fills the shadow as the tables that serve were filled, compares the two,
 * and lets them change places.
 */

import type { Kafka } from '../../platform/kafka/client'
import type { Database, DatabaseOptions } from '../../platform/postgres/database'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { countDeadLetters } from '../dead-letters/dead-letters-store'
import { type Consumer, startConsumer } from '../projection/consumer'
import { applySeed } from '../seed/seed'
import { isSeeded } from '../seed/seeds-store'
import {
  type Bounds,
  compareShadow,
  type Divergence,
  findRebuild,
  indexShadow,
  openShadow,
  readPositions,
  swapShadow,
  updateRebuild,
} from './shadow-store'

export type RebuildWork = {
  database: Pick<Database, 'sql'>
  connection: Pick<DatabaseOptions, 'url' | 'prepare'>
  kafka: Kafka
  groupId: string
  topics: string[]
  partitions: number
  log: Log
}

const stepMs = 200
/**
 * Twice as fast as one after the other: one batch is read and projected while the other is written.
 * Larger ones name an account fewer times.
 */
const ahead = { concurrency: 2, batchBytesMax: 4 << 20 }

/**
 * Returns when the rebuild is no longer ours to carry on: it has come to an end, or was cancelled,
 * or the signal was given.
 */
export async function carryOut(options: RebuildWork, signal: AbortSignal): Promise<void> {
  const { database, kafka, groupId, topics, partitions, log } = options
  const { sql } = database
  const shadow = openShadow({ ...options.connection, poolMax: 2, applicationName: 'saldo-balances-rebuild' })
  let consumer: Consumer | undefined
  let startedAt: string | undefined
  try {
    if (await isSeeded(sql)) await applySeed(shadow.sql)
    consumer = startConsumer({
      database: shadow,
      kafka,
      groupId: `${groupId}-rebuild`,
      topics,
      partitions,
      log: log.child({ rebuild: true }),
      ahead,
    })
    for (; !signal.aborted; await pause(stepMs, signal)) {
      const current = await findRebuild(sql)
      // One that was begun again meanwhile needs a consumer of its own.
      startedAt ??= current?.startedAt
      if (current?.state !== 'building' || current.startedAt !== startedAt) return
      const source = { clusterId: await kafka.clusterId(), topics }
      const bounds = current.bounds ?? (await boundsOf(options))
      if (!current.bounds) await updateRebuild(sql, current, { bounds })
      // Before the ends: within one log no position lies beyond an end that was asked for later.
      const positions = await readPositions(sql, source)
      const logs = await boundsOf(options)
      const lost = Object.keys(bounds).filter((place) => isBefore(logs[place], bounds[place]))
      if (lost.length > 0) {
        const message = `${lost.join(', ')}: the topic was recreated during the rebuild. Start it again.`
        log.warn({}, `the rebuild is refused: ${message}`)
        await updateRebuild(sql, current, { state: 'refused', message })
        return
      }
      if (!isRead(bounds, logs, positions.shadow)) continue

      await indexShadow(sql)
      const recreated = recreatedIn(logs, positions.serving)
      const divergence = await compareShadow(sql, source, recreated)
      if (!divergence) continue
      const aside = await countDeadLetters(shadow.sql)
      if (isApart(divergence) && !current.force) {
        const message = explain(divergence, bounds, aside, recreated)
        log.warn({ divergence }, `the rebuild is refused: ${message}`)
        await updateRebuild(sql, current, { state: 'refused', divergence, message })
        return
      }
      await updateRebuild(sql, current, { divergence, ...(current.manual ? { state: 'ready' } : {}) })
      if (current.manual) return
      if (await swapShadow(sql, source, current, recreated))
        return log.info({ divergence }, 'the tables were made again and serve now')
    }
  } finally {
    await consumer?.stop()
    await shadow.close()
  }
}

async function boundsOf({ kafka, topics, partitions }: RebuildWork): Promise<Bounds> {
  await kafka.ensureTopics(topics, partitions)
  const ends = await kafka.endOffsets(topics)
  return Object.fromEntries(
    ends.map(({ topic, partition, first, offset }) => [
      `${topic}/${partition}`,
      { first: String(first), end: String(offset) },
    ]),
  )
}

const isBefore = (log: Bounds[string] | undefined, bound: Bounds[string] | undefined): boolean =>
  log !== undefined && bound !== undefined && BigInt(log.end) < BigInt(bound.end)

/** Whether all that the topics had at the beginning was read, but for what they have deleted since. */
export const isRead = (bounds: Bounds, logs: Bounds, reached: ReadonlyMap<string, bigint>): boolean =>
  Object.entries(bounds).every(([place, { end }]) => {
    const first = BigInt(logs[place]?.first ?? 0)
    const position = reached.get(place) ?? 0n
    return (position < first ? first : position) >= BigInt(end)
  })

/**
 * Partitions of which the live tables have applied more than there is: their topic was recreated,
 * and their position means nothing in it.
 */
export const recreatedIn = (logs: Bounds, serving: ReadonlyMap<string, bigint>): string[] =>
  [...serving].filter(([place, next]) => next > BigInt(logs[place]?.end ?? next)).map(([place]) => place)

const isApart = ({ accounts, entries, clients }: Divergence): boolean => accounts + entries + clients > 0

/** What somebody has to know who decides what to do about it. */
export function explain(
  { accounts, entries, clients, examples }: Divergence,
  bounds: Bounds,
  aside: number,
  recreated: readonly string[] = [],
): string {
  const counted = (count: number, one: string, many: string) =>
    count === 0 ? [] : [`${count} ${count === 1 ? one : many}`]
  const counts = [
    ...counted(accounts, 'account', 'accounts'),
    ...counted(entries, 'entry', 'entries'),
    ...counted(clients, 'client', 'clients'),
  ]
  const lost = Object.entries(bounds).filter(([, { first }]) => first !== '0')
  return [
    `Apart from the tables that serve: ${counts.join(', ')}${examples.length > 0 ? `: ${examples.slice(0, 3).join('; ')}` : ''}.`,
    ...recreated
      .slice(0, 3)
      .map((place) => `${place} was recreated: it ends before what the live tables have applied of it.`),
    ...lost.slice(0, 3).map(([place, { first }]) => `${place} begins at offset ${first}.`),
    'What topics no longer hold, `republish` of the wallet tells again: then rebuild again.',
    ...(aside > 0 ? [`${aside} records are among the dead letters of the rebuild.`] : []),
    'Nothing was changed. To take the new tables as they are, swap with force.',
  ].join(' ')
}
