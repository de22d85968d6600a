/** `reconcile` at a terminal: options, report and exit code. Money is printed in major units. */
import { ConfigError, readReconcileConfig } from '../config/config'
import { integer } from '../config/parsers'
import { presentMoney } from '../contract/money'
import { Fault, messageOf, withoutQuery } from '../platform/fault'
import { isConnectionLost } from '../platform/postgres/failures'
import { showProgressBar } from '../platform/process/progress-bar'
import type { Difference } from '../reconcile/compare'
import { CannotCompare, type Report, reconcile } from '../reconcile/reconcile'
import { defineCommand } from './command'
import { exitCodes } from './exit-codes'
import { valueOr } from './options'

/** By result; 2 when the comparison failed. */
const exitsOfResults = { clean: exitCodes.done, different: exitCodes.failed, pending: exitCodes.undecided }
type Result = keyof typeof exitsOfResults

export const reconcileCommand = defineCommand({
  about: 'compares ledger, outbox, topics and read model, and reports every difference',
  options: {
    wait: valueOr(
      '30',
      'SECONDS',
      'how long the read side may take to catch up; 0 does not wait',
      integer(0, 86_400),
    ),
    limit: valueOr(
      '20',
      'DIFFERENCES',
      'how many to show of each source; all are counted',
      integer(0, 100_000),
    ),
  },
  examples: ['saldo reconcile --json --wait 0'],
  json: {
    example: {
      result: 'clean',
      watermark: '2026-01-31T00:00:00.000Z',
      counts: {},
      differences_total: 0,
      differences: [],
    },
  },
  exits: {
    done: 'No difference.',
    failed: 'Differences.',
    usage: 'Wrong usage; or nothing was compared: a database or the broker is down, or a setting is missing.',
    undecided: 'No difference so far, but events are in flight.',
  },
  interrupted: 'Reconcile only reads. Nothing was reported.',
  async run({ wait, limit }, { env, signal, json, print }) {
    try {
      const report = await reconcile(readReconcileConfig(env), {
        ...{ waitMs: wait * 1000, differencesMax: limit },
        showProgress: showProgressBar,
        signal,
      })
      const result = resultOf(report)
      await print(json ? JSON.stringify(presentReport(result, report)) : describeReport(result, report))
      return exitsOfResults[result]
    } catch (error) {
      // A failed comparison must not look like a difference, whose exit code is 1.
      if (error instanceof CannotCompare || error instanceof ConfigError) console.error(error.message)
      else if (error instanceof Fault || isConnectionLost(error))
        console.error(`Comparison incomplete, run it again: ${messageOf(error)}`)
      else if (!signal.aborted) console.error(withoutQuery(error))
      return exitCodes.usage
    }
  },
})

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
