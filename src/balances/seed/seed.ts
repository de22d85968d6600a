/** Seeds the read model with the events of the wallet's seed, through the same projection as any event. */
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

/** Seeds once; false after that. The same events of the topic have the same versions, and change nothing. */
export async function seedBalances(url: string, database: Database, log: Log): Promise<boolean> {
  const { claimed } = await withPreparationLock(url, () => applySeed(database.sql))
  if (claimed) log.info({}, 'seed data applied')
  return claimed
}

/** The same without the preparation lock, for tables of one process. */
export function applySeed(sql: Statements): Promise<Applied> {
  const { balances, entries, clients } = projectSeed(readFileSync(seedFile, 'utf8'))
  // The seed does not decide the source of an account.
  const withoutSource = balances.map((row) => ({ ...row, source: null }))
  return applyProjection(sql, markSeeded(seedName), {
    balances: withoutSource,
    entries,
    clients,
    deadLetters: [],
  })
}

/** One event a line. Throws `SetupError` for an invalid one: the file is ours. */
export function projectSeed(text: string): Projection<number> {
  const lines = text.split('\n').filter((line) => line !== '')
  const readings = lines.map((line, index) => {
    const timestampMs = Number.NaN
    return { decoded: decodeRecord({ value: Buffer.from(line) }), timestampMs, origin: index + 1 }
  })
  const projection = project(readings, new Map())
  const [faulty] = projection.deadLetters
  const fault = faulty
    ? `line ${faulty.origin}: ${faulty.reason.detail}`
    : `unknown event ${projection.unknown[0]}`
  if (faulty || projection.unknown.length > 0) throw new SetupError(`invalid seed/events.jsonl: ${fault}`)
  return projection
}
