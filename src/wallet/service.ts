/** Puts the wallet together, and takes it apart in the order that loses nothing. */
import { join } from 'node:path'
import type { ServiceConfig } from '../config/config'
import { topics } from '../contract/events/events'
import { listen } from '../platform/http/server'
import { connectKafka, type Kafka } from '../platform/kafka/client'
import { type Database, fastDisconnectDetection, openDatabase } from '../platform/postgres/database'
import { pingDatabase, withTimeout } from '../platform/postgres/failures'
import { prepareDatabase } from '../platform/postgres/migrate'
import { type Check, createService, type RunningService } from '../platform/process/service'
import type { Log } from '../platform/telemetry/log'
import { grants } from './db/grants'
import { walletHttp } from './http/app'
import { createClock } from './ledger/clock'
import { CommitQueue } from './ledger/commit-queue'
import type { CommandRequest, RequestResult } from './ledger/decide-request'
import { dryRun, execute } from './ledger/execute'
import { createHeartbeat } from './ledger/heartbeat'
import type { Ledger, Wallet } from './ledger/ledger'
import { tryOptimistic } from './ledger/optimistic'
import { createOptimisticState, forgetSession, observeReading } from './ledger/optimistic-state'
import { readClock } from './ledger/store/clock'
import { createSweeps } from './maintenance/sweep'
import { measureOutbox, pendingMax } from './outbox/outbox-store'
import { createRelay, type Relay, type RelayState } from './outbox/relay'
import { seedWallet } from './seed/seed'

const migrationsFolder = join(import.meta.dir, '../../migrations/wallet')

/** Commands of one append. Larger batches are no cheaper per command, and everybody in them waits longer. */
const batchSizeMax = 500
/** Commands that may wait: about a second's work. */
const queueMax = 5000
/** Who waited this long has given up, or will. In milliseconds; a caller may ask for less. */
const waitMaxMs = 10_000
/** An event that waits longer than this is worth a warning, in milliseconds. */
const outboxAgeMaxMs = 10_000
/** More refused events than these are no exception. */
const refusedMax = 3

/** How patient it is, in milliseconds. Tests are less so. */
const patience = { standstillMaxMs: 60_000, refusedMs: 60_000 }
/**
 * Far more than a statement of the writer takes: whoever waits for it is to be answered in time. In
 * milliseconds, like the next.
 */
const writerStatementMs = 4000
const requestStatementMs = 8000

/**
 * Listens at once, resolves when requests are served. Throws `SetupError` or a driver's error when
 * waiting would not help.
 */
export function startWallet(
  config: ServiceConfig,
  log: Log,
  { standstillMaxMs, refusedMs } = patience,
): Promise<RunningService> {
  const { shutdownTimeoutMs, kafka: kafkaConfig } = config
  const service = createService({ name: 'wallet', log, shutdownTimeoutMs })
  const kafka = connectKafka(kafkaConfig, log)
  const optimistic = createOptimisticState()
  const { database, writer } = openDatabases(config, () => forgetSession(optimistic))

  const ledger: Ledger = {
    database: writer,
    log,
    clock: createClock(),
    onAppended: () => relay.wake(),
    optimistic,
    health: {
      failed: (requests, error) => heartbeat.failed(requests, error),
      succeeded: () => heartbeat.succeeded(),
    },
  }
  const heartbeat = createHeartbeat({
    read: () => readClock(writer.sql),
    observe: (reading) => observeReading(ledger, reading),
    dryRun: (requests) => dryRun(ledger, requests),
    log,
  })
  const relay = createRelay({
    databaseUrl: config.database.url,
    publisher: kafka.publisher(),
    prepareBroker: () =>
      kafka.ensureTopics(
        topics.map((topic) => kafkaConfig.topicPrefix + topic),
        kafkaConfig.partitions,
      ),
    topicPrefix: kafkaConfig.topicPrefix,
    log,
    refusedMs,
  })
  const wallet: Wallet = {
    database,
    clock: ledger.clock.now,
    commitQueue: openCommitQueue(ledger),
    keysInProgress: new Set(),
    relay: { wake: () => relay.wake() },
  }
  const { isReady, health } = service
  const http = listen(walletHttp({ wallet, log, health, isReady, kafka: kafkaConfig }), config, log)

  return service.start({
    port: http.port,
    parts: [
      { name: 'database', health: () => pingDatabase(database), stop: () => database.close() },
      { name: 'writer_connection', stop: () => writer.close() },
      heartbeat,
      { name: 'kafka', stop: () => kafka.close() },
      { ...relay, health: () => outboxHealth({ database, kafka, relay, standstillMaxMs }) },
      { name: 'commit_queue', stop: () => wallet.commitQueue.idle() },
      { name: 'http_server', stop: http.close },
      ...createSweeps({ wallet, isInCharge: () => relay.state().leads }),
    ],
    async prepare(signal) {
      const { url, migrationUrl: ownerUrl } = config.database
      const migrate = config.migrateOnStart
      await prepareDatabase({ url, ownerUrl, grants, folder: migrationsFolder, migrate, log, signal })
      if (config.seedOnStart) await seedWallet(url, database, log)
    },
  })
}

/** One pool for what requests read, and one connection for all that is appended. */
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
  return { database, writer }
}

const openCommitQueue = (ledger: Ledger) =>
  new CommitQueue<CommandRequest, RequestResult>({
    tryOptimistic: (requests) => tryOptimistic(ledger, requests),
    execute: (requests, again) => execute(ledger, requests, again),
    isAbandoned: ({ signal }) => signal?.aborted ?? false,
    sizeOf: (request) => request.commands.length,
    sizeMax: batchSizeMax,
    queueMax,
    waitMaxMs,
  })

async function outboxHealth(options: {
  database: Database
  kafka: Kafka
  relay: Relay
  standstillMaxMs: number
}): Promise<Check> {
  const { database, kafka, relay, standstillMaxMs } = options
  const outbox = await withTimeout(measureOutbox(database.sql))
  const check = judgeOutbox(outbox, relay.state(), standstillMaxMs)
  return check.status !== 'fail' || (await kafka.isReachable()) ? check : { ...check, status: 'warn' }
}

type Outbox = Awaited<ReturnType<typeof measureOutbox>>

/**
 * An absent broker is no reason not to take money: the outbox keeps the events. It is a reason to
 * say so. One that answers, and takes nothing for a minute, is another matter: somebody has to
 * look, and money that nobody hears of should not pile up meanwhile.
 */
export function judgeOutbox(outbox: Outbox, state: RelayState | undefined, standstillMaxMs: number): Check {
  const { trouble, refused = [], standstillMs = 0 } = state ?? {}
  const count = outbox.pending > pendingMax ? `more than ${pendingMax}` : outbox.pending
  const waiting = `${count} events wait, the oldest for ${Math.round(outbox.oldestAgeMs / 1000)} s`
  const [first] = refused
  const tooLarge =
    first &&
    `the broker refuses ${refused.length === 1 ? 'one event' : `${refused.length} events`} as too large, such as ${first.id} ` +
      `(${first.bytes} bytes, topic ${first.topic}): raise max.message.bytes of the topic; they are tried again every minute`
  const output = [waiting, trouble, tooLarge].filter((part) => part !== undefined).join(': ')
  // A few that are refused do not hold up the others.
  const isStuck = trouble !== undefined || refused.length >= refusedMax
  if (isStuck && Math.min(standstillMs, outbox.oldestAgeMs) > standstillMaxMs)
    return { status: 'fail', output }
  return { status: trouble || tooLarge || outbox.oldestAgeMs > outboxAgeMaxMs ? 'warn' : 'pass', output }
}
