/**
 * Carries one rebuild out on a thread of its own, so that reads never wait for a batch of it. Ends
 * with a message: what went wrong, or nothing.
 */
import type { ServiceConfig } from '../../config/config'
import { messageOf } from '../../platform/fault'
import { connectKafka } from '../../platform/kafka/client'
import { openDatabase } from '../../platform/postgres/database'
import { createLog } from '../../platform/telemetry/log'
import { subscriptionOf } from '../projection/topics'
import { carryOut } from './runner'

/** It is told once how the service is set up, and later only that it is to leave the work there. */
export type Ended = { trouble: string | null }

declare const self: Worker
const stopping = new AbortController()

self.onmessage = async ({ data: config }: MessageEvent<ServiceConfig | 'stop'>) => {
  if (config === 'stop') return stopping.abort()
  const log = createLog({ service: config.service, level: config.logLevel, format: config.logFormat })
  const { url, prepare } = config.database
  const database = openDatabase({
    url,
    prepare,
    poolMax: 2,
    applicationName: 'saldo-balances-rebuild',
    // An index over many entries takes as long as it takes.
    silenceMs: 600_000,
  })
  const kafka = connectKafka(config.kafka, log)
  let trouble: string | null = null
  try {
    await carryOut(
      { ...subscriptionOf(config.kafka), database, kafka, log, connection: { url, prepare } },
      stopping.signal,
    )
  } catch (error) {
    trouble = messageOf(error)
  }
  await kafka.close()
  await database.close()
  postMessage({ trouble } satisfies Ended)
}
