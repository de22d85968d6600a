/** Parts of the list and of an account. */
import { useFormats, useMessages } from '../i18n.ts'
import { hashOf } from '../router.ts'
import { Age, Id, Money, Scroll } from '../ui.tsx'
import { isGap, type Line } from './facts.ts'
import { accountsMessages } from './messages.ts'

export const AccountLink = ({ id }: { id: string }) => (
  <a href={hashOf(['accounts', id])}>
    <Id value={id} />
  </a>
)

/** As the wallet names it; others may be added. */
export function Status({ status }: { status: string }) {
  const text = useMessages(accountsMessages)
  if (status === 'open') return <span class="good-text">{text('open_status')}</span>
  if (status === 'debits_frozen' || status === 'frozen') return <span class="warn-text">{text(status)}</span>
  return <span class="quiet-text">{status === 'closed' ? text('closed') : status}</span>
}

export function AsOf({ at }: { at: string | null }) {
  const text = useMessages(accountsMessages)
  const { time } = useFormats()
  if (at === null) return <span class="warn-text">{text('asOfUnknown')}</span>
  return (
    <span class="quiet-text">
      {text('asOf', { time: time(at) })} (<Age at={at} /> {text('ago')})
    </span>
  )
}

/** Entries, newest first, with a row where versions are missing. */
export function Lines({
  label,
  lines,
  currency,
}: {
  label: string
  lines: readonly Line[]
  currency: string
}) {
  const text = useMessages(accountsMessages)
  const { number } = useFormats()
  return (
    <Scroll label={label}>
      <table class="entries">
        <thead>
          <tr>
            <th scope="col">{text('written')}</th>
            <th scope="col" class="number">
              {text('amount')}
            </th>
            <th scope="col" class="number">
              {text('balance')}
            </th>
            <th scope="col" class="number">
              {text('held')}
            </th>
            <th scope="col">{text('counterparty')}</th>
            <th scope="col">{text('cause')}</th>
            <th scope="col" class="number">
              {text('version')}
            </th>
            <th scope="col">{text('actor')}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) =>
            isGap(line) ? (
              <tr key={`gap${line.gap.to_version}`} class="gap">
                <td class="warn-text written">
                  {text('gap', {
                    from: number(line.gap.from_version),
                    to: number(line.gap.to_version),
                  })}
                </td>
                <td class="number">
                  <Money amount={line.gap.amount} currency={currency} />
                </td>
                <td colSpan={6} />
              </tr>
            ) : (
              <EntryRow key={line.version} line={line} currency={currency} />
            ),
          )}
        </tbody>
      </table>
    </Scroll>
  )
}

function EntryRow({ line, currency }: { line: Exclude<Line, { gap: object }>; currency: string }) {
  const text = useMessages(accountsMessages)
  const { number, dateTime } = useFormats()
  const { transaction_id: transaction, counterparty_account_id: other } = line
  return (
    <tr>
      <td class="written">
        {dateTime(line.created_at)}
        {line.effective_at !== line.created_at && (
          <span class="quiet-text effective">
            {text('effectiveFrom', { time: dateTime(line.effective_at) })}
          </span>
        )}
      </td>
      <td class="number">
        <Money amount={line.amount} currency={currency} />
      </td>
      <td class="number">
        <Money amount={line.balance} currency={currency} />
      </td>
      <td class="number">
        <Money amount={line.held} currency={currency} />
      </td>
      <td>{other !== null && <AccountLink id={other} />}</td>
      <td>
        {transaction !== null && (
          <a href={hashOf(['transactions', transaction])}>
            <Id value={transaction} />
          </a>
        )}
      </td>
      <td class="number">{number(line.version)}</td>
      <td>{line.actor}</td>
    </tr>
  )
}
