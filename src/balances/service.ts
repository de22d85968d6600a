/** Puts the read side together, and takes it apart in the order that loses nothing. */
import { join } from 'node:path'
import type { ServiceConfig } from '../config/config'
import { messageOf } from '../platform/fault'
import type { Check } from '../platform/http/app'
import { listen } from '../platform/http/server'
import { connectKafka } from '../platform/kafka/client'
import { openDatabase, openSession } from '../platform/postgres/database'
import { withTimeout, withUnavailableFault } from '../platform/postgres/failures'
import { keepListening } from '../platform/postgres/listen'
import { prepareDatabase } from '../platform/postgres/migrate'
import { once, type RunningService } from '../platform/process/service'
import type { Log } from '../platform/telemetry/log'
import { countDeadLetters } from './dead-letters/dead-letters-store'
import { type DeadLetterPublisher, startDeadLetterPublisher } from './dead-letters/publisher'
import { openDeadLetterQueries } from './dead-letters/queries'
import { redrive } from './dead-letters/redrive'
import { clampToLogStart, FreshnessMonitor } from './freshness/freshness'
import { Consistency } from './freshness/read-your-writes'
import { balancesHttp } from './http/app'
import { streamEncoder } from './http/responses'
import { changedAccounts, changesChannel } from './projection/apply-store'
import { type Consumer, startConsumer } from './projection/consumer'
import type { Offsets } from './projection/offsets'
import { listOffsets } from './projection/offsets-store'
import { detectStall, type StallState, standstillMaxMs } from './projection/stall-detector'
import { subscriptionOf, topics } from './projection/topics'
import { openReads } from './queries/queries'
import { type LargeMovements, startLargeMovements } from './reactions/large-movements'
import { listLargeMovements } from './reactions/large-movements-store'
import { type RebuildCoordinator, startRebuildCoordinator } from './rebuild/coordinator'
import { tablesChannel } from './rebuild/shadow-store'
import { seedBalances } from './seed/seed'
import { BalanceStreams } from './streams/streams'

const migrationsFolder = join(import.meta.dir, '../../migrations/balances')

/**
 * How long a start takes at most because the broker does not answer, in milliseconds. Reads are
 * served meanwhile.
 */
const firstSampleMaxMs = 2000
/** Each holds a connection and next to nothing else. */
const waitingReadsMax = 2000
/**
 * How long a statement may take, of those that read and those that write, in milliseconds; and
 * connections for the latter.
 */
const [readMs, applyMs, writersMax] = [8000, 15_000, 4]

/** How patient it is, in milliseconds. Tests are less so. */
const patience = { lookEveryMs: 1000, standstillMaxMs, sessionTimeoutMs: undefined as number | undefined }

/**
 * Listens at once, resolves when reads are served. Throws `SetupError` or a driver's error when
 * waiting would not help.
 */
export async function startBalances(
  config: ServiceConfig,
  log: Log,
  { lookEveryMs, standstillMaxMs, sessionTimeoutMs } = patience,
): Promise<RunningService> {
  const stopping = new AbortController()
  const reading = openDatabase({ ...config.database, applicationName: 'saldo-balances', statementMs: readMs })
  // What is written waits for locks and disks. Apart, so that neither holds up the other.
  const database = openDatabase({
    ...config.database,
    poolMax: Math.min(config.database.poolMax, writersMax),
    applicationName: 'saldo-balances-apply',
    statementMs: applyMs,
  })
  const kafka = connectKafka({ ...config.kafka, sessionTimeoutMs }, log)
  let consumer: Consumer | undefined
  let rebuilding: RebuildCoordinator | undefined
  let largeMovements: LargeMovements | undefined
  let deadLetterTopic: DeadLetterPublisher | undefined
  let progress: StallState = { sinceMs: performance.now(), positions: new Map(), stall: undefined }

  const health = async (): Promise<Record<string, Check>> => {
    if (stopping.signal.aborted) return { service: { status: 'fail', output: 'stopping' } }
    if (!consumer || !largeMovements) return { service: { status: 'fail', output: 'starting' } }
    const [stored, consuming] = await Promise.all([databaseHealth(), consumer.health()])
    const { stall } = progress
    const judged: Check = stall ? { status: 'fail', output: stall } : consuming
    return { ...stored, consumer: judged, large_movements: await largeMovements.health() }
  }
  const databaseHealth = (): Promise<Record<string, Check>> =>
    withTimeout(countDeadLetters(reading.sql)).then(
      (count) => ({
        database: { status: 'pass' },
        dead_letters: { status: 'pass', output: `${count} records kept aside` },
      }),
      (error) => ({ database: { status: 'fail', output: messageOf(error) } }),
    )

  const reads = openReads(reading)
  const consistency = new Consistency(reads.balance, { waitersMax: waitingReadsMax })
  const listener = openSession({ url: config.database.url, applicationName: 'saldo-balances-changes' })
  const { groupId, topics: topicNames, partitions } = subscriptionOf(config.kafka)
  // Another KAFKA_GROUP_ID has a database of its own, and so a table of its own to fill.
  const reacting = { topic: 'transactions', groupId: `${groupId}-large-movements` } as const
  let firsts: Offsets = new Map()
  const monitor = new FreshnessMonitor({
    async ends() {
      const extents = await kafka.endOffsets(topicNames)
      firsts = new Map(extents.map(({ topic, partition, first }) => [`${topic}/${partition}`, first]))
      return new Map(extents.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
    },
    clusterId: kafka.clusterId,
    async applied(clusterId) {
      const positions = await listOffsets(reading.sql, clusterId)
      const stored = positions.map(
        ({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset] as const,
      )
      return clampToLogStart(new Map(stored), firsts)
    },
    everyMs: lookEveryMs,
    log,
    onSample(ends, positions) {
      // Nothing is to be expected before there is a consumer.
      const sight = {
        atMs: performance.now(),
        ends,
        positions: consumer && positions,
        mine: consumer?.assigned(),
      }
      progress = detectStall(progress, sight, standstillMaxMs)
    },
  })
  const streams = new BalanceStreams({
    sql: reading.sql,
    freshness: monitor.freshness,
    encoder: streamEncoder,
    log,
  })
  const wake = (accountIds?: readonly string[]) => {
    consistency.wake(accountIds)
    streams.wake(accountIds)
  }
  let listening: ReturnType<typeof keepListening> | undefined
  let restarted = Promise.resolve()
  const app = balancesHttp({
    reads,
    deadLetters: openDeadLetterQueries(reading),
    largeMovements: (accountId, page) =>
      withUnavailableFault(listLargeMovements(reading.sql, accountId, page)),
    async redrive(selection, dryRun) {
      const answer = await withUnavailableFault(redrive(database, selection, { dryRun }))
      deadLetterTopic?.wake()
      return answer
    },
    consistency,
    monitor,
    rebuilding: {
      status: async () => rebuilding?.status(),
      request: async (request) => rebuilding?.request(request),
    },
    streams,
    log,
    health,
    isReady: () => consumer !== undefined && !stopping.signal.aborted,
    kafka: config.kafka,
    uses: [...topics.map((topic) => ({ topic, groupId })), reacting],
  })
  const http = listen(app, config, log)
  log.info({ port: http.port }, 'balances listens')

  const stop = once(async () => {
    stopping.abort()
    consistency.stop()
    streams.stop()
    // Ends all waits for it.
    const monitored = monitor.stop()
    await http.close(config.shutdownTimeoutMs)
    await restarted
    await Promise.all([
      consumer?.stop(),
      deadLetterTopic?.stop(),
      largeMovements?.stop(),
      rebuilding?.stop(),
      monitored,
    ])
    await kafka.close()
    await listening?.end()
    await listener.end({ timeout: 1 })
    await Promise.all([reading.close(), database.close()])
  })

  try {
    const { url } = config.database
    const { signal } = stopping
    await prepareDatabase({ url, folder: migrationsFolder, migrate: config.migrateOnStart, log, signal })
    await streams.start()
    if (config.seedOnStart) await seedBalances(url, database, log)
  } catch (error) {
    await stop()
    throw error
  }

  const group = { database, kafka, groupId, log }
  const keptAside = startDeadLetterPublisher(group)
  deadLetterTopic = keptAside
  const consume = () =>
    startConsumer({
      ...group,
      topics: topicNames,
      partitions,
      onApplied: wake,
      onDeadLetters: keptAside.wake,
    })
  const consumeAnew = async () => {
    await consumer?.stop()
    if (!stopping.signal.aborted) consumer = consume()
  }
  // Other replicas tell of what they apply. A hint, and no more: whoever waits looks for himself,
  // also when the connection is new.
  listening = keepListening(
    listener,
    {
      [changesChannel]: (notification) => wake(changedAccounts(notification)),
      [tablesChannel]: () => {
        restarted = restarted.then(consumeAnew)
      },
    },
    wake,
  )
  listening.started.catch((error) =>
    log.warn({}, `changes by other replicas are not heard of: ${messageOf(error)}`),
  )

  consumer = consume()
  rebuilding = startRebuildCoordinator({ database, kafka, config, migrationsFolder, log })
  largeMovements = startLargeMovements({
    ...group,
    groupId: reacting.groupId,
    topics: [config.kafka.topicPrefix + reacting.topic],
    partitions,
    min: config.largeMovementMin,
  })
  // So that the first answers know what has arrived, where there is a broker to tell.
  await monitor.waitForFirstSample(firstSampleMaxMs)
  log.info({ port: http.port }, 'balances ready')
  return { port: http.port, stop }
}
