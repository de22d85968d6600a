/** Runs a rebuild: fills the shadow as the live tables were filled, compares the two, and swaps them. */
import type { Kafka } from '../../platform/kafka/client'
import { partitionName } from '../../platform/kafka/offsets'
import type { Database, DatabaseOptions } from '../../platform/postgres/database'
import { pause } from '../../platform/process/retry'
import type { Log } from '../../platform/telemetry/log'
import { countDeadLetters } from '../dead-letters/dead-letters-store'
import { type Consumer, startConsumer } from '../projection/consumer'
import type { Offsets } from '../projection/offsets'
import { isPersonalTopic, type ReadRecord } from '../projection/topics'
import { applySeed } from '../seed/seed'
import { isSeeded } from '../seed/seeds-store'
import { compareShadow, readOffsets, type Source } from './comparison-store'
import { type Bounds, type Divergence, findRebuild, type Rebuild, updateRebuild } from './rebuild-store'
import { indexShadow, openShadow, swapShadow } from './shadow-store'

export type RebuildRunOptions = {
  database: Pick<Database, 'sql'>
  connection: Pick<DatabaseOptions, 'url' | 'prepare'>
  kafka: Kafka
  groupId: string
  topics: string[]
  partitions: number
  read: ReadRecord
  log: Log
  /** Called at the end of each step. */
  onStep: (step: RebuildStep) => void
}

export type RebuildStep = {
  name: 'apply records' | 'index tables' | 'compare tables' | 'swap tables'
  /** Milliseconds since 1970: another thread has another clock of its own. */
  startMs: number
  endMs: number
}

/** Each begins where the one before has ended. */
function stepsTo(onStep: RebuildRunOptions['onStep']) {
  let startMs = Date.now()
  return (name: RebuildStep['name']) => {
    const endMs = Date.now()
    onStep({ name, startMs, endMs })
    startMs = endMs
  }
}

const pollMs = 200
/** Larger transactions write an account fewer times, and on this thread no read waits for one. */
const [fetching, recordsMax] = [{ waitMs: 100, batchBytesMax: 4 << 20 }, 8000]

/** Returns when the rebuild has ended, was cancelled or restarted, or the signal is aborted. */
export async function runRebuild(options: RebuildRunOptions, signal: AbortSignal): Promise<void> {
  const { database, kafka, groupId, topics, partitions, read, log } = options
  const shadow = openShadow({ ...options.connection, poolMax: 2, applicationName: 'saldo-balances-rebuild' })
  const endStep = stepsTo(options.onStep)
  let consumer: Consumer | undefined
  let startedAt: string | undefined
  try {
    if (await isSeeded(database.sql)) await applySeed(shadow.sql)
    consumer = startConsumer({
      database: shadow,
      kafka,
      groupId: `${groupId}-rebuild`,
      topics,
      partitions,
      read,
      log: log.child({ rebuild: true }),
      fetching,
      recordsMax,
    })
    for (; !signal.aborted; await pause(pollMs, signal)) {
      const rebuild = await findRebuild(database.sql)
      // One that was restarted needs a consumer of its own.
      startedAt ??= rebuild?.startedAt
      if (rebuild?.state !== 'building' || rebuild.startedAt !== startedAt) return
      if (await advance({ ...options, shadow, endStep }, rebuild)) return
    }
  } finally {
    await consumer?.stop()
    await shadow.close()
  }
}

type Running = RebuildRunOptions & { shadow: Database; endStep: ReturnType<typeof stepsTo> }

/** Goes on as far as the shadow allows now. True when nothing is left to do. */
async function advance(options: Running, rebuild: Rebuild): Promise<boolean> {
  const { kafka, topics, log, shadow, endStep } = options
  const { sql } = options.database
  const refuse = async (message: string, divergence?: Divergence) => {
    log.warn({ divergence }, `rebuild refused: ${message}`)
    return updateRebuild(sql, rebuild, { state: 'refused', divergence, message })
  }
  const source = { clusterId: await kafka.clusterId(), topics }
  const bounds = rebuild.bounds ?? (await readBounds(options))
  if (!rebuild.bounds) await updateRebuild(sql, rebuild, { bounds })
  // Before the log ends: within one log no offset lies beyond an end that was read later.
  const offsets = await readOffsets(sql, source)
  const logs = await readBounds(options)
  const lost = Object.keys(bounds).filter((partition) => isBefore(logs[partition], bounds[partition]))
  if (lost.length > 0) {
    await refuse(`${lost.join(', ')}: the topic was recreated during the rebuild. Start it again.`)
    return true
  }
  if (!isCaughtUp(bounds, logs, offsets.shadow)) return false

  endStep('apply records')
  await indexShadow(sql)
  endStep('index tables')
  const recreated = recreatedIn(logs, offsets.live)
  const divergence = await compareShadow(sql, source, recreated)
  endStep('compare tables')
  if (!divergence) return false
  if (diverges(divergence) && !rebuild.force) {
    const deadLetters = await countDeadLetters(shadow.sql)
    await refuse(explain(divergence, { bounds, deadLetters, recreated }), divergence)
    return true
  }
  return finish(options, source, rebuild, { divergence, recreated })
}

async function finish(
  { database: { sql }, log, endStep }: Running,
  source: Source,
  rebuild: Rebuild,
  { divergence, recreated }: { divergence: Divergence; recreated: string[] },
): Promise<boolean> {
  await updateRebuild(sql, rebuild, { divergence, ...(rebuild.manual ? { state: 'ready' } : {}) })
  if (rebuild.manual) return true
  const isSwapped = await swapShadow(sql, source, rebuild, recreated)
  endStep('swap tables')
  if (isSwapped) log.info({ divergence }, 'rebuild complete, tables swapped')
  return isSwapped
}

async function readBounds({ kafka, topics, partitions }: RebuildRunOptions): Promise<Bounds> {
  await kafka.ensureTopics(topics, partitions)
  const extents = await kafka.endOffsets(topics)
  return Object.fromEntries(
    extents.map(({ topic, partition, first, offset }) => [
      partitionName(topic, partition),
      { first: String(first), end: String(offset) },
    ]),
  )
}

const isBefore = (log: Bounds[string] | undefined, bound: Bounds[string] | undefined): boolean =>
  log !== undefined && bound !== undefined && BigInt(log.end) < BigInt(bound.end)

/** Whether everything within the bounds was applied, except what the logs have deleted since. */
export const isCaughtUp = (bounds: Bounds, logs: Bounds, applied: Offsets): boolean =>
  Object.entries(bounds).every(([partition, { end }]) => {
    const first = BigInt(logs[partition]?.first ?? 0)
    const next = applied.get(partition) ?? 0n
    return (next < first ? first : next) >= BigInt(end)
  })

/** Partitions whose live offset is beyond the log end: their topic was recreated. */
export const recreatedIn = (logs: Bounds, live: Offsets): string[] =>
  [...live]
    .filter(([partition, next]) => next > BigInt(logs[partition]?.end ?? next))
    .map(([partition]) => partition)

const diverges = ({ accounts, entries, clients }: Divergence): boolean => accounts + entries + clients > 0

/** What an operator has to know to decide. */
export function explain(
  { accounts, entries, clients, examples }: Divergence,
  { bounds, deadLetters, recreated }: { bounds: Bounds; deadLetters: number; recreated: readonly string[] },
): string {
  const counted = (count: number, one: string, many: string) =>
    count === 0 ? [] : [`${count} ${count === 1 ? one : many}`]
  const counts = [
    ...counted(accounts, 'account', 'accounts'),
    ...counted(entries, 'entry', 'entries'),
    ...counted(clients, 'client', 'clients'),
  ].join(', ')
  const shown = examples.slice(0, 3)
  const truncated = Object.entries(bounds).filter(
    ([partition, { first }]) => first !== '0' && !isPersonalTopic(partition.replace(/\/\d+$/, '')),
  )
  return [
    `Differs from the live tables: ${counts}${shown.length > 0 ? `: ${shown.join('; ')}` : ''}.`,
    ...recreated
      .slice(0, 3)
      .map((partition) => `${partition} was recreated: its log end is behind the offset of the live tables.`),
    ...truncated.slice(0, 3).map(([partition, { first }]) => `${partition} begins at offset ${first}.`),
    'Records past retention can be republished with `npm run republish`; rebuild afterwards.',
    ...(deadLetters > 0 ? [`${deadLetters} records are among the dead letters of the rebuild.`] : []),
    'Nothing was changed. To use the new tables as they are, swap with force.',
  ].join(' ')
}
