/**
 * Tries dead letters again, as the code of today reads them: each takes effect and is gone, in one
 * statement, or stays and says why.
 */

import { messageOf } from '../../platform/fault'
import type { Database } from '../../platform/postgres/database'
import { isDataRefused } from '../../platform/postgres/failures'
import type { Statements } from '../../platform/postgres/statements'
import { loadProjectedAccounts } from '../projection/accounts-store'
import { applyProjection, isConflict, type Rows, withProjectionLock } from '../projection/apply-store'
import {
  accountsIn,
  accountsWithoutVersion,
  type DeadLetterReason,
  type ProjectedAccount,
  project,
} from '../projection/project'
import { decodeFrom } from '../projection/topics'
import {
  claimDeadLetter,
  type DeadLetter,
  type DeadLetterFilter,
  findDeadLetter,
  listDeadLetterIds,
  noteFailure,
} from './dead-letters-store'

/**
 * `applied`: what it tells is in the tables now. `skipped`: an event that is not known here, which a consumer would not have kept. `superseded`: the
 * account has moved on. `gone`: somebody else took it, or it never was. Those that are superseded
 * or still fail stay.
 */
export const redriveOutcomes = ['applied', 'skipped', 'superseded', 'still_failing', 'gone'] as const
export type RedriveOutcome = (typeof redriveOutcomes)[number]
export type RedrivenLetter = { id: bigint; outcome: RedriveOutcome; reason?: DeadLetterReason }

export type RedriveSelection = { ids: bigint[] } | { filter: DeadLetterFilter; after: bigint | undefined }
export type RedriveReport = {
  letters: RedrivenLetter[]
  /** The last letter that was looked at, when there are more behind it. */
  next: bigint | undefined
}

/** Letters in one call. */
export const redriveMax = 1000

/**
 * In the order in which they failed, one after the other. A dry run changes nothing, and tries each
 * as if it were the only one.
 */
export async function redrive(
  { sql }: Pick<Database, 'sql'>,
  selection: RedriveSelection,
  { dryRun, limit = redriveMax }: { dryRun: boolean; limit?: number },
): Promise<RedriveReport> {
  const ids =
    'ids' in selection
      ? selection.ids
      : await listDeadLetterIds(sql, selection.filter, { after: selection.after ?? 0n, limit: limit + 1 })
  const letters: RedrivenLetter[] = []
  for (const id of ids.slice(0, limit)) letters.push(await tryAgain(sql, id, dryRun))
  return { letters, next: ids.length > limit ? ids[limit - 1] : undefined }
}

async function tryAgain(sql: Database['sql'], id: bigint, dryRun: boolean): Promise<RedrivenLetter> {
  const gone: RedrivenLetter = { id, outcome: 'gone' }
  const over = new Error('the rehearsal is over')
  let redriven = gone
  try {
    await withProjectionLock(sql, async (tx) => {
      redriven = await attempt(tx, id)
      // In earnest up to here, so that the database has its say, and taken back.
      if (dryRun) throw over
    })
  } catch (error) {
    // Somebody else has moved an account meanwhile: what is stored says why, or that it was not so.
    if (isConflict(error)) return tryAgain(sql, id, dryRun)
    if (isDataRefused(error))
      redriven = { id, outcome: 'still_failing', reason: { cause: 'not_storable', detail: messageOf(error) } }
    else if (error !== over) throw error
  }
  if (dryRun || !redriven.reason) return redriven
  return (await noteFailure(sql, id, redriven.reason)) ? redriven : gone
}

async function attempt(tx: Statements, id: bigint): Promise<RedrivenLetter> {
  const letter = await findDeadLetter(tx, id)
  if (!letter) return { id, outcome: 'gone' }
  const reading = readingOf(letter)
  const decision = decideRedrive(reading, await loadProjectedAccounts(tx, accountsIn([reading])))
  if ('reason' in decision) return { id, ...decision }
  const { claimed } = await applyProjection(tx, claimDeadLetter(id), decision.rows)
  return { id, outcome: claimed ? decision.outcome : 'gone' }
}

export const readingOf = (
  letter: Pick<DeadLetter, 'value' | 'headers' | 'recordAt' | 'lastOffset' | 'cause' | 'detail'> &
    Partial<Pick<DeadLetter, 'topic'>>,
) => ({
  // Of a batch there is no record to try.
  decoded: decodeFrom(
    letter.topic,
    letter.lastOffset === null ? letter : { ...letter, unreadable: batchReason(letter) },
  ),
  timestampMs: letter.recordAt === null ? Number.NaN : Date.parse(letter.recordAt),
  origin: letter,
})

const batchReason = ({ cause, detail }: Pick<DeadLetter, 'cause' | 'detail'>) =>
  ({ cause: cause === 'batch_too_large' ? cause : 'batch_not_readable', detail }) as const

type Decision =
  | { outcome: 'applied' | 'skipped'; rows: Rows }
  | { outcome: 'superseded' | 'still_failing'; reason: DeadLetterReason }

/** `known` has the accounts of `accountsIn` that are stored. */
export function decideRedrive(
  reading: ReturnType<typeof readingOf>,
  known: ReadonlyMap<string, ProjectedAccount & { updatedAt: string }>,
): Decision {
  const { deadLetters, unknown, ...rows } = project([reading], known)
  const [dead] = deadLetters
  if (dead) return { outcome: 'still_failing', reason: dead.reason }

  // An event without versions is right after whatever the log had before it, and nobody knows any
  // more what that was: only times tell. It is not applied over a state of the same time or a later
  // one, which would be to take the account back to what it held then. A state of the same time may
  // be the one before, and is left alone all the same. As always, an event takes effect whole or
  // not at all.
  const inLogOrder = accountsWithoutVersion(reading.decoded)
  for (const { accountId, updatedAt } of rows.balances) {
    const stored = known.get(accountId)
    if (!stored || stored.version === 0n || stored.updatedAt < updatedAt || !inLogOrder.includes(accountId))
      continue
    const detail = `account ${accountId} was told of at ${stored.updatedAt}, and this is what it held at ${updatedAt}`
    return { outcome: 'superseded', reason: { cause: 'superseded', detail } }
  }
  return { outcome: unknown.length > 0 ? 'skipped' : 'applied', rows: { ...rows, deadLetters: [] } }
}
