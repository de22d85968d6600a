/** What `reconcile` prints for people. Money is in major units. */
import { inOrder, presentDifference, type Result } from '../reconcile/presentation'
import type { Report } from '../reconcile/reconcile'

export function describeReport(
  result: Result,
  { watermark, total, differences, counts, lacksKeys }: Report,
): string {
  const { entries, outbox, records, shown, waiting, behind, lag, unchecked, lost, skipped, unsigned } = counts
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
    lost > 0 &&
      `Lost: ${lost} assertions of records of earlier epochs, which the restored ledger does not have.`,
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
