/** Puts the wallet together, and takes it apart in the order that loses nothing. */
import { join } from 'node:path'
import type { ServiceConfig } from '../config/config'
import { topics } from '../contract/events/events'
import { messageOf } from '../platform/fault'
import type { Check } from '../platform/http/app'
import { listen } from '../platform/http/server'
import { connectKafka } from '../platform/kafka/client'
import { fastDisconnectDetection, openDatabase } from '../platform/postgres/database'
import { withTimeout } from '../platform/postgres/failures'
import { prepareDatabase } from '../platform/postgres/migrate'
import { once, type RunningService } from '../platform/process/service'
import type { Log } from '../platform/telemetry/log'
import { grants } from './db/grants'
import { walletHttp } from './http/app'
import { createClock } from './ledger/clock'
import { createCommitQueue } from './ledger/commit-queue'
import {
  type CommandRequest,
  createOptimisticState,
  dryRun,
  execute,
  forgetSession,
  type Ledger,
  observeReading,
  type RequestResult,
  tryOptimistic,
} from './ledger/execute'
import { type Heartbeat, startHeartbeat } from './ledger/heartbeat'
import type { Wallet } from './ledger/ledger'
import { readClock } from './ledger/store/clock'
import { startSweeping } from './maintenance/sweep'
import { measureOutbox, pendingMax } from './outbox/outbox-store'
import { type Relay, type RelayState, startRelay } from './outbox/relay'
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
export async function startWallet(
  config: ServiceConfig,
  log: Log,
  { standstillMaxMs, refusedMs } = patience,
): Promise<RunningService> {
  const stopping = new AbortController()
  const database = openDatabase({
    ...config.database,
    applicationName: 'saldo-wallet',
    statementMs: requestStatementMs,
  })
  const kafka = connectKafka(config.kafka, log)
  let relay: Relay | undefined
  let heartbeat: Heartbeat | undefined

  const clock = createClock()
  const optimistic = createOptimisticState()
  const writer = openDatabase({
    ...config.database,
    poolMax: 1,
    applicationName: 'saldo-wallet-writer',
    // Its few statements find everything by key. Left to itself the server plans them again and
    // again, which costs a lone transfer more than carrying them out.
    settings: { plan_cache_mode: 'force_generic_plan', ...fastDisconnectDetection },
    statementMs: writerStatementMs,
    onClose: () => forgetSession(optimistic),
  })
  const onAppended = () => relay?.wake()
  const ledger: Ledger = {
    database: writer,
    log,
    clock,
    onAppended,
    optimistic,
    health: {
      failed: (requests, error) => heartbeat?.failed(requests, error),
      succeeded: () => heartbeat?.succeeded(),
    },
  }
  const wallet: Wallet = {
    database,
    clock: clock.now,
    commitQueue: createCommitQueue<CommandRequest, RequestResult>({
      tryOptimistic: (requests) => tryOptimistic(ledger, requests),
      execute: (requests, again) => execute(ledger, requests, again),
      isAbandoned: ({ signal }) => signal?.aborted ?? false,
      sizeOf: (request) => request.commands.length,
      sizeMax: batchSizeMax,
      queueMax,
      waitMaxMs,
    }),
    keysInProgress: new Set(),
    relay: { wake: () => relay?.wake() },
  }

  const outboxCheck = async (outbox: Outbox): Promise<Check> => {
    const check = judgeOutbox(outbox, relay?.state(), standstillMaxMs)
    return check.status !== 'fail' || (await kafka.isReachable()) ? check : { ...check, status: 'warn' }
  }
  const health = async (): Promise<Record<string, Check>> => {
    if (stopping.signal.aborted) return { service: { status: 'fail', output: 'stopping' } }
    if (!relay) return { service: { status: 'fail', output: 'starting' } }
    const writing = heartbeat?.check() ?? { status: 'fail' }
    return withTimeout(measureOutbox(database.sql)).then(
      async (outbox) => ({
        database: { status: 'pass' },
        writer: writing,
        outbox: await outboxCheck(outbox),
      }),
      (error) => ({ database: { status: 'fail', output: messageOf(error) }, writer: writing }),
    )
  }
  const isReady = () => relay !== undefined && !stopping.signal.aborted
  const { topicPrefix, partitions } = config.kafka
  const http = listen(walletHttp({ wallet, log, health, isReady, kafka: config.kafka }), config, log)
  log.info({ port: http.port }, 'wallet listens')

  const stopSweeping = startSweeping({ wallet, log, isInCharge: () => relay?.state().leads ?? false })
  const stop = once(async () => {
    stopping.abort()
    stopSweeping()
    await http.close(config.shutdownTimeoutMs)
    await wallet.commitQueue.idle()
    await relay?.stop(config.shutdownTimeoutMs)
    await kafka.close()
    heartbeat?.stop()
    await writer.close()
    await database.close()
  })

  try {
    const { url, migrationUrl: ownerUrl } = config.database
    const { signal } = stopping
    await prepareDatabase({
      url,
      ownerUrl,
      grants,
      folder: migrationsFolder,
      migrate: config.migrateOnStart,
      log,
      signal,
    })
    if (config.seedOnStart) await seedWallet(url, database, log)
    heartbeat = startHeartbeat({
      read: () => readClock(writer.sql),
      observe: (reading) => observeReading(ledger, reading),
      dryRun: (requests) => dryRun(ledger, requests),
      log,
    })
    // Nothing is dated before the database has told the time.
    await heartbeat.started

    const prefixed = topics.map((topic) => topicPrefix + topic)
    relay = startRelay({
      databaseUrl: url,
      publisher: kafka.publisher(),
      prepareBroker: () => kafka.ensureTopics(prefixed, partitions),
      topicPrefix,
      log,
      refusedMs,
    })
  } catch (error) {
    await stop()
    throw error
  }
  log.info({ port: http.port }, 'wallet ready')
  return { port: http.port, stop }
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
