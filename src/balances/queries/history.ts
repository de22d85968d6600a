/**
 * An account's past, from its entries: what it held at a time, which entries say so, and the
 * statement. An entry has two times: when it was written (`recorded`), and from when it counts
 * (`effective`), which may be earlier. Where entries are missing, that is said, never guessed.
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

/** `amountMinor` of a gap is what its versions did together; null where that cannot be told. */
export type Gap = { fromVersion: bigint; toVersion: bigint; amountMinor: bigint | null }
export type Line = { entry: Entry } | { gap: Gap }

export type Page<Place> = { lines: Line[]; next: Place | undefined }

export type StatementPlace = { floor: bigint; before: bigint }
/**
 * `complete` where no entry of the page is missing, and none of the period may be on its way; without an end the period is what is here.
 */
export type Statement = Page<StatementPlace> & { complete: boolean }

/**
 * Entries written from `since` on and before `until`, newest first, with a gap wherever versions
 * are missing. Both as `sqlBoundOf` writes them.
 */
export async function readStatement(
  sql: Statements,
  account: Balance,
  period: { since: string | undefined; until: string | undefined },
  page: { place: StatementPlace | undefined; size: number },
  arrived: Arrived,
): Promise<Statement> {
  const { accountId } = account
  const top = page.place
    ? { version: page.place.before - 1n, balanceMinor: null }
    : await topOf(sql, account, period.until)
  // What is written after the end of the period comes behind all that was written before it.
  const isOver = page.place !== undefined || period.until === undefined || top.version < account.version
  const floor =
    page.place?.floor ?? (period.since ? await findVersionBefore(sql, accountId, period.since) : 0n)
  const rows = await listEntries(sql, accountId, {
    floor: under(floor),
    before: top.version + 1n,
    limit: page.size + 1,
  })
  const { lines, before } = linesOf(rows, top, { floor, size: page.size, unsaid: 'shown' })
  const hasArrived = isOver || arrived.untilMs >= Date.parse(period.until ?? '')
  return {
    lines,
    next: before === undefined ? undefined : { floor, before },
    complete: hasArrived && lines.every((line) => 'entry' in line),
  }
}

/** The newest version that a statement can have, and the balance it left. */
async function topOf(sql: Statements, account: Balance, until: string | undefined): Promise<Known> {
  if (until === undefined) return account
  const version = await findVersionBefore(sql, account.accountId, until)
  const next = await findEntryAfter(sql, account.accountId, version)
  if (!next) return account
  const balanceMinor = next.amountMinor === null ? null : next.balanceMinor - next.amountMinor
  return { version: next.version - 1n, balanceMinor }
}

/**
 * What has arrived of the events: all that was written until `untilMs`. `isCurrent` where of what
 * was written since nothing is known to be missing, which is as much as can be said of entries that
 * are written later and count from before.
 */
export type Arrived = { untilMs: number; isCurrent: boolean }

/** For who takes the tables as they are. */
export const allThatIsHere: Arrived = { untilMs: Number.POSITIVE_INFINITY, isCurrent: true }

export type BalanceAt = {
  /** 0 before the first entry. */
  version: bigint
  /** Null where nothing that is here tells. */
  balanceMinor: bigint | null
  heldMinor: bigint | null
  /**
   * False where entries are missing that may belong to it, or may be on their way; null where too
   * many follow to look through.
   */
  complete: boolean | null
}

/**
 * An entry that is missing may count from any time, so all that follow are looked through for one,
 * as long as there are no more than this.
 */
const followersMax = 10_000n

/**
 * By the time of writing: as the account stood, which nothing written later changes. By the time
 * from which entries count: with those that were written later and count from before, and without
 * those that count from after.
 */
export async function readBalanceAt(
  sql: Statements,
  account: Balance,
  { at, clock }: { at: string; clock: Clock },
  arrived: Arrived,
): Promise<BalanceAt> {
  const stood = await standingAt(sql, account, at, arrived)
  if (clock === 'recorded') return stood
  const followers = account.version - stood.version
  const countMax = followers > followersMax ? 0 : Number(followers)
  const shifted = await sumShifted(sql, account.accountId, { version: stood.version, at, countMax })
  const areAllHere = followers > followersMax ? null : shifted.above === BigInt(countMax)
  return {
    ...stood,
    balanceMinor:
      stood.balanceMinor === null ? null : stood.balanceMinor + shifted.laterMinor - shifted.earlierMinor,
    complete: stood.complete && arrived.isCurrent && areAllHere,
  }
}

async function standingAt(
  sql: Statements,
  account: Balance,
  at: string,
  arrived: Arrived,
): Promise<BalanceAt> {
  // Otherwise a later entry is here: what is not here and was written before is a gap.
  if (account.updatedAt <= at || account.version === 0n)
    return { ...pick(account), complete: arrived.untilMs >= Date.parse(at) }
  const version = await findVersionAt(sql, account.accountId, at)
  const next = await findEntryAfter(sql, account.accountId, version)
  const complete = (next ?? account).version === version + 1n
  if (version > 0n) {
    const [row] = await listEntries(sql, account.accountId, {
      floor: version - 1n,
      before: version + 1n,
      limit: 1,
    })
    return { ...pick(row as Entry), complete }
  }
  // An account begins at nothing, unless its first entry does not say what it added.
  const isBefore = complete && next !== undefined && next.amountMinor !== null
  const minor = isBefore ? 0n : null
  return { version: 0n, balanceMinor: minor, heldMinor: minor, complete: isBefore }
}

const pick = ({ version, balanceMinor, heldMinor }: Balance | Entry) => ({ version, balanceMinor, heldMinor })

/**
 * `version` is where the account stood by the time of writing; `closingMinor` what the lines of this page and of those after it add up to.
 */
export type ExplanationPlace = { at: string; version: bigint; before: bigint; closingMinor: bigint }

export type Explanation = Page<ExplanationPlace> & {
  closingMinor: bigint | null
  /** What the lines of later pages add up to: 0 on the last. Opening and lines are the closing balance. */
  openingMinor: bigint | null
}

/** The entries that add up to a balance at a time, newest first. */
export async function explainBalance(
  sql: Statements,
  account: Balance,
  balance: BalanceAt,
  { at, clock }: { at: string; clock: Clock },
  page: { place: ExplanationPlace | undefined; size: number },
): Promise<Explanation> {
  if (balance.balanceMinor === null)
    return { lines: [], next: undefined, closingMinor: null, openingMinor: null }
  const { accountId } = account
  const { version, before, closingMinor } = page.place ?? {
    version: balance.version,
    before: account.version + 1n,
    closingMinor: balance.balanceMinor,
  }
  const backdated =
    clock === 'effective'
      ? await listBackdated(sql, accountId, { version, at, before, limit: page.size + 1 })
      : []
  const taken = backdated.slice(0, page.size)
  const rest = backdated.at(page.size)
  const below = before > version + 1n ? version + 1n : before
  const size = page.size - taken.length
  const rows = rest ? [] : await listEntries(sql, accountId, { floor: 0n, before: below, limit: size + 1 })
  // The version it stands at may have no entry here; its balance is known nevertheless.
  const top = {
    version: below - 1n,
    balanceMinor: before > version ? await standing(sql, account, version) : null,
  }
  const stood = rest
    ? { lines: [], before: rest.version + 1n }
    : linesOf(rows, top, { floor: 0n, size, unsaid: 'gap' })

  const lines: Line[] = [
    ...taken.map((entry) => ({ entry })),
    ...stood.lines.filter((line) => clock === 'recorded' || 'gap' in line || countsFrom(line.entry) <= at),
  ]
  const openingMinor = lines.reduce((sum, line) => sum - (amountOf(line) ?? 0n), closingMinor)
  const next =
    stood.before === undefined ? undefined : { at, version, before: stood.before, closingMinor: openingMinor }
  return { lines, next, closingMinor, openingMinor }
}

const standing = async (sql: Statements, account: Balance, version: bigint): Promise<bigint | null> => {
  if (version === account.version) return account.balanceMinor
  const [row] = await listEntries(sql, account.accountId, {
    floor: under(version),
    before: version + 1n,
    limit: 1,
  })
  return row?.balanceMinor ?? null
}

const countsFrom = (entry: Entry): string => entry.effectiveAt ?? entry.createdAt

const amountOf = (line: Line): bigint | null =>
  'gap' in line ? line.gap.amountMinor : line.entry.amountMinor

type Known = { version: bigint; balanceMinor: bigint | null }

/**
 * Puts gaps where versions are missing between `top` and `floor`, and amounts where they follow
 * from the version before. `rows` are newest first, may reach one beyond the page, and down to
 * `floor` itself, which is not shown. An entry of an amount that nobody knows is shown so, or is a
 * gap, for those who add up. `before` is where the next page begins.
 */
export function linesOf(
  rows: readonly Entry[],
  top: Known,
  { floor, size, unsaid }: { floor: bigint; size: number; unsaid: 'shown' | 'gap' },
): { lines: Line[]; before: bigint | undefined } {
  const lines: Line[] = []
  const gap = (above: Known, older: Known) => {
    if (older.version >= above.version) return
    const amountMinor =
      above.balanceMinor === null || older.balanceMinor === null
        ? null
        : above.balanceMinor - older.balanceMinor
    lines.push({ gap: { fromVersion: older.version + 1n, toVersion: above.version, amountMinor } })
  }
  const bottom: Known = { version: floor, balanceMinor: floor === 0n ? 0n : null }

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
    if (amountMinor === null && unsaid === 'gap') {
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
