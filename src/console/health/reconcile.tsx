/** The last reports of reconcile: do both sides agree? */
import type { Reconciliation } from '../../client/types.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { Copyable, Failure, Panel, Scroll } from '../ui.tsx'
import { healthMessages } from './messages.ts'

type Props = { reports: readonly Reconciliation[] | undefined; error: unknown }

export function ReconcilePanel({ reports, error }: Props) {
  const text = useMessages(healthMessages)
  const { dateTime } = useFormats()
  if (!reports || reports.length === 0)
    return (
      <Panel title={text('reconcile')}>
        {error !== undefined ? (
          <Failure error={error} />
        ) : (
          <>
            <p>{text('reconcileNone')}</p>
            <Copyable value="npm run reconcile -- --store" />
          </>
        )}
      </Panel>
    )
  return (
    <Panel title={text('reconcile')} tone={reports[0]?.result === 'different' ? 'bad' : undefined}>
      <Scroll label={text('reconcile')}>
        <table>
          <thead>
            <tr>
              <th>{text('watermark')}</th>
              <th>{text('result')}</th>
              <th>{text('signed')}</th>
            </tr>
          </thead>
          <tbody>
            {reports.map(({ id, watermark, result, differences_total, signed_by }) => (
              <tr key={id}>
                <td>{dateTime(watermark)}</td>
                <td class={result === 'different' ? 'bad-text' : ''}>
                  {text(result, { n: differences_total })}
                </td>
                <td>{text(signed_by === null ? 'no' : 'yes')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  )
}
