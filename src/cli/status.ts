/** `status`: what is in flight between the wallet and the read model, and what got stuck. */
import { parseArgs } from 'node:util'
import { countDeadLetters } from '../balances/dead-letters/dead-letters-store'
import { listOffsets } from '../balances/projection/offsets-store'
import { subscriptionOf } from '../balances/projection/topics'
import { type ReconcileConfig, readReconcileConfig, reconcileAddresses, remedyOf } from '../config/config'
import { connectKafka } from '../platform/kafka/client'
import { partitionName } from '../platform/kafka/offsets'
import type { Log } from '../platform/telemetry/log'
import { measureOutbox, pendingMax } from '../wallet/outbox/outbox-store'
import { type Command, withDatabase } from './command'

export const status: Command = {
  usage: 'status',
  about: 'shows pending outbox events, consumer lag by partition, and dead letters',
  async run(args, env, signal) {
    parseArgs({ args, options: {} })
    const config = readReconcileConfig(env)
    const options = { name: 'status', remedy: remedyOf(env, reconcileAddresses), signal }
    const wallet = { ...options, service: 'wallet', url: config.walletUrl } as const
    const balances = { ...options, service: 'balances', url: config.balancesUrl } as const
    const outbox = await withDatabase(wallet, ({ sql }) => measureOutbox(sql))
    await withDatabase(balances, async ({ sql }, log) => {
      const { clusterId, ends } = await readLogEnds(config, log)
      const applied = new Map(
        (await listOffsets(sql, clusterId)).map((row) => [
          partitionName(row.topic, row.partition),
          row.nextOffset,
        ]),
      )
      console.log(`outbox: ${describeOutbox(outbox)}`)
      for (const { topic, partition, first, offset } of ends) {
        const name = partitionName(topic, partition)
        const next = applied.get(name) ?? first
        const lag = offset > next ? offset - next : 0n
        console.log(`${name}: lag ${lag}, applied ${next} of ${offset}`)
      }
      console.log(`dead letters: ${await countDeadLetters(sql)}`)
    })
    return 0
  },
}

function describeOutbox({ pending, oldestAgeMs }: Awaited<ReturnType<typeof measureOutbox>>): string {
  const count = pending > pendingMax ? `more than ${pendingMax}` : pending
  const age = pending > 0 ? `, the oldest for ${Math.ceil(oldestAgeMs / 1000)} s` : ''
  return `${count} events pending${age}`
}

async function readLogEnds({ kafka: settings }: ReconcileConfig, log: Log) {
  const kafka = connectKafka(settings, log)
  try {
    const clusterId = await kafka.clusterId()
    const ends = await kafka.endOffsets(subscriptionOf(settings).topics)
    return {
      clusterId,
      ends: ends.toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition),
    }
  } finally {
    await kafka.close()
  }
}
