/** `redrive` at a terminal: what GET /dead-letters/causes and POST /dead-letters/redrive do. */
import { type DeadLetterFilter, groupDeadLetters } from '../balances/dead-letters/dead-letters-store'
import { type RedrivenLetter, redrive, redriveOutcomes } from '../balances/dead-letters/redrive'
import { createRecordReader, type ReadRecord } from '../balances/projection/topics'
import { checkVerification } from '../balances/projection/verification'
import { environmentOf, readReadSideConfig, remedyOf } from '../config/config'
import type { Database } from '../platform/postgres/database'
import { showProgressBar } from '../platform/process/progress-bar'
import { type Context, defineCommand, withDatabase } from './command'
import { anyText, flag, value } from './options'

/** Letters between two checks of the signal. */
const pageSize = 100
/** Kept letters in the JSON. */
const shownMax = 100

export const redriveCommand = defineCommand({
  about: 'reprocesses dead letters: all, of one cause or of one topic',
  options: {
    cause: value('CAUSE', 'only letters of this cause, such as not_json', anyText),
    topic: value('TOPIC', 'only letters of this topic', anyText),
    'dry-run': flag('tries each, and changes nothing'),
    list: flag('only counts the letters of each cause and topic'),
  },
  exclusive: [
    ['list', 'cause'],
    ['list', 'topic'],
    ['list', 'dry-run'],
  ],
  examples: [
    'saldo redrive --list',
    'docker compose exec balances saldo redrive --cause not_storable --dry-run',
  ],
  json: {
    example: {
      dry_run: false,
      outcomes: { applied: 3, skipped: 0, superseded: 0, still_failing: 1, gone: 0 },
      kept: [{ id: '7', outcome: 'still_failing', cause: 'not_json', detail: 'not JSON' }],
    },
  },
  exits: { failed: 'Some letters are kept: their outcome is `superseded` or `still_failing`; or it failed.' },
  interrupted: 'Each letter is applied on its own: those before are done, the others are untouched.',
  async run({ list, cause, topic, 'dry-run': dryRun }, context) {
    const own = environmentOf(context.env, 'balances')
    const { database, events } = readReadSideConfig(own)
    const remedy = remedyOf(own, ['DATABASE_URL'])
    const options = {
      name: 'redrive',
      service: 'balances',
      ...database,
      remedy,
      signal: context.signal,
    } as const
    return withDatabase(options, async (database) => {
      if (list) return listCauses(database, context)
      await checkVerification(database.sql, events)
      return redriveAll(
        database,
        { filter: { cause, topic }, dryRun, read: createRecordReader(events) },
        context,
      )
    })
  },
})

async function listCauses({ sql }: Database, { json, print }: Context): Promise<number> {
  const groups = await groupDeadLetters(sql)
  const causes = groups.map(({ cause, topic, count, firstAt, lastAt }) => ({
    ...{ cause, topic, count, first_recorded_at: firstAt, last_recorded_at: lastAt },
  }))
  if (json) await print(JSON.stringify({ causes }))
  else if (groups.length === 0) await print('No dead letters.')
  else
    for (const { count, cause, topic, firstAt, lastAt } of groups)
      await print(`${count} ${cause} on ${topic}, from ${firstAt} to ${lastAt}`)
  return 0
}

async function redriveAll(
  database: Database,
  { filter, dryRun, read }: { filter: DeadLetterFilter; dryRun: boolean; read: ReadRecord },
  { signal, json, print }: Context,
): Promise<number> {
  const isSelected = ({ cause, topic }: { cause: string; topic: string }) =>
    (filter.cause ?? cause) === cause && (filter.topic ?? topic) === topic
  const groups = (await groupDeadLetters(database.sql)).filter(isSelected)
  const progress = showProgressBar(
    'dead letters',
    groups.reduce((sum, { count }) => sum + count, 0),
  )
  const counts = new Map(redriveOutcomes.map((outcome) => [outcome, 0]))
  const kept: ReturnType<typeof presentLetter>[] = []
  let after: bigint | undefined = 0n
  while (after !== undefined && !signal.aborted) {
    const report = await redrive(database, { filter, after }, { read, dryRun, limit: pageSize })
    for (const letter of report.letters) {
      const { id, outcome, reason } = letter
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      if (reason && json) kept.push(presentLetter(letter))
      else if (reason) await print(`dead letter ${id}: ${outcome}: ${reason.cause}: ${reason.detail}`)
    }
    progress.add(report.letters.length)
    after = report.next
  }
  progress.end()
  const outcomes = Object.fromEntries(counts)
  const summary = [...counts]
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${count} ${outcome}`)
  await print(
    json
      ? JSON.stringify({ dry_run: dryRun, outcomes, kept: kept.slice(0, shownMax) })
      : `${summary.join(', ') || 'No dead letters.'}${dryRun ? ' (dry run: nothing was changed)' : ''}`,
  )
  return (counts.get('still_failing') ?? 0) + (counts.get('superseded') ?? 0) > 0 ? 1 : 0
}

const presentLetter = ({ id, outcome, reason }: RedrivenLetter) => ({
  ...{ id: String(id), outcome, cause: reason?.cause ?? null, detail: reason?.detail ?? null },
})
