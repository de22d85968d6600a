/**
 * The fictitious people as the read side hears of them: the events of the wallet's seed, through
 * the same road as any other.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeRecord } from '../../contract/wire/envelope'
import { SetupError } from '../../platform/fault'
import type { Database } from '../../platform/postgres/database'
import { withPreparationLock } from '../../platform/postgres/migrate'
import type { Statements } from '../../platform/postgres/statements'
import type { Log } from '../../platform/telemetry/log'
import { type Applied, applyProjection } from '../projection/apply-store'
import { project } from '../projection/project'
import type { Projection } from '../projection/types'
import { markSeeded, seedName } from './seeds-store'

const seedFile = join(import.meta.dir, '../../../seed/events.jsonl')

/**
 * Puts the seed in once, whatever became of it since. The same events from the topic change
 * nothing, since they bear the same versions.
 */
export async function seedBalances(url: string, database: Database, log: Log): Promise<void> {
  const { claimed } = await withPreparationLock(url, () => applySeed(database.sql))
  if (claimed) log.info({}, 'fictitious data put in')
}

/** The same, for tables that nobody else prepares. */
export function applySeed(sql: Statements): Promise<Applied> {
  const { balances, entries, clients } = projectSeed(readFileSync(seedFile, 'utf8'))
  // Who is to move these accounts is not said by what they begin with.
  const undecided = balances.map((row) => ({ ...row, source: null }))
  return applyProjection(sql, markSeeded(seedName), {
    balances: undecided,
    entries,
    clients,
    deadLetters: [],
  })
}

/** One event value a line. Throws `SetupError` for a line that cannot be read: the file is ours. */
export function projectSeed(text: string): Projection<number> {
  const lines = text.split('\n').filter((line) => line !== '')
  const readings = lines.map((line, index) => {
    const timestampMs = Number.NaN
    return { decoded: decodeRecord({ value: Buffer.from(line) }), timestampMs, origin: index + 1 }
  })
  const projection = project(readings, new Map())
  const [faulty] = projection.deadLetters
  if (faulty || projection.unknown.length > 0)
    throw new SetupError(
      `seed/events.jsonl cannot be used: ${faulty ? `line ${faulty.origin}: ${faulty.reason.detail}` : `unknown event ${projection.unknown[0]}`}`,
    )
  return projection
}
