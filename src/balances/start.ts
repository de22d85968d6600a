/** Puts the read side together, and takes it apart in the order that loses nothing. */
import { join } from 'node:path'
import type { ServiceConfig } from '../config'
import { openDatabase } from '../platform/database'
import { messageOf } from '../platform/fault'
import { type Check, listen } from '../platform/http'
import { connectKafka } from '../platform/kafka'
import type { Log } from '../platform/log'
import { prepareDatabase } from '../platform/migrate'
import { once, type RunningService } from '../platform/service'
import { type Consumer, startConsumer } from './consumer'
import { balancesHttp } from './http'
import { openReads } from './reads'
import { seedBalances } from './seed'
import { countDeadLetters } from './store/dead-letters'

const migrationsFolder = join(import.meta.dir, '../../migrations/balances')

/** What the read side needs. `transactions` is not among them: a BalanceUpdated carries all that is kept. */
const topics = ['clients', 'accounts', 'balances'] as const

/** Listens at once, resolves when reads are served. Throws `SetupError` or a driver's error when waiting would not help. */
export async function startBalances(config: ServiceConfig, log: Log): Promise<RunningService> {
  const stopping = new AbortController()
  const database = openDatabase({ ...config.database, applicationName: 'saldo-balances' })
  const kafka = connectKafka(config.kafka, log)
  let consumer: Consumer | undefined

  const health = async (): Promise<Record<string, Check>> => {
    if (stopping.signal.aborted) return { service: { status: 'fail', output: 'stopping' } }
    if (!consumer) return { service: { status: 'fail', output: 'starting' } }
    const [stored, consuming] = await Promise.all([databaseHealth(), consumer.health()])
    return { ...stored, consumer: consuming }
  }
  const databaseHealth = (): Promise<Record<string, Check>> =>
    countDeadLetters(database.sql).then(
      (count) => ({
        database: { status: 'pass' },
        dead_letters: { status: 'pass', output: `${count} records kept aside` },
      }),
      (error) => ({ database: { status: 'fail', output: messageOf(error) } }),
    )

  const app = balancesHttp({
    reads: openReads(database),
    log,
    health,
    isReady: () => consumer !== undefined && !stopping.signal.aborted,
  })
  const http = listen(app, config)
  log.info({ port: http.port }, 'balances listens')

  const stop = once(async () => {
    stopping.abort()
    await http.close(config.shutdownTimeoutMs)
    await consumer?.stop()
    await kafka.close()
    await database.close()
  })

  try {
    const { url } = config.database
    const { signal } = stopping
    await prepareDatabase({ url, folder: migrationsFolder, migrate: config.migrateOnStart, log, signal })
    if (config.seedOnStart) await seedBalances(url, database, log)
  } catch (error) {
    await stop()
    throw error
  }

  const { topicPrefix, groupId, partitions } = config.kafka
  consumer = startConsumer({
    database,
    kafka,
    groupId: topicPrefix + groupId,
    topics: topics.map((topic) => topicPrefix + topic),
    partitions,
    log,
  })
  log.info({ port: http.port }, 'balances ready')
  return { port: http.port, stop }
}
