/** The balance over time, as a plot and as a table. */
import { useMemo, useState } from 'preact/hooks'
import { useFormats, useMessages } from '../i18n.ts'
import { Plot } from '../plot.tsx'
import { Empty, Money, Panel, Scroll } from '../ui.tsx'
import { historyMax } from './data.ts'
import { isGap, type Line, pointsOf } from './facts.ts'
import { accountsMessages } from './messages.ts'

export function History({ lines, currency }: { lines: readonly Line[] | undefined; currency: string }) {
  const text = useMessages(accountsMessages)
  const { number, money } = useFormats()
  const { at, values } = useMemo(() => pointsOf(lines ?? []), [lines])
  const last = lines?.find((line) => !isGap(line))
  const balance = last && !isGap(last) ? last.balance : null
  const newest = balance === null ? '—' : money(balance, currency)
  const drawn = useMemo(() => [{ label: text('balance'), values, newest }], [values, newest, text('balance')])
  if (!lines) return null
  return (
    <Panel title={text('history')}>
      {at.length < 2 ? (
        <Empty title={text('historyShort')} />
      ) : (
        <>
          <Plot title={text('historyPlot')} at={at} lines={drawn} height={200} isStepped />
          {lines.length >= historyMax && (
            <p class="quiet-text">{text('historyCut', { count: number(historyMax) })}</p>
          )}
          <AsTable lines={lines} currency={currency} />
        </>
      )}
    </Panel>
  )
}

/** Made when it is opened: it may have many rows. */
function AsTable({ lines, currency }: { lines: readonly Line[]; currency: string }) {
  const text = useMessages(accountsMessages)
  const { dateTime } = useFormats()
  const [isOpen, setOpen] = useState(false)
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>{text('historyTable')}</summary>
      {isOpen && (
        <Scroll label={text('historyTable')} class="history-table">
          <table>
            <thead>
              <tr>
                <th scope="col">{text('written')}</th>
                <th scope="col" class="number">
                  {text('balance')}
                </th>
              </tr>
            </thead>
            <tbody>
              {lines.map(
                (line) =>
                  !isGap(line) && (
                    <tr key={line.version}>
                      <td>{dateTime(line.created_at)}</td>
                      <td class="number">
                        <Money amount={line.balance} currency={currency} />
                      </td>
                    </tr>
                  ),
              )}
            </tbody>
          </table>
        </Scroll>
      )}
    </details>
  )
}
