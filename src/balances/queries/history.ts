/**
 * An account's history from its entries: the balance at a time, the entries that explain it, and
 * the statement. An entry has two times: when it was written (`recorded`), and from when it counts
 * (`effective`), which may be earlier. Missing entries are reported as gaps, never guessed.
 */
import type { Statements } from '../../platform/postgres/statements'
import type { Balance } from './balances-store'
import {
  type Entry,
  findEntryAfter,
  findVersionAt,
  findVersionBefore,
  listBackdated,
  listEntries,
  sumShifted,
} from './entries-store'

export const clocks = ['recorded', 'effective'] as const
export type Clock = (typeof clocks)[number]

/** `amountMinor` is the sum over the missing versions; null where it cannot be derived. */
export type Gap = { fromVersion: bigint; toVersion: bigint; amountMinor: bigint | null }
export type Line = { entry: Entry } | { gap: Gap }

export type Page<Cursor> = { lines: Line[]; next: Cursor | undefined }

export type StatementCursor = { floor: bigint; before: bigint }
/**
 * `complete`: no entry of the page is missing, and none of the period may still be in flight. Without an end,
 * the period ends with the newest entry of the read model.
 */
export type Statement = Page<StatementCursor> & { complete: boolean }

/** Entries written from `since` to before `until`, newest first, with a gap for missing versions. */
export async function readStatement(
  sql: Statements,
  account: Balance,
  period: { since: string | undefined; until: string | undefined },
  page: { cursor: StatementCursor | undefined; size: number },
  coverage: Coverage,
): Promise<Statement> {
  const { accountId } = account
  const { cursor } = page
  const top = cursor
    ? { version: cursor.before - 1n, balanceMinor: null }
    : await topOf(sql, account, period.until)
  // An entry after the period proves that no entry of the period can still be in flight.
  const isOver = cursor !== undefined || period.until === undefined || top.version < account.version
  const floor = cursor?.floor ?? (period.since ? await findVersionBefore(sql, accountId, period.since) : 0n)
  const rows = await listEntries(sql, accountId, {
    floor: under(floor),
    before: top.version + 1n,
    limit: page.size + 1,
  })
  const { lines, before } = linesOf(rows, top, { floor, size: page.size, unknownAmounts: 'show' })
  const isCovered = isOver || coverage.untilMs >= Date.parse(period.until ?? '')
  return {
    lines,
    next: before === undefined ? undefined : { floor, before },
    complete: isCovered && lines.every((line) => 'entry' in line),
  }
}

/** The newest version of a period, and the balance after it. */
async function topOf(sql: Statements, account: Balance, until: string | undefined): Promise<Checkpoint> {
  if (until === undefined) return account
  const version = await findVersionBefore(sql, account.accountId, until)
  const next = await findEntryAfter(sql, account.accountId, version)
  if (!next) return account
  const balanceMinor = next.amountMinor === null ? null : next.balanceMinor - next.amountMinor
  return { version: next.version - 1n, balanceMinor }
}

/**
 * What the tables contain: everything written until `untilMs`. `isCurrent`: of what was written
 * since, nothing is known to be missing, which is all that can be said of backdated entries.
 */
export type Coverage = { untilMs: number; isCurrent: boolean }

/** Takes the tables as they are. */
export const fullCoverage: Coverage = { untilMs: Number.POSITIVE_INFINITY, isCurrent: true }

export type BalanceAt = {
  /** 0 before the first entry. */
  version: bigint
  /** Null where it cannot be derived. */
  balanceMinor: bigint | null
  heldMinor: bigint | null
  /** False where entries that may count are missing or in flight; null where too many follow to check. */
  complete: boolean | null
}

/** A missing entry may be backdated to any time, so all later entries are checked, up to this many. */
const followersMax = 10_000n

/**
 * `recorded`: the balance as written by then, which later entries never change. `effective`: plus later
 * entries that are backdated to `at` or before, minus entries that count from after it.
 */
export async function readBalanceAt(
  sql: Statements,
  account: Balance,
  { at, clock }: { at: string; clock: Clock },
  coverage: Coverage,
): Promise<BalanceAt> {
  const recorded = await recordedBalanceAt(sql, account, at, coverage)
  if (clock === 'recorded') return recorded
  const followers = account.version - recorded.version
  const countMax = followers > followersMax ? 0 : Number(followers)
  const shifted = await sumShifted(sql, account.accountId, { version: recorded.version, at, countMax })
  const hasAllFollowers = followers > followersMax ? null : shifted.above === BigInt(countMax)
  const { balanceMinor } = recorded
  return {
    ...recorded,
    balanceMinor: balanceMinor === null ? null : balanceMinor + shifted.laterMinor - shifted.earlierMinor,
    complete: recorded.complete && coverage.isCurrent && hasAllFollowers,
  }
}

async function recordedBalanceAt(
  sql: Statements,
  account: Balance,
  at: string,
  coverage: Coverage,
): Promise<BalanceAt> {
  // Past this, a later entry is present, so anything missing before it shows as a gap.
  if (account.updatedAt <= at || account.version === 0n)
    return { ...pick(account), complete: coverage.untilMs >= Date.parse(at) }
  const version = await findVersionAt(sql, account.accountId, at)
  const next = await findEntryAfter(sql, account.accountId, version)
  const complete = (next ?? account).version === version + 1n
  if (version > 0n) {
    const row = await findEntry(sql, account.accountId, version)
    return { ...pick(row as Entry), complete }
  }
  // An account begins at zero, unless the amount of its first entry is unknown.
  const isBeforeFirst = complete && next !== undefined && next.amountMinor !== null
  const minor = isBeforeFirst ? 0n : null
  return { version: 0n, balanceMinor: minor, heldMinor: minor, complete: isBeforeFirst }
}

const pick = ({ version, balanceMinor, heldMinor }: Balance | Entry) => ({ version, balanceMinor, heldMinor })

/** `version`: recorded at that time. `closingMinor`: the sum of this page's lines and all later ones. */
export type ExplanationCursor = { at: string; version: bigint; before: bigint; closingMinor: bigint }

export type Explanation = Page<ExplanationCursor> & {
  closingMinor: bigint | null
  /** Sum of the lines of later pages: 0 on the last. Opening plus lines is the closing balance. */
  openingMinor: bigint | null
}

/** The entries whose sum is the balance at a time, newest first. */
export async function explainBalance(
  sql: Statements,
  account: Balance,
  balance: BalanceAt,
  { at, clock }: { at: string; clock: Clock },
  page: { cursor: ExplanationCursor | undefined; size: number },
): Promise<Explanation> {
  if (balance.balanceMinor === null)
    return { lines: [], next: undefined, closingMinor: null, openingMinor: null }
  const { accountId } = account
  const { version, before, closingMinor } = page.cursor ?? {
    version: balance.version,
    before: account.version + 1n,
    closingMinor: balance.balanceMinor,
  }
  const backdated =
    clock === 'effective'
      ? await listBackdated(sql, accountId, { version, at, before, limit: page.size + 1 })
      : []
  const later = backdated.slice(0, page.size)
  const overflow = backdated.at(page.size)
  const below = before > version + 1n ? version + 1n : before
  const size = page.size - later.length
  const rows = overflow
    ? []
    : await listEntries(sql, accountId, { floor: 0n, before: below, limit: size + 1 })
  // The entry of the recorded version may be missing; its balance is known nevertheless.
  const top = {
    version: below - 1n,
    balanceMinor: before > version ? await balanceAfter(sql, account, version) : null,
  }
  const recorded = overflow
    ? { lines: [], before: overflow.version + 1n }
    : linesOf(rows, top, { floor: 0n, size, unknownAmounts: 'gap' })

  const lines: Line[] = [
    ...later.map((entry) => ({ entry })),
    ...recorded.lines.filter((line) => clock === 'recorded' || 'gap' in line || countsFrom(line.entry) <= at),
  ]
  const openingMinor = lines.reduce((sum, line) => sum - (amountOf(line) ?? 0n), closingMinor)
  const next =
    recorded.before === undefined
      ? undefined
      : { at, version, before: recorded.before, closingMinor: openingMinor }
  return { lines, next, closingMinor, openingMinor }
}

const balanceAfter = async (sql: Statements, account: Balance, version: bigint): Promise<bigint | null> => {
  if (version === account.version) return account.balanceMinor
  return (await findEntry(sql, account.accountId, version))?.balanceMinor ?? null
}

const findEntry = async (sql: Statements, accountId: string, version: bigint): Promise<Entry | undefined> =>
  (await listEntries(sql, accountId, { floor: version - 1n, before: version + 1n, limit: 1 }))[0]

const countsFrom = (entry: Entry): string => entry.effectiveAt ?? entry.createdAt

const amountOf = (line: Line): bigint | null =>
  'gap' in line ? line.gap.amountMinor : line.entry.amountMinor

type Checkpoint = { version: bigint; balanceMinor: bigint | null }

/**
 * Fills in gaps between `top` and `floor`, and amounts that follow from the version before. `rows`
 * are newest first, may hold one more than the page, and `floor` itself, which is not a line. An
 * entry of unknown amount is shown, or becomes a gap where lines must add up. `before` is where the
 * next page begins.
 */
export function linesOf(
  rows: readonly Entry[],
  top: Checkpoint,
  { floor, size, unknownAmounts }: { floor: bigint; size: number; unknownAmounts: 'show' | 'gap' },
): { lines: Line[]; before: bigint | undefined } {
  const lines: Line[] = []
  const gap = (above: Checkpoint, older: Checkpoint) => {
    if (older.version >= above.version) return
    const amountMinor =
      above.balanceMinor === null || older.balanceMinor === null
        ? null
        : above.balanceMinor - older.balanceMinor
    lines.push({ gap: { fromVersion: older.version + 1n, toVersion: above.version, amountMinor } })
  }
  const bottom: Checkpoint = { version: floor, balanceMinor: floor === 0n ? 0n : null }

  let above = top
  for (const [index, row] of rows.entries()) {
    if (row.version <= floor) {
      gap(above, row)
      return { lines, before: undefined }
    }
    gap(above, row)
    if (index === size) return { lines, before: row.version + 1n }

    const older = rows[index + 1]
    const { version, balanceMinor } = row
    const amountMinor =
      row.amountMinor ?? (older?.version === version - 1n ? balanceMinor - older.balanceMinor : null)
    if (amountMinor === null && unknownAmounts === 'gap') {
      gap(row, older ?? bottom)
      above = older ?? bottom
    } else {
      lines.push({ entry: { ...row, amountMinor } })
      above = {
        version: version - 1n,
        balanceMinor: amountMinor === null ? null : balanceMinor - amountMinor,
      }
    }
  }
  gap(above, bottom)
  return { lines, before: undefined }
}

const under = (version: bigint): bigint => (version > 0n ? version - 1n : 0n)
