/** Account history on a real database, compared with a model of plain lists. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { openDatabase } from '../../platform/postgres/database'
import { backing } from '../../testing/backing'
import { casesOf, seeded } from '../../testing/random'
import { parseBound } from '../http/values'
import { applyProjection } from '../projection/apply-store'
import type { BalanceRow, EntryRow } from '../projection/types'
import type { Clock, ExplanationCursor, Line, StatementCursor } from './history'
import { openReads, type Reads } from './queries'

async function openBalances() {
  const { url } = await (await backing()).createDatabase('balances', 'balances')
  const database = openDatabase({ url, poolMax: 4, prepare: true, applicationName: 'test' })
  const record = (balances: BalanceRow[], entries: EntryRow[]) =>
    applyProjection(database.sql, (sql) => sql`select true`, {
      balances,
      entries,
      clients: [],
      deadLetters: [],
    })
  return { ...database, reads: openReads(database), record, [Symbol.asyncDispose]: () => database.close() }
}

const day = (number: number) => new Date(Date.UTC(2024, 0, 1 + number)).toISOString()

type Step = { amount: number; days: number; backBy: number; isMissing: boolean }
const step: fc.Arbitrary<Step> = fc.record({
  amount: fc.integer({ min: -50, max: 50 }),
  days: fc.integer({ min: 0, max: 3 }),
  backBy: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -3, max: 20 })),
  isMissing: fc.boolean(),
})

type History = { account: BalanceRow; all: EntryRow[]; known: EntryRow[] }

/** Without gaps if `dense`. */
function historyOf(accountId: string, steps: Step[], dense: boolean): History {
  let balanceMinor = 0n
  let today = 10
  const all = steps.map(({ amount, days, backBy }, index): EntryRow => {
    balanceMinor += BigInt(amount)
    today += days
    return {
      accountId,
      version: BigInt(index + 1),
      amountMinor: BigInt(amount),
      balanceMinor,
      heldMinor: BigInt(index),
      status: null,
      overdraftLimitMinor: null,
      transactionId: `${accountId}-${index + 1}`,
      holdId: null,
      counterpartyId: 'world',
      actor: null,
      effectiveAt: backBy === 0 ? null : day(today - backBy),
      createdAt: day(today),
    }
  })
  const account = {
    accountId,
    clientId: 'client',
    currency: 'JPY',
    balanceMinor,
    heldMinor: BigInt(Math.max(0, all.length - 1)),
    status: 'open',
    overdraftLimitMinor: null,
    openingLimitMinor: null,
    version: BigInt(all.length),
    source: null,
    opened: true,
    createdAt: day(0),
    updatedAt: day(all.length > 0 ? today : 0),
  }
  return { account, all, known: dense ? all : all.filter((_, index) => !steps[index]?.isMissing) }
}

const effectiveAtOf = (entry: EntryRow) => entry.effectiveAt ?? entry.createdAt

/** Balance at a time, of a history without gaps. */
const modelBalance = ({ all }: History, at: string, clock: Clock) =>
  all
    .filter((entry) => (clock === 'recorded' ? entry.createdAt : effectiveAtOf(entry)) <= at)
    .reduce((sum, entry) => sum + (entry.amountMinor ?? 0n), 0n)

async function explainAll(reads: Reads, accountId: string, at: string, clock: Clock, size: number) {
  const lines: Line[] = []
  let cursor: ExplanationCursor | undefined
  for (;;) {
    const found = await reads.explanation(accountId, { at, clock }, { cursor, size })
    if (!found) throw new Error('not found')
    const { balance, explanation } = found
    lines.push(...explanation.lines)
    expect(explanation.lines.length).toBeLessThanOrEqual(2 * size + 1)
    if (!explanation.next) return { lines, balance, openingMinor: explanation.openingMinor }
    cursor = explanation.next
  }
}

const sumOf = (lines: Line[]) =>
  lines.reduce(
    (sum, line) => sum + (('gap' in line ? line.gap.amountMinor : line.entry.amountMinor) ?? 0n),
    0n,
  )

test(
  '1,000 times: an explanation adds up to the balance, on both clocks, with gaps',
  seeded(async (random) => {
    await using database = await openBalances()
    const { reads } = database
    const samples = fc.sample(fc.array(step, { maxLength: 30 }), { numRuns: 40 })
    const histories = samples.map((steps, index) => historyOf(`account-${index}`, steps, index % 2 === 0))
    for (const { account, known } of histories)
      await database.record(
        [account],
        [...known].sort(() => random() - 0.5),
      )

    let explained = 0
    for (let turn = 0; turn < 1000; turn++) {
      const number = Math.floor(random() * histories.length)
      const history = histories[number] as History
      const { accountId } = history.account
      const at = day(Math.floor(random() * 70))
      const clock = turn % 2 === 0 ? 'recorded' : 'effective'
      const size = 1 + Math.floor(random() * 5)
      const where = `${accountId} at ${at}, ${clock}`

      const { lines, balance, openingMinor } = await explainAll(reads, accountId, at, clock, size)
      const found = await reads.balanceAt(accountId, { at, clock })
      expect(balance, where).toEqual(found?.balance as never)
      if (number % 2 === 0)
        expect([balance.balanceMinor, balance.complete], where).toEqual([
          modelBalance(history, at, clock),
          true,
        ])
      if (balance.balanceMinor === null) continue
      explained++
      expect(sumOf(lines), where).toBe(balance.balanceMinor)
      expect(openingMinor, where).toBe(0n)

      const entries = lines.flatMap((line) => ('entry' in line ? [line.entry] : []))
      const versions = entries.map((entry) => entry.version)
      expect(versions, where).toEqual([...new Set(versions)].sort((a, b) => Number(b - a)))
      if (number % 2 === 1) continue
      const expected = history.all.filter(
        (entry) => (clock === 'recorded' ? entry.createdAt : effectiveAtOf(entry)) <= at,
      )
      expect(versions.toReversed(), where).toEqual(expected.map((entry) => entry.version))
    }
    expect(explained).toBeGreaterThan(700)
  }),
)

async function readAllPages(
  reads: Reads,
  accountId: string,
  period: { since?: string; until?: string },
  size: number,
) {
  const pages: Line[][] = []
  let cursor: StatementCursor | undefined
  for (;;) {
    const found = await reads.statement(
      accountId,
      { since: period.since, until: period.until },
      { cursor, size },
    )
    if (!found) throw new Error('not found')
    pages.push(found.statement.lines)
    if (!found.statement.next) return pages
    cursor = found.statement.next
  }
}

test('a statement has every entry of its period once, newest first, and gaps for missing ones', async () => {
  await using database = await openBalances()
  let number = 0
  const time = fc.option(fc.integer({ min: 0, max: 70 }), { nil: undefined })
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 20 }),
      time,
      time,
      fc.integer({ min: 1, max: 5 }),
      async (steps, since, until, size) => {
        const history = historyOf(`account-${number++}`, steps, false)
        const { accountId, version, balanceMinor } = history.account
        await database.record([history.account], history.known)
        const period = {
          ...(since === undefined ? {} : { since: day(since) }),
          ...(until === undefined ? {} : { until: day(until) }),
        }
        const pages = await readAllPages(database.reads, accountId, period, size)
        const lines = pages.flat()
        const entries = lines.flatMap((line) => ('entry' in line ? [line.entry] : []))
        const expected = history.known.filter(
          ({ createdAt }) => !(createdAt < (period.since ?? '')) && createdAt < (period.until ?? '9'),
        )
        expect(entries).toEqual(expected.toReversed().map(({ accountId: _, ...entry }) => entry))
        for (const page of pages.slice(0, -1))
          expect(page.filter((line) => 'entry' in line)).toHaveLength(size)
        if (since !== undefined || until !== undefined) return

        // Every version is an entry or in a gap, and all of them sum to the balance.
        const covered = lines.flatMap((line) => {
          if ('entry' in line) return [Number(line.entry.version)]
          const { fromVersion, toVersion } = line.gap
          return Array.from(
            { length: Number(toVersion - fromVersion) + 1 },
            (_, index) => Number(toVersion) - index,
          )
        })
        expect(covered).toEqual(
          Array.from({ length: Number(version) }, (_, index) => Number(version) - index),
        )
        expect(sumOf(lines)).toBe(balanceMinor)
      },
    ),
    { numRuns: casesOf(150) },
  )
})

test('entries that arrive between pages neither repeat nor hide any', async () => {
  await using database = await openBalances()
  const steps = Array.from({ length: 9 }, () => ({ amount: 1, days: 1, backBy: 0, isMissing: false }))
  const before = historyOf('a', steps.slice(0, 6), true)
  const after = historyOf('a', steps, true)
  await database.record([before.account], before.known)
  const first = await database.reads.statement(
    'a',
    { since: undefined, until: undefined },
    { cursor: undefined, size: 4 },
  )
  await database.record([after.account], after.known)
  const cursor = first?.statement.next
  const second = await database.reads.statement(
    'a',
    { since: undefined, until: undefined },
    { cursor, size: 4 },
  )
  const versions = [first, second].flatMap(
    (page) =>
      page?.statement.lines.map((line) => ('entry' in line ? Number(line.entry.version) : line)) ?? [],
  )
  expect(versions).toEqual([6, 5, 4, 3, 2, 1])
})

test('missing entries are reported, never guessed', async () => {
  await using database = await openBalances()
  const { reads } = database
  const steps = Array.from({ length: 4 }, () => ({ amount: 10, days: 1, backBy: 0, isMissing: false }))
  const { account, all } = historyOf('a', steps, true)
  await database.record([account], [all[3] as EntryRow])
  const at = async (number: number, clock: Clock = 'recorded') =>
    (await reads.balanceAt('a', { at: day(number), clock }))?.balance
  expect(await at(14)).toMatchObject({ balanceMinor: 40n, version: 4n, complete: true })
  expect(await at(13)).toMatchObject({ balanceMinor: null, complete: false })
  expect(await at(14, 'effective')).toMatchObject({ balanceMinor: 40n, complete: true })

  await database.record([], [all[1] as EntryRow])
  expect(await at(12)).toMatchObject({ balanceMinor: 20n, version: 2n, complete: false })
  expect(await at(9)).toMatchObject({ balanceMinor: null, complete: false })
  await database.record([], [all[0] as EntryRow, all[2] as EntryRow])
  expect(await at(13)).toMatchObject({ balanceMinor: 30n, version: 3n, complete: true })
  expect(await at(9)).toMatchObject({ balanceMinor: 0n, version: 0n, complete: true })
  expect(await reads.balanceAt('unknown', { at: day(1), clock: 'recorded' })).toBeUndefined()
})

test('periods work with any number of fraction digits, and at the ends of the calendar', async () => {
  await using database = await openBalances()
  const { account, all } = historyOf(
    'eva',
    [1, 2, 3].map((amount) => ({ amount, days: 1, backBy: 0, isMissing: false })),
    true,
  )
  await database.record([account], all)
  const time = day(12).slice(0, -5)
  const versions = async (period: { since?: string; until?: string }) => {
    const limits = { since: parseBound('since', period.since), until: parseBound('until', period.until) }
    const found = await database.reads.statement('eva', limits, { cursor: undefined, size: 10 })
    return found?.statement.lines.flatMap((line) => ('entry' in line ? [Number(line.entry.version)] : []))
  }
  expect(await versions({ since: `${time}Z` })).toEqual([3, 2])
  expect(await versions({ until: `${time}Z` })).toEqual([1])
  for (const digits of ['0001', '00000000001', '999999']) {
    expect([digits, await versions({ since: `${time}.${digits}Z` })]).toEqual([digits, [3]])
    expect([digits, await versions({ until: `${time}.${digits}Z` })]).toEqual([digits, [2, 1]])
  }
  expect(await versions({ since: '0001-01-01T00:00:00Z', until: '9999-12-31T23:59:59.99999Z' })).toEqual([
    3, 2, 1,
  ])
  expect(await versions({ until: '0001-01-01T00:00:00Z' })).toEqual([])
  expect(await versions({ since: '9999-12-31T23:59:59.99999Z' })).toEqual([])
})
