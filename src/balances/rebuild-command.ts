/** `rebuild` for people at a terminal: asks for what POST /rebuild asks for, shows how far it is, and carries it out when no service does. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ServiceConfig } from '../config'
import { openDatabase } from '../platform/database'
import { connectKafka } from '../platform/kafka'
import { createLog } from '../platform/log'
import { pause } from '../platform/retry'
import { type Progress, type RebuildAction, startRebuilding } from './rebuild'
import { topics } from './topics'

export const rebuildUsage = `rebuild [--manual] [--force]   make the tables again from the topics, and let them serve
        --swap [--force] | --rollback | --cancel | --status`

const everyMs = 1000

/** 0 when it came to its end, 1 when the tables differ or the wish was refused. */
export async function runRebuild(args: string[], config: ServiceConfig): Promise<number> {
  const flag = { type: 'boolean', default: false } as const
  const options = { manual: flag, force: flag, swap: flag, rollback: flag, cancel: flag, status: flag }
  const { manual, force, status, ...actions } = parseArgs({ args, options }).values
  const action = (['swap', 'rollback', 'cancel'] as const).find((one) => actions[one]) ?? 'start'

  const log = createLog({ service: 'rebuild', level: 'error', format: 'pretty' })
  const { url, prepare } = config.database
  const { topicPrefix, groupId, partitions } = config.kafka
  const database = openDatabase({ url, prepare, poolMax: 2, applicationName: 'saldo-balances-rebuild' })
  const kafka = connectKafka(config.kafka, log)
  const task = {
    config,
    groupId: topicPrefix + groupId,
    topics: topics.map((topic) => topicPrefix + topic),
    partitions,
  }
  const migrationsFolder = join(import.meta.dir, '../../migrations/balances')
  const rebuilding = startRebuilding({ database, kafka, task, migrationsFolder, log })
  try {
    const refusal = status
      ? undefined
      : await rebuilding.wish({ action: action satisfies RebuildAction, manual, force })
    if (refusal && refusal !== 'already_building') {
      console.error(`refused: ${refusal.replaceAll('_', ' ')}`)
      return 1
    }
    for (;;) {
      const progress = await rebuilding.status()
      if (!progress) return say('no rebuild', 0)
      if (status || progress.state !== 'building') return say(lineOf(progress), progress.state === 'refused' ? 1 : 0)
      say(lineOf(progress), 0)
      await pause(everyMs)
    }
  } finally {
    await rebuilding.stop()
    await kafka.close()
    await database.close()
  }
}

function say(line: string, code: number): number {
  console.error(line)
  return code
}

function lineOf({ state, done, total, perSecond, secondsLeft, message }: Progress): string {
  const left = secondsLeft === undefined || state !== 'building' ? '' : `, ${Math.ceil(secondsLeft)} s left`
  const rate = `${Math.round(perSecond).toLocaleString('en')}/s`
  return `${state}: ${done.toLocaleString('en')} of ${total.toLocaleString('en')} records, ${rate}${left}${message ? `\n${message}` : ''}`
}
