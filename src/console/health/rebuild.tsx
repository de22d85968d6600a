/** The rebuild of the read model: started, watched and swapped from here. */
import { useState } from 'preact/hooks'
import type { NoRebuild, Rebuild } from '../../client/types.ts'
import { call, newKey } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { usePolled } from '../poll.ts'
import { Failure, Panel } from '../ui.tsx'
import { healthMessages } from './messages.ts'

const everyMs = 1000
const actions = ['start', 'swap', 'rollback', 'cancel'] as const
type Action = (typeof actions)[number]

/** What may be asked for in a state. The service decides: this only hides what it would refuse. */
export function actionsIn(state: string): readonly Action[] {
  if (state === 'building') return ['cancel']
  if (state === 'ready' || state === 'refused') return ['swap', 'cancel']
  if (state === 'swapped') return ['start', 'rollback']
  return ['start']
}

export function RebuildPanel() {
  const text = useMessages(healthMessages)
  const { value, error, again } = usePolled(() => call<Rebuild | NoRebuild>('balances', '/rebuild'), everyMs)
  const [failure, setFailure] = useState<unknown>()
  const ask = async (action: Action) => {
    setFailure(undefined)
    const headers = { 'idempotency-key': `"${newKey()}"` }
    await call('balances', '/rebuild', { method: 'POST', headers, body: { action } }).catch(setFailure)
    again()
  }
  const names = {
    start: text('rebuildStart'),
    swap: text('rebuildSwap'),
    rollback: text('rebuildRollback'),
    cancel: text('rebuildCancel'),
  }
  const buttons = actionsIn(value?.state ?? 'none').map((action) => (
    <button
      key={action}
      type="button"
      class={action === 'start' || action === 'swap' ? '' : 'quiet'}
      onClick={() => ask(action)}
    >
      {names[action]}
    </button>
  ))
  return (
    <Panel title={text('rebuild')} id="rebuild" actions={value && buttons}>
      <p class="quiet-text">{text('rebuildText')}</p>
      {error !== undefined && <Failure error={error} />}
      {failure !== undefined && <Failure error={failure} />}
      {value && <Progress rebuild={value} />}
    </Panel>
  )
}

function Progress({ rebuild }: { rebuild: Rebuild | NoRebuild }) {
  const text = useMessages(healthMessages)
  const { number, duration, dateTime } = useFormats()
  if (!('records' in rebuild)) return <p>{text('rebuildNone')}</p>
  const { state, records, per_second, seconds_left, divergence, message, started_at, ended_at } = rebuild
  const isSame = divergence && divergence.accounts + divergence.entries + divergence.clients === 0
  const values = { done: number(records.done), total: number(records.total), rate: number(per_second) }
  return (
    <>
      <p>
        <strong>{state}</strong> · {dateTime(ended_at ?? started_at)} · {text('rebuildProgress', values)}
        {ended_at === null && seconds_left !== null && (
          <> · {text('rebuildLeft', { time: duration(seconds_left * 1000) })}</>
        )}
      </p>
      <progress aria-label={text('rebuild')} max={Math.max(1, records.total)} value={records.done} />
      {message && <p>{message}</p>}
      {divergence &&
        (isSame ? (
          <p class="good-text">{text('rebuildSame')}</p>
        ) : (
          <>
            <p class="warn-text">{text('rebuildDiff', { ...divergence, examples: '' })}</p>
            <ul>
              {divergence.examples.map((example) => (
                <li key={example}>{example}</li>
              ))}
            </ul>
          </>
        ))}
    </>
  )
}
