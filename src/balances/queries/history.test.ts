import { expect, test } from 'bun:test'
import type { Entry } from './entries-store'
import { linesOf } from './history'

const entry = (version: number, amount: number | null, balance: number): Entry => ({
  version: BigInt(version),
  amountMinor: amount === null ? null : BigInt(amount),
  balanceMinor: BigInt(balance),
  heldMinor: 0n,
  status: null,
  overdraftLimitMinor: null,
  transactionId: null,
  holdId: null,
  counterpartyId: null,
  actor: null,
  effectiveAt: null,
  createdAt: '2024-01-27T17:00:00.000Z',
})

type Case = {
  name: string
  rows: Entry[]
  top?: [version: number, balance: number | null]
  floor?: number
  size?: number
  shown: string
  /** Where lines must add up, if different. */
  summed?: string
  before?: bigint
}

const cases: Case[] = [
  { name: 'nothing', rows: [], top: [0, 0], shown: '' },
  { name: 'all there', rows: [entry(2, -5, 5), entry(1, 10, 10)], shown: '2:-5 1:10' },
  { name: 'none there', rows: [], top: [4, 7], shown: '[1-4:7]' },
  { name: 'the newest missing', rows: [entry(1, 10, 10)], top: [3, 7], shown: '[2-3:-3] 1:10' },
  {
    name: 'some in the middle missing',
    rows: [entry(5, 1, 9), entry(2, 3, 3), entry(1, 0, 0)],
    shown: '5:1 [3-4:5] 2:3 1:0',
  },
  { name: 'the oldest missing', rows: [entry(3, -1, 9)], shown: '3:-1 [1-2:10]' },
  {
    name: 'the balance of the newest version unknown',
    rows: [entry(1, 10, 10)],
    top: [3, null],
    shown: '[2-3:?] 1:10',
  },
  {
    name: 'an amount that follows from the version before',
    rows: [entry(2, null, 7), entry(1, 10, 10)],
    shown: '2:-3 1:10',
  },
  {
    name: 'an account that begins with an unknown amount',
    rows: [entry(1, null, 7)],
    shown: '1:?',
    summed: '[1-1:7]',
  },
  {
    name: 'an unknown amount above a gap',
    rows: [entry(5, 1, 8), entry(4, null, 7), entry(1, 10, 10)],
    shown: '5:1 4:? [2-3:?] 1:10',
    summed: '5:1 [2-4:-3] 1:10',
  },
  {
    name: 'the page ends, and the gap after it belongs to it',
    rows: [entry(5, 1, 9), entry(2, 3, 3)],
    size: 1,
    shown: '5:1 [3-4:5]',
    before: 3n,
  },
  {
    name: 'down to a floor that is there',
    rows: [entry(5, 1, 9), entry(3, 2, 6)],
    floor: 3,
    shown: '5:1 [4-4:2]',
  },
  { name: 'down to a floor that is not', rows: [entry(5, 1, 9)], floor: 3, shown: '5:1 [4-4:?]' },
]

const brief = (lines: ReturnType<typeof linesOf>['lines']) =>
  lines
    .map((line) =>
      'gap' in line
        ? `[${line.gap.fromVersion}-${line.gap.toVersion}:${line.gap.amountMinor ?? '?'}]`
        : `${line.entry.version}:${line.entry.amountMinor ?? '?'}`,
    )
    .join(' ')

test.each(cases)('$name', ({ rows, top, floor = 0, size = 10, shown, summed = shown, before }) => {
  const [version, balance] = top ?? [Number(rows[0]?.version), Number(rows[0]?.balanceMinor)]
  const newest = { version: BigInt(version), balanceMinor: balance === null ? null : BigInt(balance) }
  for (const [unknownAmounts, expected] of [
    ['show', shown],
    ['gap', summed],
  ] as const) {
    const page = linesOf(rows, newest, { floor: BigInt(floor), size, unknownAmounts })
    expect(brief(page.lines)).toBe(expected)
    expect(page.before).toBe(before)
  }
})
