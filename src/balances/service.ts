/** Puts the read side together, and takes it apart in the order that loses nothing. */
import { join } from 'node:path'
import { version } from '../../package.json'
import { type Access, createAccess } from '../access/access'
import type { ServiceConfig } from '../config/config'
import type { Use } from '../contract/docs/asyncapi'
import { explainTopicFaults, topicSettings } from '../contract/events/topic-settings'
import { messageOf } from '../platform/fault'
import { listen } from '../platform/http/server'
import { connectKafka, type Kafka } from '../platform/kafka/client'
import { partitionName } from '../platform/kafka/offsets'
import { watchTopicSettings } from '../platform/kafka/topic-settings'
import { type Database, openDatabase, openSession } from '../platform/postgres/database'
import { measureDatabase } from '../platform/postgres/database-metrics'
import { pingDatabase, withTimeout, withUnavailableFault } from '../platform/postgres/failures'
import { keepListening } from '../platform/postgres/listen'
import { prepareDatabase } from '../platform/postgres/migrate'
import { processParts } from '../platform/process/process-metrics'
import {
  type Check,
  createService,
  every,
  type Part,
  type RunningService,
  restartable,
} from '../platform/process/service'
import { tracesPart } from '../platform/process/traces'
import { createKeyMetrics } from '../platform/telemetry/key-metrics'
import type { Log } from '../platform/telemetry/log'
import { createMetrics } from '../platform/telemetry/metrics'
import type { Tracing } from '../platform/telemetry/spans'
import { openTracing } from '../platform/telemetry/tracing'
import { createActions } from './console/actions'
import { openDocuments } from './console/documents'
import { FlowFeed, type FlowSources } from './console/flow-feed'
import { openConsole } from './console/page'
import { openRecords } from './console/records'
import { openSupervisor } from './console/supervisor'
import { grants } from './db/grants'
import { countDeadLetters, measureDeadLetters } from './dead-letters/dead-letters-store'
import { createDeadLetterMetrics } from './dead-letters/metrics'
import { createDeadLetterPublisher } from './dead-letters/publisher'
import { openDeadLetterQueries } from './dead-letters/queries'
import { redrive } from './dead-letters/redrive'
import { clampToLogStart, FreshnessMonitor, type FreshnessOptions } from './freshness/freshness'
import { createLagMetrics } from './freshness/lag-metrics'
import { Consistency } from './freshness/read-your-writes'
import { createBalancesApp } from './http/app'
import type { ConsoleOptions } from './http/console'
import type { ConsoleActions } from './http/console-actions'
import { flowEncoder } from './http/console-flow'
import { findOwnerIn } from './http/owners'
import { streamEncoder } from './http/streams'
import { removeExpiredKeys } from './idempotency/idempotency-keys-store'
import { createOnce } from './idempotency/once'
import { changedAccounts, changesChannel } from './projection/apply-store'
import { type Consumer, startConsumer } from './projection/consumer'
import { findEpochState } from './projection/epochs-store'
import { createApplyMetrics } from './projection/metrics'
import type { ApplyObserver } from './projection/observation'
import type { Offsets } from './projection/offsets'
import { listOffsets } from './projection/offsets-store'
import { detectStall, type StallState, standstillMaxMs } from './projection/stall-detector'
import { createRecordReader, type ReadRecord, subscriptionOf, topics } from './projection/topics'
import { settleVerification } from './projection/verification'
import { openReads } from './queries/queries'
import { startLargeMovements } from './reactions/large-movements'
import { listLargeMovements } from './reactions/large-movements-store'
import { createLargeMovementMetrics } from './reactions/metrics'
import { RebuildCoordinator } from './rebuild/coordinator'
import { grantAllAsLive, tablesChannel } from './rebuild/shadow-store'
import { openReconciliationQueries } from './reconciliations/queries'
import { seedBalances } from './seed/seed'
import { streamMetrics } from './streams/metrics'
import { BalanceStreams } from './streams/streams'

const largeMovementsTopic = 'transactions'
const documentsFolder = join(import.meta.dir, '../../docs')
const migrationsFolder = join(import.meta.dir, '../../migrations/balances')

/** How long a start waits for the broker's first answer, in milliseconds: answers have no age before it. */
const firstSampleMaxMs = 2000
/** Requests that may wait for a version. Each holds a connection and little else. */
const waitingReadsMax = 2000
/** Statement timeouts of reads and of writes, in milliseconds, and connections for writes. */
const [readMs, applyMs, writersMax] = [8000, 15_000, 4]

const epochLookMs = 1000
/** A shorter lag has no age in the flow of the console, in milliseconds. */
const lagAgeMin = 3000
const pruneKeysMs = 60_000

/** Time limits in milliseconds; tests use shorter ones. */
const patience = {
  lookEveryMs: 1000,
  standstillMaxMs,
  sessionTimeoutMs: undefined as number | undefined,
  recreationCheckMs: 30_000,
}

/**
 * Listens at once, resolves when requests are served. Throws `SetupError` or a driver's error when
 * waiting would not help.
 */
export async function startBalances(
  config: ServiceConfig,
  log: Log,
  limits: Partial<typeof patience> = {},
): Promise<RunningService> {
  const { lookEveryMs, standstillMaxMs, sessionTimeoutMs, recreationCheckMs } = { ...patience, ...limits }
  const tracing = config.tracing && (await openTracing(config.tracing, { version, log }))
  const service = createService({ ...config, name: 'balances', log })
  const { reading, database } = openDatabases(config)
  const kafka = connectKafka({ ...config.kafka, sessionTimeoutMs, topicSettings }, log)
  const read = createRecordReader(config.events)

  const detector = createDetector(() => consumer.current(), standstillMaxMs)
  const projection = {
    health: () => consumerHealth(),
    isPaused: () => consumer.isPaused(),
    rebuild: () => rebuilding.status(),
  }
  const serving = createServing(
    { config, kafka, reading, log },
    { lookEveryMs, onSample: detector.observe, projection },
  )
  const { reads, consistency, streams, flow, wake } = serving
  const keysInProgress = new Map<object, number>()
  const applied = { onApplied: wake, observer: flow }
  const consumers = createConsumers({ config, kafka, database, log, tracing, read, ...applied })
  const { consumer, deadLetters, largeMovements, rebuilding } = consumers
  const consumerHealth = () => detector.check() ?? consumer.health()
  const notifications = listenForChanges(config, log, { onChange: wake, onSwap: consumer.restart })

  const access = createAccess({ config, sql: reading.sql, ownerOf: findOwnerIn(reads, consistency), log })
  const app = createBalancesApp({
    ...serving,
    guard: access.guard,
    ...openTables(reading),
    async redrive(selection, dryRun) {
      const report = await redrive(database, selection, { read, dryRun })
      deadLetters.wake()
      return report
    },
    once: createOnce(database, config.database, keysInProgress),
    rebuilding,
    console: consoleOf(config, access),
    actions: actionsOf(config, kafka, consumer),
    log,
    health: service.health,
    metrics: service.metrics,
    isReady: service.isServing,
    kafka: config.kafka,
    uses: usesOf(config),
  })
  const http = listen(app, config, log, tracing)

  return service.start({
    port: http.port,
    parts: [
      ...tracesPart(tracing),
      ...processParts({ ...config, service: 'balances', version, isServing: service.isServing }),
      databasePart(reading, database),
      { name: 'apply_connections', stop: () => database.close() },
      notifications,
      { name: 'kafka', stop: () => kafka.close() },
      // Each waits for its last fetch.
      [
        rebuilding,
        largeMovements,
        {
          ...deadLetters,
          health: () => deadLettersHealth(reading),
          ...createDeadLetterMetrics(reading.sql),
        },
        { ...consumer, health: consumerHealth, metrics: consumers.metrics.all },
      ],
      watchEpoch(reading, () => streams.restart()),
      [watchTopics(consumer, recreationCheckMs), watchSettings({ config, kafka, log })],
      {
        ...every(pruneKeysMs, 'prune_keys', () => removeExpiredKeys(database.sql)),
        metrics: createKeyMetrics(keysInProgress).all,
      },
      access.part,
      ...http.parts,
      // Stopped before the HTTP server: these end the requests that wait or stream.
      watermarkPart(serving),
      ...streamParts(serving),
      { name: 'read_your_writes', stop: async () => consistency.stop() },
    ],
    async prepare(signal) {
      const { url, migrationUrl: ownerUrl } = config.database
      const migrate = config.migrateOnStart
      const rights = { grants, grantMore: grantAllAsLive }
      await prepareDatabase({ url, ownerUrl, ...rights, folder: migrationsFolder, migrate, log, signal })
      await access.start()
      await settleVerification(database.sql, config.events, log)
      await streams.start()
      if (config.seedOnStart) await seedBalances(url, database, log)
    },
  })
}

/** What requests read beside balances. */
const openTables = (reading: Database) => ({
  deadLetters: openDeadLetterQueries(reading),
  largeMovements: (accountId: string | undefined, page: Parameters<typeof listLargeMovements>[2]) =>
    withUnavailableFault(listLargeMovements(reading.sql, accountId, page)),
  reconciliations: openReconciliationQueries(reading),
})

const watermarkPart = ({ monitor, lag }: Pick<Serving, 'monitor' | 'lag'>): Part => ({
  name: 'watermark',
  async run() {
    monitor.start()
  },
  ready: () => monitor.waitForFirstSample(firstSampleMaxMs),
  stop: () => monitor.stop(),
  ...lag,
})

const streamParts = ({ streams, flow }: Pick<Serving, 'streams' | 'flow'>): Part[] => [
  {
    name: 'streams',
    stop: async () => streams.stop(),
    metrics: createMetrics(streamMetrics, { open: () => streams.count + flow.count }).all,
  },
  { name: 'console_flow', stop: async () => flow.stop() },
]

const consoleOf = (config: ServiceConfig, access: Access): ConsoleOptions => ({
  files: openConsole(),
  settings: () => ({
    release: version,
    wallet_url: config.walletPublicUrl ?? null,
    actions: config.consoleActions,
    needs_key: access.needed() === 'all',
    local: config.consoleControl !== undefined,
  }),
})

const actionsOf = (
  config: ServiceConfig,
  kafka: Kafka,
  projection: ReturnType<typeof createConsumers>['consumer'],
): ConsoleActions => ({
  isAllowed: config.consoleActions,
  run: createActions({
    kafka,
    topicPrefix: config.kafka.topicPrefix,
    projection,
    supervisor: config.consoleControl && openSupervisor(config.consoleControl),
  }),
})

/** Another KAFKA_GROUP_ID has a database of its own, and so a table of its own to fill. */
const largeMovementsGroup = (config: ServiceConfig): string =>
  `${subscriptionOf(config.kafka).groupId}-large-movements`

const usesOf = (config: ServiceConfig): Use[] => [
  ...topics.map((topic) => ({ topic, groupId: subscriptionOf(config.kafka).groupId })),
  { topic: largeMovementsTopic, groupId: largeMovementsGroup(config) },
]

const watchSettings = ({ config, kafka, log }: Pick<Means, 'config' | 'kafka' | 'log'>): Part =>
  watchTopicSettings({
    ...{ kafka, log },
    topics: [...subscriptionOf(config.kafka).topics, config.kafka.topicPrefix + largeMovementsTopic],
    findFaults: explainTopicFaults(config.kafka.brokers),
  })

type Serving = ReturnType<typeof createServing>

type Means = { config: ServiceConfig; kafka: Kafka; reading: Database; database: Database; log: Log }

/** What consumes the topics, for what answers requests: it is created later. */
type Projection = {
  health(): Check | Promise<Check>
  isPaused(): boolean
  rebuild: RebuildCoordinator['status']
}

/** What answers requests. `wake` says which accounts have changed. */
function createServing(
  { config, kafka, reading, log }: Omit<Means, 'database'>,
  {
    lookEveryMs,
    onSample,
    projection,
  }: {
    lookEveryMs: number
    onSample: FreshnessOptions['onSample']
    projection: Projection
  },
) {
  const reads = openReads(reading)
  const consistency = new Consistency(reads.balance, { waitersMax: waitingReadsMax })
  const { topics: topicNames } = subscriptionOf(config.kafka)
  const offsets = offsetsOf(kafka, topicNames, reading)
  const monitor = new FreshnessMonitor({
    ...{ ...offsets, everyMs: lookEveryMs, log },
    onSample(ends, applied) {
      lag.observe(ends, applied)
      records.observe(ends)
      onSample(ends, applied)
    },
  })
  const records = openRecords({
    sql: reading.sql,
    topicPrefix: config.kafka.topicPrefix,
    clusterId: offsets.lastClusterId,
    projection,
  })
  const lag = createLagMetrics({ kafka, freshness: monitor.freshness })
  const streams = new BalanceStreams({
    sql: reading.sql,
    freshness: monitor.freshness,
    encoder: streamEncoder,
    log,
  })
  const sources = flowSources({ reading, monitor, lag, streams, projection })
  const flow = new FlowFeed({ sql: reading.sql, encoder: flowEncoder, sources, log })
  const wake = (accountIds?: readonly string[]) => {
    consistency.wake(accountIds)
    streams.wake(accountIds)
  }
  const documentation = openDocuments(documentsFolder)
  return { reads, consistency, monitor, lag, streams, flow, records, documentation, wake }
}

/** What the console's flow says of the projection, beside what is applied. */
const flowSources = (means: {
  reading: Database
  monitor: FreshnessMonitor
  lag: ReturnType<typeof createLagMetrics>
  streams: BalanceStreams
  projection: Projection
}): FlowSources => ({
  async lag() {
    const asOfMs = Date.parse(means.monitor.freshness().asOf ?? '')
    // Where all but the newest was applied, the age of the oldest record is not worth a question.
    const isBehind = !(asOfMs > Date.now() - lagAgeMin)
    if (isBehind) await means.lag.sample()
    return means.lag.partitions().map(({ oldestAgeMs, ...partition }) => {
      const isKnown = partition.records === 0 || isBehind
      return { ...partition, oldestAgeSeconds: isKnown ? (oldestAgeMs ?? 0) / 1000 : null }
    })
  },
  deadLetters: async () => (await measureDeadLetters(means.reading.sql)).count,
  async rebuild() {
    const current = await means.projection.rebuild()
    if (!current) return null
    const { state, done, total } = current
    return { state, progress: total > 0n ? Number(done) / Number(total) : null }
  },
  paused: means.projection.isPaused,
  streams: () => means.streams.count,
})

/** What consumes the topics. */
function createConsumers({
  config,
  kafka,
  database,
  log,
  tracing,
  read,
  onApplied,
  observer,
}: Omit<Means, 'reading'> & {
  tracing: Tracing | undefined
  read: ReadRecord
  onApplied: (accountIds: string[]) => void
  observer: ApplyObserver
}) {
  const { groupId, topics: topicNames, partitions } = subscriptionOf(config.kafka)
  const group = { database, kafka, groupId, log, partitions, read }
  const deadLetters = createDeadLetterPublisher(group)
  const metrics = createApplyMetrics()
  const consumer = restartable('consumer', () =>
    startConsumer({
      ...{ ...group, tracing, topics: topicNames, onApplied, observer, metrics },
      onDeadLetters: deadLetters.wake,
    }),
  )
  const rebuilding = new RebuildCoordinator({ database, config, migrationsFolder, log, tracing })
  const reaction = {
    groupId: largeMovementsGroup(config),
    topics: [config.kafka.topicPrefix + largeMovementsTopic],
  }
  const largeMovements = {
    ...restartable('large_movements', () =>
      startLargeMovements({ ...group, ...reaction, tracing, min: config.largeMovementMin }),
    ),
    ...createLargeMovementMetrics({ kafka, ...reaction }),
  }
  return { deadLetters, consumer, metrics, rebuilding, largeMovements }
}

/** Writes wait for locks and disks. In a pool apart, so that neither reads nor writes hold up the other. */
function openDatabases(config: ServiceConfig) {
  const reading = openDatabase({ ...config.database, applicationName: 'saldo-balances', statementMs: readMs })
  const database = openDatabase({
    ...config.database,
    poolMax: Math.min(config.database.poolMax, writersMax),
    applicationName: 'saldo-balances-apply',
    statementMs: applyMs,
  })
  return { reading, database }
}

const databasePart = (reading: Database, database: Database): Part => ({
  name: 'database',
  health: () => pingDatabase(reading),
  stop: () => reading.close(),
  ...measureDatabase(reading, { 'saldo-balances': reading, 'saldo-balances-apply': database }),
})

/** In each process, whichever applies it: streams restart when an epoch starts, and when it has. */
function watchEpoch(reading: Database, onChange: () => void): Part {
  let seen: string | undefined
  const look = every(epochLookMs, 'ledger_epoch', async () => {
    const state = await findEpochState(reading.sql)
    const current = `${state?.epoch} ${state?.isComplete}`
    if (seen !== undefined && seen !== current) onChange()
    seen = current
  })
  return { ...look, health: () => epochHealth(reading) }
}

/** Warns while what a restored ledger has lost may still be read. */
async function epochHealth(reading: Database): Promise<Check> {
  const state = await withTimeout(findEpochState(reading.sql))
  if (!state) return { status: 'pass' }
  const { epoch, accounts, accountsStarted, voided, isComplete } = state
  if (isComplete) return { status: 'pass', output: `epoch ${epoch}, ${voided} records of lost futures` }
  const output = `epoch ${epoch} starts: ${accountsStarted} of ${accounts ?? 'all'} accounts`
  return { status: 'warn', output }
}

async function deadLettersHealth(reading: Database): Promise<Check> {
  const count = await withTimeout(countDeadLetters(reading.sql))
  return { status: 'pass', output: `${count} dead letters` }
}

/** Where the logs end, and how far they were applied. */
function offsetsOf(kafka: Kafka, topicNames: string[], reading: Database) {
  let firsts: Offsets = new Map()
  let lastClusterId: string | undefined
  return {
    async ends() {
      const extents = await kafka.endOffsets(topicNames)
      firsts = new Map(extents.map(({ topic, partition, first }) => [partitionName(topic, partition), first]))
      return new Map(extents.map(({ topic, partition, offset }) => [partitionName(topic, partition), offset]))
    },
    async clusterId() {
      lastClusterId = await kafka.clusterId()
      return lastClusterId
    },
    /** Undefined until the broker was reached once. */
    lastClusterId: () => lastClusterId,
    async applied(clusterId: string) {
      const positions = await listOffsets(reading.sql, clusterId)
      const stored = positions.map(
        ({ topic, partition, nextOffset }) => [partitionName(topic, partition), nextOffset] as const,
      )
      return clampToLogStart(new Map(stored), firsts)
    },
  }
}

/** Fails the consumer's check when nothing has been applied for long although there is something to apply. */
function createDetector(consumer: () => Consumer | undefined, standstillMaxMs: number) {
  let progress: StallState = { sinceMs: performance.now(), applied: new Map(), stall: undefined }
  return {
    observe(ends: Offsets | undefined, applied: Offsets | undefined) {
      const atMs = performance.now()
      const current = consumer()
      // Nothing is to be expected before there is a consumer.
      const observation = { atMs, ends, applied: current && applied, assigned: current?.assigned() }
      progress = detectStall(progress, observation, standstillMaxMs)
    },
    check: (): Check | undefined =>
      progress.stall === undefined ? undefined : { status: 'fail', output: progress.stall },
  }
}

/** A consumer reads a recreated topic from its beginning once it is assigned again. */
const watchTopics = (consumer: ReturnType<typeof createConsumers>['consumer'], everyMs: number): Part =>
  every(everyMs, 'recreated_topics', async (signal) => {
    if (await consumer.current()?.hasRecreatedTopic(signal)) consumer.restart()
  })

/** NOTIFY is only a hint: waiters query again, also after a reconnect. */
function listenForChanges(
  config: ServiceConfig,
  log: Log,
  { onChange, onSwap }: { onChange: (accountIds?: readonly string[]) => void; onSwap: () => void },
): Part {
  const session = openSession({ url: config.database.url, applicationName: 'saldo-balances-changes' })
  let listening: ReturnType<typeof keepListening> | undefined
  return {
    name: 'notifications',
    async run() {
      listening = keepListening(
        session,
        {
          [changesChannel]: (notification) => onChange(changedAccounts(notification)),
          [tablesChannel]: onSwap,
        },
        onChange,
      )
      listening.started.catch((error) =>
        log.warn({}, `LISTEN failed, changes from other replicas will arrive late: ${messageOf(error)}`),
      )
    },
    health: () => ({ status: 'pass' }),
    async stop() {
      await listening?.end()
      await session.end({ timeout: 1 })
    },
  }
}
