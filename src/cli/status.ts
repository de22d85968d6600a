/** `status`: what is in flight between the wallet and the read model, and what got stuck. */
import { countDeadLetters } from '../balances/dead-letters/dead-letters-store'
import { listOffsets } from '../balances/projection/offsets-store'
import { subscriptionOf } from '../balances/projection/topics'
import {
  type ListedReconciliation,
  listReconciliations,
} from '../balances/reconciliations/reconciliations-store'
import { type KafkaConfig, readStatusConfig } from '../config/config'
import { topics as allTopics } from '../contract/events/events'
import { explainTopicFaults } from '../contract/events/topic-settings'
import { connectKafka } from '../platform/kafka/client'
import { partitionName } from '../platform/kafka/offsets'
import type { Statements } from '../platform/postgres/statements'
import type { Log } from '../platform/telemetry/log'
import { findEpoch, type LedgerEpoch } from '../wallet/epochs/epochs-store'
import { measureOutbox, pendingMax } from '../wallet/outbox/outbox-store'
import { defineCommand, withDatabase } from './command'

export const status = defineCommand({
  about:
    'shows pending outbox events, consumer lag by partition, settings of topics, dead letters, and the ' +
    'last comparison',
  details: [
    'Where the address of one database is missing, as in the container of a service, the rest is shown.',
  ],
  options: {},
  examples: ['docker compose exec balances saldo status --json'],
  json: {
    example: {
      outbox: { events: 0, oldest_seconds: 0 },
      epoch: 1,
      partitions: [{ topic: 'balances', partition: 0, lag: 0, applied: 34, end: 34 }],
      topic_settings: [],
      dead_letters: 0,
      reconciliation: {
        ...{ id: '7', result: 'clean', differences_total: 0, watermark: '2026-01-31T00:00:00.000Z' },
      },
    },
  },
  async run(_, { env, signal, json, print }) {
    const { walletUrl, balancesUrl, kafka, remedy } = readStatusConfig(env)
    const options = { name: 'status', remedy, signal }
    const outbox =
      walletUrl === undefined
        ? undefined
        : await withDatabase({ ...options, service: 'wallet', url: walletUrl }, ({ sql }) =>
            Promise.all([measureOutbox(sql), findEpoch(sql)]).then(([measured, epoch]) => ({
              ...measured,
              epoch,
            })),
          )
    const readSide =
      balancesUrl === undefined
        ? undefined
        : await withDatabase({ ...options, service: 'balances', url: balancesUrl }, async ({ sql }, log) => ({
            ...(await measurePartitions(sql, kafka, log)),
            deadLetters: await countDeadLetters(sql),
            reconciliation: (await listReconciliations(sql, undefined, { before: undefined, limit: 1 }))[0],
          }))
    const shown = { outbox, readSide }
    if (json) await print(JSON.stringify(present(shown)))
    else for (const line of linesOf(shown)) await print(line)
    return 0
  },
})

type Outbox = Awaited<ReturnType<typeof measureOutbox>> & { epoch: LedgerEpoch }
type Partition = { topic: string; partition: number; lag: bigint; applied: bigint; end: bigint }
type Shown = {
  outbox: Outbox | undefined
  readSide: ReadSide | undefined
}
type ReadSide = {
  partitions: Partition[]
  topicFaults: string[]
  deadLetters: number
  reconciliation: ListedReconciliation | undefined
}

async function measurePartitions(sql: Statements, kafka: KafkaConfig, log: Log) {
  const { clusterId, ends, topicFaults } = await readTopics(kafka, log)
  const offsets = await listOffsets(sql, clusterId)
  const next = new Map(offsets.map((row) => [partitionName(row.topic, row.partition), row.nextOffset]))
  const partitions = ends.map(({ topic, partition, first, offset: end }): Partition => {
    const applied = next.get(partitionName(topic, partition)) ?? first
    return { topic, partition, lag: end > applied ? end - applied : 0n, applied, end }
  })
  return { partitions, topicFaults }
}

const present = ({ outbox, readSide }: Shown) => ({
  outbox: outbox
    ? { events: outbox.pending, oldest_seconds: outbox.pending > 0 ? secondsOf(outbox.oldestAgeMs) : 0 }
    : null,
  epoch: outbox?.epoch.epoch ?? null,
  partitions:
    readSide?.partitions.map(({ topic, partition, lag, applied, end }) => ({
      ...{ topic, partition, lag: Number(lag), applied: Number(applied), end: Number(end) },
    })) ?? null,
  topic_settings: readSide?.topicFaults ?? null,
  dead_letters: readSide?.deadLetters ?? null,
  reconciliation: readSide?.reconciliation ? presentReconciliation(readSide.reconciliation) : null,
})

const presentReconciliation = ({ id, result, differencesTotal, watermark }: ListedReconciliation) => ({
  ...{ id: String(id), result, differences_total: differencesTotal, watermark },
})

function linesOf({ outbox, readSide }: Shown): string[] {
  const last = readSide?.reconciliation
  const compared = last ? describeReconciliation(last) : 'none kept: saldo reconcile --store'
  const isDifferent = last?.result === 'different'
  return [
    // What was found wrong comes before what is in flight.
    ...(isDifferent ? [`reconciliation: ${compared}`] : []),
    outbox ? `outbox: ${describeOutbox(outbox)}` : notShown('outbox', 'WALLET_DATABASE_URL'),
    ...(outbox && outbox.epoch.epoch > 1 ? [`epoch: ${describeEpoch(outbox.epoch)}`] : []),
    ...(readSide?.partitions ?? []).map(
      ({ topic, partition, lag, applied, end }) =>
        `${partitionName(topic, partition)}: lag ${lag}, applied ${applied} of ${end}`,
    ),
    ...(readSide?.topicFaults ?? []).map((fault) => `topic settings: ${fault}`),
    readSide ? `dead letters: ${readSide.deadLetters}` : notShown('read model', 'BALANCES_DATABASE_URL'),
    ...(readSide && !isDifferent ? [`reconciliation: ${compared}`] : []),
  ]
}

const describeReconciliation = ({ id, result, differencesTotal, watermark }: ListedReconciliation): string =>
  `${result}, ${differencesTotal} differences, as of ${watermark}: GET /reconciliations/${id}`

const describeEpoch = ({ epoch, cause, isComplete }: LedgerEpoch): string =>
  `${epoch} (${cause}), ${isComplete ? 'complete' : 'starting'}: the ledger was restored`

const notShown = (what: string, variable: string): string => `${what}: not shown, ${variable} is not set`

const secondsOf = (ms: number): number => Math.ceil(ms / 1000)

function describeOutbox({ pending, oldestAgeMs }: Outbox): string {
  const count = pending > pendingMax ? `more than ${pendingMax}` : pending
  const age = pending > 0 ? `, the oldest for ${secondsOf(oldestAgeMs)} s` : ''
  return `${count} events pending${age}`
}

/** Where the logs end, and what of the settings of topics breaks a promise. */
async function readTopics(settings: KafkaConfig, log: Log) {
  const kafka = connectKafka(settings, log)
  try {
    const clusterId = await kafka.clusterId()
    const ends = await kafka.endOffsets(subscriptionOf(settings).topics)
    const { described, brokers } = await kafka.describeTopics(
      allTopics.map((one) => settings.topicPrefix + one),
    )
    return {
      clusterId,
      topicFaults: explainTopicFaults(settings.brokers)(described, brokers),
      ends: ends.toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition),
    }
  } finally {
    await kafka.close()
  }
}
