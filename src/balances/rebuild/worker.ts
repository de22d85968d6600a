/**
 * Runs one rebuild on a thread of its own, so that reads never wait for a batch. The first message is
 * the configuration; `stop` leaves the rebuild unfinished. Answers once, when it ends.
 */
import type { ServiceConfig } from '../../config/config'
import { topicSettings } from '../../contract/events/topic-settings'
import { messageOf } from '../../platform/fault'
import { connectKafka } from '../../platform/kafka/client'
import { openDatabase } from '../../platform/postgres/database'
import { createLog } from '../../platform/telemetry/log'
import { createRecordReader, subscriptionOf } from '../projection/topics'
import { ownerUrlOf } from './owner'
import { type RebuildStep, runRebuild } from './runner'

export type WorkerMessage = ServiceConfig | 'stop'
/** What stopped the rebuild, if anything did, and what was done. */
export type WorkerResult = { failure: string | null; steps: RebuildStep[] }

declare const self: Worker
const stopping = new AbortController()

self.onmessage = async ({ data: config }: MessageEvent<WorkerMessage>) => {
  if (config === 'stop') return stopping.abort()
  const log = createLog({ service: config.service, level: config.logLevel, format: config.logFormat })
  const { prepare } = config.database
  const url = ownerUrlOf(config)
  const database = openDatabase({
    url,
    prepare,
    poolMax: 2,
    applicationName: 'saldo-balances-rebuild',
    // An index over many entries takes minutes.
    silenceMs: 600_000,
  })
  const kafka = connectKafka({ ...config.kafka, topicSettings }, log)
  let failure: string | null = null
  const steps: RebuildStep[] = []
  try {
    const source = { ...subscriptionOf(config.kafka), read: createRecordReader(config.events) }
    const connection = { url, prepare }
    const onStep = (step: RebuildStep) => void steps.push(step)
    await runRebuild({ ...source, database, kafka, log, connection, onStep }, stopping.signal)
  } catch (error) {
    failure = messageOf(error)
  }
  await kafka.close()
  await database.close()
  postMessage({ failure, steps } satisfies WorkerResult)
}
