/**
 * Reprocesses dead letters with the current code. Each is applied and deleted in one statement, or
 * kept with its new error.
 */
import type { Decoded, Unreadable } from '../../contract/wire/envelope'
import { messageOf } from '../../platform/fault'
import type { Database } from '../../platform/postgres/database'
import { isDataRefused } from '../../platform/postgres/failures'
import type { Statements } from '../../platform/postgres/statements'
import { loadProjectedAccounts } from '../projection/accounts-store'
import { applyProjection, isConflict, type Rows, withProjectionLock } from '../projection/apply-store'
import { loadKnownEpochs, lockApplies, recordEpochs, removeVoidEntries } from '../projection/epochs-store'
import { ProjectionFailed, projectSafely } from '../projection/project'
import { accountsIn, accountsWithoutVersion, clientsIn } from '../projection/sides'
import { isPersonalTopic, type ReadRecord } from '../projection/topics'
import type { DeadLetterReason, EpochChanges, KnownEpochs, ProjectedAccount } from '../projection/types'
import {
  claimDeadLetter,
  type DeadLetter,
  type DeadLetterFilter,
  findDeadLetter,
  listDeadLetterIds,
  recordFailure,
} from './dead-letters-store'

/**
 * `skipped`: an event of an unknown name, which a consumer skips too. `superseded`: the account has
 * changed since. `gone`: another process took the letter, or there never was one. Those that are
 * superseded or still fail are kept.
 */
export const redriveOutcomes = ['applied', 'skipped', 'superseded', 'still_failing', 'gone'] as const
export type RedriveOutcome = (typeof redriveOutcomes)[number]
export type RedrivenLetter = { id: bigint; outcome: RedriveOutcome; reason?: DeadLetterReason }

export type RedriveSelection = { ids: bigint[] } | { filter: DeadLetterFilter; after: bigint | undefined }
export type RedriveReport = {
  letters: RedrivenLetter[]
  /** The last letter of this call, when there are more. */
  next: bigint | undefined
}

/** Letters in one call. */
export const redriveMax = 1000

type RedriveOptions = { read: ReadRecord; dryRun: boolean; limit?: number }

/** One by one, in the order in which they failed. A dry run changes nothing, and tries each on its own. */
export async function redrive(
  { sql }: Pick<Database, 'sql'>,
  selection: RedriveSelection,
  options: RedriveOptions,
): Promise<RedriveReport> {
  const { limit = redriveMax } = options
  const ids =
    'ids' in selection
      ? selection.ids
      : await listDeadLetterIds(sql, selection.filter, { after: selection.after ?? 0n, limit: limit + 1 })
  const letters: RedrivenLetter[] = []
  for (const id of ids.slice(0, limit)) letters.push(await redriveOne(sql, id, options))
  return { letters, next: ids.length > limit ? ids[limit - 1] : undefined }
}

async function redriveOne(
  sql: Database['sql'],
  id: bigint,
  options: RedriveOptions,
): Promise<RedrivenLetter> {
  const { read, dryRun } = options
  const gone: RedrivenLetter = { id, outcome: 'gone' }
  const rollback = new Error('dry run: rolled back')
  let redriven = gone
  try {
    await withProjectionLock(sql, async (tx) => {
      redriven = await reprocess(tx, id, read)
      // A dry run executes for real, so that constraints are checked, and rolls back.
      if (dryRun) throw rollback
    })
  } catch (error) {
    // A consumer has changed an account meanwhile: decide again on what is stored now.
    if (isConflict(error)) return redriveOne(sql, id, options)
    if (isDataRefused(error))
      redriven = { id, outcome: 'still_failing', reason: { cause: 'not_storable', detail: messageOf(error) } }
    else if (error !== rollback) throw error
  }
  if (dryRun || !redriven.reason) return redriven
  return (await recordFailure(sql, id, redriven.reason)) ? redriven : gone
}

async function reprocess(tx: Statements, id: bigint, read: ReadRecord): Promise<RedrivenLetter> {
  const letter = await findDeadLetter(tx, id)
  if (!letter) return { id, outcome: 'gone' }
  const reading = readingOf(letter, read)
  await lockApplies(tx)
  const known = await loadKnownEpochs(tx, clientsIn([reading]))
  const decision = decideRedrive(reading, await loadProjectedAccounts(tx, accountsIn([reading])), known)
  if ('reason' in decision) return { id, ...decision }
  const { rows, epochs } = decision
  if (epochs) await removeVoidEntries(tx, epochs, rows.entries)
  const { claimed } = await applyProjection(tx, claimDeadLetter(id), rows)
  if (epochs) await recordEpochs(tx, epochs)
  return { id, outcome: claimed ? decision.outcome : 'gone' }
}

type Letter = Pick<
  DeadLetter,
  'topic' | 'key' | 'value' | 'headers' | 'recordAt' | 'lastOffset' | 'cause' | 'detail'
>

export const readingOf = (letter: Letter, read: ReadRecord) => ({
  decoded: decodedOf(letter, read),
  timestampMs: letter.recordAt === null ? Number.NaN : Date.parse(letter.recordAt),
  origin: letter,
})

function decodedOf(letter: Letter, read: ReadRecord): Decoded {
  const { topic, lastOffset, cause, detail } = letter
  // Kept without its contents: it stays what it is, and what it was about is republished.
  if (isPersonalTopic(topic)) return { kind: 'unreadable', reason: { cause, detail } as Unreadable }
  // An unreadable batch has no record to decode.
  return read(topic, lastOffset === null ? letter : { ...letter, unreadable: batchReason(letter) })
}

const batchReason = ({ cause, detail }: Pick<DeadLetter, 'cause' | 'detail'>) =>
  ({ cause: cause === 'batch_too_large' ? cause : 'batch_not_readable', detail }) as const

type Decision =
  | { outcome: 'applied' | 'skipped'; rows: Rows; epochs?: EpochChanges | undefined }
  | { outcome: 'superseded' | 'still_failing'; reason: DeadLetterReason }

/** `accounts` has what is stored of `accountsIn` the reading. */
export function decideRedrive(
  reading: ReturnType<typeof readingOf>,
  accounts: ReadonlyMap<string, ProjectedAccount & { updatedAt: string }>,
  known?: KnownEpochs,
): Decision {
  const projection = projectSafely([reading], accounts, known)
  if (projection instanceof ProjectionFailed)
    return { outcome: 'still_failing', reason: { cause: 'not_applicable', detail: projection.message } }
  const { deadLetters, unknown, epochs, ...rows } = projection
  const [dead] = deadLetters
  if (dead) return { outcome: 'still_failing', reason: dead.reason }
  if (epochs && epochs.voided > 0) {
    const detail = 'the ledger was restored, and has lost what this event tells'
    return { outcome: 'superseded', reason: { cause: 'superseded', detail } }
  }

  // An event without versions is only right after everything before it in the log, and that order is
  // lost: times have to do. It is not applied over a state of its own time or a later one, which
  // would take the account back. All or nothing, as always: one such account is enough.
  const inLogOrder = accountsWithoutVersion(reading.decoded)
  for (const { accountId, updatedAt } of rows.balances) {
    const stored = accounts.get(accountId)
    if (!stored || stored.version === 0n || stored.updatedAt < updatedAt || !inLogOrder.includes(accountId))
      continue
    const detail =
      `account ${accountId} already has a balance as of ${stored.updatedAt}; ` +
      `this event's is as of ${updatedAt}`
    return { outcome: 'superseded', reason: { cause: 'superseded', detail } }
  }
  const outcome = unknown.length > 0 ? 'skipped' : 'applied'
  return { outcome, rows: { ...rows, deadLetters: [] }, epochs }
}
