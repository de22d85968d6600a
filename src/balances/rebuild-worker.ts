/** Carries one rebuild out on a thread of its own, so that reads never wait for a batch of it. Ends with a message: what went wrong, or nothing. */
import type { ServiceConfig } from '../config'
import { openDatabase } from '../platform/database'
import { messageOf } from '../platform/fault'
import { connectKafka } from '../platform/kafka'
import { createLog } from '../platform/log'
import { carryOut, type RebuildWork } from './rebuild-work'

/** What the thread is told: what to do, and later only that it is to leave it there. */
export type Task = { config: ServiceConfig } & Pick<RebuildWork, 'groupId' | 'topics' | 'partitions'>
export type Ended = { trouble: string | null }

declare const self: Worker
const stopping = new AbortController()

self.onmessage = async ({ data }: MessageEvent<Task | 'stop'>) => {
  if (data === 'stop') return stopping.abort()
  const { config, ...work } = data
  const log = createLog({ service: config.service, level: config.logLevel, format: config.logFormat })
  const { url, prepare } = config.database
  const database = openDatabase({ url, prepare, poolMax: 2, applicationName: 'saldo-balances-rebuild' })
  const kafka = connectKafka(config.kafka, log)
  let trouble: string | null = null
  try {
    await carryOut({ ...work, database, kafka, log, connection: { url, prepare } }, stopping.signal)
  } catch (error) {
    trouble = messageOf(error)
  }
  await kafka.close()
  await database.close()
  postMessage({ trouble } satisfies Ended)
}
