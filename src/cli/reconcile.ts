/** `reconcile` at a terminal: options, report and exit code. Money is printed in major units. */
import { parseArgs } from 'node:util'
import { ConfigError, readReconcileConfig } from '../config/config'
import { presentMoney } from '../contract/money'
import { Fault, messageOf, UsageError, withoutQuery } from '../platform/fault'
import { isConnectionLost } from '../platform/postgres/failures'
import { showProgressBar } from '../platform/process/progress-bar'
import type { Difference } from '../reconcile/compare'
import { CannotCompare, type Report, reconcile } from '../reconcile/reconcile'
import type { Command } from './command'

/** By result; 2 when the comparison failed. */
const exitCodes = { clean: 0, different: 1, pending: 3 } as const
type Result = keyof typeof exitCodes

export const reconcileCommand: Command = {
  usage: 'reconcile [--wait SECONDS] [--limit DIFFERENCES] [--json]',
  about: 'compares ledger, outbox, topics and read model, and reports every difference',
  async run(args, env, signal) {
    const { json, ...options } = parseOptions(args)
    try {
      const report = await reconcile(readReconcileConfig(env), {
        ...options,
        showProgress: showProgressBar,
        signal,
      })
      const result = resultOf(report)
      console.log(json ? JSON.stringify(presentReport(result, report)) : describeReport(result, report))
      return exitCodes[result]
    } catch (error) {
      // A failed comparison must not look like a difference, whose exit code is 1.
      if (error instanceof CannotCompare || error instanceof ConfigError) console.error(error.message)
      else if (error instanceof Fault || isConnectionLost(error))
        console.error(`Comparison incomplete, run it again: ${messageOf(error)}`)
      else if (!signal.aborted) console.error(withoutQuery(error))
      return 2
    }
  },
}

function parseOptions(args: string[]): { json: boolean; waitMs: number; differencesMax: number } {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const
  const options = { json: { type: 'boolean', default: false }, wait: text('30'), limit: text('20') } as const
  const { json, wait, limit } = parseArgs({ args, options }).values
  for (const value of [wait, limit])
    if (!/^\d{1,6}$/.test(value)) throw new UsageError(`${JSON.stringify(value)} is not a whole number`)
  return { json, waitMs: Number(wait) * 1000, differencesMax: Number(limit) }
}

function resultOf({ total, counts }: Report): Result {
  if (total > 0) return 'different'
  return counts.waiting + counts.behind > 0 ? 'pending' : 'clean'
}

const presentReport = (result: Result, { watermark, total, differences, counts }: Report) => ({
  result,
  watermark,
  counts,
  differences_total: total,
  differences: inOrder(differences).map(presentDifference),
})

const places: Difference['where'][] = ['ledger', 'outbox', 'topic', 'read model']

/** Differences about the same entry are listed together. */
const inOrder = (differences: Difference[]): Difference[] =>
  differences.toSorted(
    (a, b) =>
      (a.accountId ?? '').localeCompare(b.accountId ?? '') ||
      Number((a.version ?? 0n) - (b.version ?? 0n)) ||
      places.indexOf(a.where) - places.indexOf(b.where),
  )

function presentDifference({
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

function describeReport(
  result: Result,
  { watermark, total, differences, counts, lacksKeys }: Report,
): string {
  const { entries, outbox, records, shown, waiting, behind, lag, unchecked, skipped, unsigned } = counts
  const verdicts = {
    clean: 'No difference.',
    different: `Differences: ${total}${total > differences.length ? `, ${differences.length} shown` : ''}.`,
    pending: 'No difference so far, but events are in flight: run it again, or allow more time with --wait.',
  }
  const lines = [
    ...inOrder(differences).map((difference) => describeDifference(presentDifference(difference))),
    verdicts[result],
    `Compared: ${entries} ledger entries with ${outbox} outbox events, ${records} records and ` +
      `${shown} read model entries, as of ${watermark.toISOString()}.`,
    waiting > 0 && `Pending: ${waiting} entries and notifications are in the outbox.`,
    behind > 0 && `Pending: ${behind} entries are not yet in the read model, which lags by ${lag} records.`,
    unchecked > 0 &&
      `Not checked: ${unchecked} entries and notifications (their records may be past topic retention).`,
    skipped > 0 && `Skipped: ${skipped} unreadable or unknown records.`,
    unsigned && `Not signed: ${unsigned} records, which balances does not accept.`,
    lacksKeys &&
      'Not checked: signatures, which balances requires. Set EVENTS_VERIFY and EVENTS_VERIFY_KEYS, too.',
  ]
  return lines.filter(Boolean).join('\n')
}

function describeDifference(difference: Record<string, unknown>): string {
  const {
    where,
    problem,
    account_id: account,
    version,
    transaction_id: transaction,
    event,
    place,
  } = difference
  const {
    expected,
    found,
    dead_letter: deadLetter,
    currency,
  } = difference as Record<string, Record<string, unknown>>
  const contrast = Object.entries(found ?? {}).map(
    ([name, value]) => `${name} ${value}${expected ? ` instead of ${expected[name]}` : ''}`,
  )
  const about = [
    account && `account ${account}`,
    version !== undefined && `version ${version}`,
    transaction && `transaction ${transaction}`,
  ]
  const what = [[event, place].filter(Boolean).join(' at '), problem, contrast.join(', '), deadLetter]
  const whose = about.filter(Boolean).join(', ') || (currency ?? 'record')
  return `${where}: ${whose}\n    ${what.filter(Boolean).join(': ')}`
}
