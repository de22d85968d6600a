/** What reconcile found, as JSON: money in major units, names with underscores. Pure. */
import { presentMoney } from '../contract/money'
import type { Difference } from './compare'
import type { Report } from './reconcile'

export const results = ['clean', 'different', 'pending'] as const
export type Result = (typeof results)[number]

export function resultOf({ total, counts }: Report): Result {
  if (total > 0) return 'different'
  return counts.waiting + counts.behind > 0 ? 'pending' : 'clean'
}

const places: Difference['where'][] = ['ledger', 'outbox', 'topic', 'read model']

/** Differences about the same entry are listed together. */
export const inOrder = (differences: Difference[]): Difference[] =>
  differences.toSorted(
    (a, b) =>
      (a.accountId ?? '').localeCompare(b.accountId ?? '') ||
      Number((a.version ?? 0n) - (b.version ?? 0n)) ||
      places.indexOf(a.where) - places.indexOf(b.where),
  )

export function presentDifference({
  currency,
  expected,
  found,
  ...difference
}: Difference): Record<string, unknown> {
  const present = (fields: object) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [nameOf(name), shownAs(name, value, currency)]),
    )
  return {
    ...present({ ...difference, currency }),
    ...(expected && { expected: present(expected) }),
    ...(found && { found: present(found) }),
  }
}

/** `balanceMinor` is `balance` in major units, `accountId` is `account_id`. */
const nameOf = (name: string): string =>
  name.replace(/Minor$/, '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

function shownAs(name: string, value: unknown, currency: unknown): unknown {
  if (typeof value !== 'bigint') return value
  if (!name.endsWith('Minor')) return Number(value)
  return (typeof currency === 'string' ? presentMoney(value, currency) : null) ?? `${value} minor units`
}
