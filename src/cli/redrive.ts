/** `redrive` at a terminal: what GET /dead-letters/causes and POST /dead-letters/redrive do. */
import { parseArgs } from 'node:util'
import { type DeadLetterFilter, groupDeadLetters } from '../balances/dead-letters/dead-letters-store'
import { redrive, redriveOutcomes } from '../balances/dead-letters/redrive'
import { createRecordReader, type ReadRecord } from '../balances/projection/topics'
import { checkVerification } from '../balances/projection/verification'
import { readReadSideConfig, remedyOf } from '../config/config'
import { UsageError } from '../platform/fault'
import type { Database } from '../platform/postgres/database'
import { showProgressBar } from '../platform/process/progress-bar'
import { type Command, withDatabase } from './command'

/** Letters between two checks of the signal. */
const pageSize = 100

export const redriveCommand: Command = {
  usage: 'redrive [--cause CAUSE] [--topic TOPIC] [--dry-run] | --list',
  about:
    'reprocesses dead letters: all, of one cause or of one topic; --list shows how many there are of each',
  /** 1 when some of the letters are kept. */
  async run(args, env, signal) {
    const { list, ...chosen } = parseOptions(args)
    const { database, events } = readReadSideConfig(env)
    const remedy = remedyOf(env, ['DATABASE_URL'])
    const options = { name: 'redrive', service: 'balances', ...database, remedy, signal } as const
    return withDatabase(options, async (database) => {
      if (list) return listCauses(database)
      await checkVerification(database.sql, events)
      return redriveAll(database, { ...chosen, read: createRecordReader(events) }, signal)
    })
  },
}

type Options = { filter: DeadLetterFilter; dryRun: boolean }

function parseOptions(args: string[]): Options & { list: boolean } {
  const [text, flag] = [{ type: 'string' }, { type: 'boolean', default: false }] as const
  const options = { cause: text, topic: text, 'dry-run': flag, list: flag } as const
  const { cause, topic, 'dry-run': dryRun, list } = parseArgs({ args, options }).values
  if (list && (cause !== undefined || topic !== undefined || dryRun))
    throw new UsageError('--list takes no other options.')
  return { filter: { cause, topic }, dryRun, list }
}

async function listCauses({ sql }: Database): Promise<number> {
  const groups = await groupDeadLetters(sql)
  if (groups.length === 0) console.log('No dead letters.')
  for (const { count, cause, topic, firstAt, lastAt } of groups)
    console.log(`${count} ${cause} on ${topic}, from ${firstAt} to ${lastAt}`)
  return 0
}

async function redriveAll(
  database: Database,
  { filter, dryRun, read }: Options & { read: ReadRecord },
  signal: AbortSignal,
): Promise<number> {
  const isSelected = ({ cause, topic }: { cause: string; topic: string }) =>
    (filter.cause ?? cause) === cause && (filter.topic ?? topic) === topic
  const groups = (await groupDeadLetters(database.sql)).filter(isSelected)
  const progress = showProgressBar(
    'dead letters',
    groups.reduce((sum, { count }) => sum + count, 0),
  )
  const counts = new Map(redriveOutcomes.map((outcome) => [outcome, 0]))
  let after: bigint | undefined = 0n
  while (after !== undefined && !signal.aborted) {
    const report = await redrive(database, { filter, after }, { read, dryRun, limit: pageSize })
    for (const { id, outcome, reason } of report.letters) {
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      if (reason) console.log(`dead letter ${id}: ${outcome}: ${reason.cause}: ${reason.detail}`)
    }
    progress.add(report.letters.length)
    after = report.next
  }
  progress.end()
  const summary = [...counts]
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${count} ${outcome}`)
  console.log(`${summary.join(', ') || 'No dead letters.'}${dryRun ? ' (dry run: nothing was changed)' : ''}`)
  return (counts.get('still_failing') ?? 0) + (counts.get('superseded') ?? 0) > 0 ? 1 : 0
}
