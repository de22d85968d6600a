/** Puts the wallet together, and takes it apart in the order that loses nothing. */
import { join } from 'node:path'
import { version } from '../../package.json'
import { createAccess } from '../access/access'
import type { ServiceConfig } from '../config/config'
import { topics } from '../contract/events/events'
import { explainTopicFaults, topicSettings } from '../contract/events/topic-settings'
import { createSigner } from '../contract/wire/signature'
import { listen } from '../platform/http/server'
import { connectKafka, type Kafka } from '../platform/kafka/client'
import { watchTopicSettings } from '../platform/kafka/topic-settings'
import { type Database, fastDisconnectDetection, openDatabase } from '../platform/postgres/database'
import { measureDatabase } from '../platform/postgres/database-metrics'
import { pingDatabase } from '../platform/postgres/failures'
import { prepareDatabase } from '../platform/postgres/migrate'
import { processParts } from '../platform/process/process-metrics'
import { createService, type RunningService } from '../platform/process/service'
import { tracesPart } from '../platform/process/traces'
import { createKeyMetrics } from '../platform/telemetry/key-metrics'
import type { Log } from '../platform/telemetry/log'
import type { Tracing } from '../platform/telemetry/spans'
import { openTracing } from '../platform/telemetry/tracing'
import { grants } from './db/grants'
import { sizeOf } from './domain/book'
import { Epochs } from './epochs/epochs'
import { Purge } from './erasure/purge'
import { createWalletApp } from './http/app'
import { findOwnerIn } from './http/subjects'
import { createClock } from './ledger/clock'
import { CommitQueue } from './ledger/commit-queue'
import type { CommandRequest, RequestResult } from './ledger/decide-request'
import { execute } from './ledger/execute'
import { createHeartbeat } from './ledger/heartbeat'
import type { Ledger, Wallet } from './ledger/ledger'
import { createLedgerMetrics, type LedgerMetrics, measureAppends } from './ledger/metrics'
import { tryOptimistic } from './ledger/optimistic'
import { createOptimisticState, forgetSession, type OptimisticState } from './ledger/optimistic-state'
import { createPreviews, previewSettings } from './ledger/preview'
import { createSweeps } from './maintenance/sweep'
import { outboxHealth } from './outbox/health'
import { measureOutbox } from './outbox/outbox-store'
import { createRelay, recordOf } from './outbox/relay'
import { createWaiting } from './outbox/waiting'
import { seedWallet } from './seed/seed'

const migrationsFolder = join(import.meta.dir, '../../migrations/wallet')

/** Commands of one append. Larger batches are no cheaper per command, and their callers wait longer. */
const batchSizeMax = 500
/** Commands that may wait: about a second's work. */
const queueMax = 5000
/** How long a request may wait for its batch, in milliseconds. A caller may ask for less. */
const waitMaxMs = 10_000

/** Time limits in milliseconds; tests use shorter ones. */
export const patience = { standstillMaxMs: 60_000, refusedMs: 60_000 }
type Options = typeof patience & {
  /** Of tests that change the ledger behind the wallet's back. */
  optimistic?: OptimisticState
}
/** Timeouts of statements, in milliseconds: far more than they take, and less than callers wait. */
const writerStatementMs = 4000
const requestStatementMs = 8000

/**
 * Listens at once, resolves when requests are served. Throws `SetupError` or a driver's error when
 * waiting would not help.
 */
export async function startWallet(
  config: ServiceConfig,
  log: Log,
  { standstillMaxMs, refusedMs, optimistic = createOptimisticState() }: Options = patience,
): Promise<RunningService> {
  const { kafka: kafkaConfig } = config
  const tracing = config.tracing && (await openTracing(config.tracing, { version, log }))
  const service = createService({ ...config, name: 'wallet', log })
  const kafka = connectKafka({ ...kafkaConfig, topicSettings }, log)
  const { database, writer, previews } = openDatabases(config, () => forgetSession(optimistic))

  const ledger: Ledger = {
    database: writer,
    log,
    clock: createClock(),
    onAppended: (append) => relay.handOver(append),
    optimistic,
    tracing,
  }
  const findFaults = explainTopicFaults(kafkaConfig.brokers)
  const heartbeat = createHeartbeat(ledger)
  ledger.health = heartbeat
  const { relay, purge, epochs } = createPublishing({ config, database, kafka, log, tracing, refusedMs })
  const keysInProgress: Wallet['keysInProgress'] = new Map()
  const metrics = createLedgerMetrics(() => wallet.commitQueue)
  const wallet: Wallet = {
    database,
    clock: ledger.clock.now,
    // This process may have started it since the last reading.
    epoch: () => Math.max(optimistic.epoch, epochs.current),
    commitQueue: openCommitQueue(ledger, metrics),
    preview: createPreviews({ database: previews, clock: ledger.clock }),
    waiting: createWaiting({ sql: database.sql, kafka, relay }),
    keysInProgress,
  }
  const access = createAccess({ config, sql: database.sql, ownerOf: findOwnerIn(database), log })
  const { isServing, health } = service
  const { guard } = access
  const app = createWalletApp({
    ...{ wallet, log, health, metrics: service.metrics, isReady: isServing, guard, kafka: kafkaConfig },
    balancesUrl: config.balancesPublicUrl,
  })
  const http = listen(app, config, log, tracing)

  return service.start({
    port: http.port,
    parts: [
      ...tracesPart(tracing),
      ...processParts({ ...config, service: 'wallet', version, isServing }),
      {
        name: 'database',
        health: () => pingDatabase(database),
        stop: () => database.close(),
        ...measureDatabase(database, {
          'saldo-wallet': database,
          'saldo-wallet-writer': writer,
          'saldo-wallet-preview': previews,
        }),
      },
      { name: 'writer_connection', stop: () => writer.close() },
      { name: 'preview_connection', stop: () => previews.close() },
      heartbeat,
      { name: 'kafka', stop: () => kafka.close() },
      watchTopicSettings({ kafka, log, topics: topicNames(config), findFaults }),
      { name: 'epoch', health: () => epochs.health(relay.state().leads) },
      { name: 'erasures', health: () => purge.health(relay.state().leads), stop: () => purge.stop() },
      {
        ...relay,
        health: () => outboxHealth({ database, kafka, relay, standstillMaxMs }),
        sample: async () => relay.measured(await measureOutbox(database.sql)),
      },
      {
        name: 'commit_queue',
        stop: () => wallet.commitQueue.idle(),
        metrics: [...metrics.all, ...createKeyMetrics(keysInProgress).all],
      },
      access.part,
      ...http.parts,
      // One process is enough; two do no harm, since a hold ends once.
      ...createSweeps(wallet, () => relay.state().leads),
    ],
    async prepare(signal) {
      const { url, migrationUrl: ownerUrl } = config.database
      const migrate = config.migrateOnStart
      await prepareDatabase({ url, ownerUrl, grants, folder: migrationsFolder, migrate, log, signal })
      await access.start()
      if (config.seedOnStart) await seedWallet(url, database, log)
    },
  })
}

const topicNames = ({ kafka: { topicPrefix } }: ServiceConfig) => topics.map((topic) => topicPrefix + topic)

/** What publishes: events in their order, and between them what an erasure leaves of its topic. */
function createPublishing(means: {
  config: ServiceConfig
  database: Database
  kafka: Kafka
  log: Log
  tracing: Tracing | undefined
  refusedMs: number
}) {
  const { config, database, kafka, log, tracing, refusedMs } = means
  const { topicPrefix, partitions } = config.kafka
  const [signingKey] = config.events.signingKeys
  if (signingKey) log.info({ key: signingKey.id }, 'signing events')
  const sign = signingKey && createSigner(signingKey)
  const epochs = new Epochs({ database, kafka, topicPrefix, onLostEvents: config.onLostEvents, log })
  const epoch = () => epochs.current
  const purge = new Purge({
    ...{ database, kafka, topicPrefix, log, publisher: kafka.publisher() },
    recordOf: (event) => recordOf({ ...event, traceparent: null }, { topicPrefix, sign, epoch }),
  })
  const relay = createRelay({
    ...{ databaseUrl: config.database.url, topicPrefix, sign, log, tracing, refusedMs },
    publisher: kafka.publisher(),
    prepareBroker: () => kafka.ensureTopics(topicNames(config), partitions),
    settle: () => epochs.settle(),
    epoch,
    besides: async () => (await epochs.step()) || purge.step(),
  })
  return { relay, purge, epochs }
}

/** One pool for what requests read, one connection for all that is appended, and one for previews. */
function openDatabases(config: ServiceConfig, onWriterClosed: () => void) {
  const database = openDatabase({
    ...config.database,
    applicationName: 'saldo-wallet',
    statementMs: requestStatementMs,
  })
  const writer = openDatabase({
    ...config.database,
    poolMax: 1,
    applicationName: 'saldo-wallet-writer',
    // Its few statements find every row by key. By default the server plans them again and again,
    // which costs a single transfer more than executing them.
    settings: { plan_cache_mode: 'force_generic_plan', ...fastDisconnectDetection },
    statementMs: writerStatementMs,
    onClose: onWriterClosed,
  })
  const previews = openDatabase({
    ...config.database,
    ...previewSettings,
    statementMs: requestStatementMs,
  })
  return { database, writer, previews }
}

const openCommitQueue = (ledger: Ledger, metrics: LedgerMetrics) =>
  new CommitQueue<CommandRequest, RequestResult>({
    ...measureAppends(
      {
        tryOptimistic: (requests) => tryOptimistic(ledger, requests),
        execute: (requests, again) => execute(ledger, requests, again),
      },
      metrics,
    ),
    isAbandoned: ({ signal }) => signal?.aborted ?? false,
    sizeOf: (request) => request.commands.reduce((sum, command) => sum + sizeOf(command), 0),
    sizeMax: batchSizeMax,
    queueMax,
    waitMaxMs,
  })
