/** Dead letters by cause, with what a redrive would come to before it is done. */
import { useState } from 'preact/hooks'
import type { DeadLetterGroup, Redrive } from '../../client/types.ts'
import { call, newKey } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { Copyable, Failure, Panel, useLoaded } from '../ui.tsx'
import { type HealthMessage, healthMessages } from './messages.ts'

const outcomes = ['applied', 'skipped', 'superseded', 'still_failing', 'gone'] as const

/** `newest` is how many there are, as far as that is known: they are read again when it changes. */
export function DeadLetters({ newest }: { newest: number | undefined }) {
  const text = useMessages(healthMessages)
  const { value, error, reload } = useLoaded(
    () => call<{ data: DeadLetterGroup[] }>('balances', '/dead-letters/causes'),
    [newest],
  )
  const groups = value?.data ?? []
  return (
    <Panel title={text('letters')} tone={groups.length > 0 ? 'warn' : undefined} id="dead-letters">
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {value && groups.length === 0 && <p class="quiet-text">{text('noLetters')}</p>}
      {groups.map((group) => (
        <Letters key={`${group.topic} ${group.cause}`} group={group} onDone={reload} />
      ))}
    </Panel>
  )
}

function Letters({ group, onDone }: { group: DeadLetterGroup; onDone: () => void }) {
  const text = useMessages(healthMessages)
  const { number, dateTime } = useFormats()
  const { cause, topic, count, first_recorded_at, last_recorded_at, example_id } = group
  const [isShown, setShown] = useState(false)
  return (
    <article class="letters">
      <h3>
        {cause} · {topic}
      </h3>
      <dl class="facts">
        <dt>{text('count')}</dt>
        <dd>{number(count)}</dd>
        <dt>{text('first')}</dt>
        <dd>{dateTime(first_recorded_at)}</dd>
        <dt>{text('last')}</dt>
        <dd>{dateTime(last_recorded_at)}</dd>
      </dl>
      <button type="button" class="quiet" aria-expanded={isShown} onClick={() => setShown(!isShown)}>
        {text('example')}: {text(isShown ? 'hide' : 'show')}
      </button>
      {isShown && <Letter id={example_id} />}
      <RedriveButtons cause={cause} topic={topic} onDone={onDone} />
    </article>
  )
}

function Letter({ id }: { id: string }) {
  const { value, error } = useLoaded(() => call('balances', `/dead-letters/${encodeURIComponent(id)}`), [id])
  if (error !== undefined) return <Failure error={error} />
  return value ? <Copyable value={JSON.stringify(value, null, 2)} /> : <p>…</p>
}

function RedriveButtons({ cause, topic, onDone }: { cause: string; topic: string; onDone: () => void }) {
  const text = useMessages(healthMessages)
  const [state, setState] = useState<{ said?: string; error?: unknown; isBusy?: boolean }>({})
  const run = async (dryRun: boolean) => {
    setState({ isBusy: true })
    try {
      const { counts, next_cursor } = await call<Redrive>('balances', '/dead-letters/redrive', {
        method: 'POST',
        headers: { 'idempotency-key': `"${newKey()}"` },
        body: { cause, topic, ...(dryRun && { dry_run: true }) },
      })
      const came = describeCounts(counts, text)
      const said = text(dryRun ? 'dryRunResult' : 'redriveResult', { counts: came })
      setState({ said: next_cursor === null ? said : `${said}. ${text('redriveMore')}` })
      if (!dryRun) onDone()
    } catch (error) {
      setState({ error })
    }
  }
  return (
    <div class="redrive">
      <button type="button" class="quiet" disabled={state.isBusy} onClick={() => run(true)}>
        {text('dryRun')}
      </button>{' '}
      <button type="button" disabled={state.isBusy} onClick={() => run(false)}>
        {text('redrive')}
      </button>
      <p role="status">{state.said}</p>
      {state.error !== undefined && <Failure error={state.error} />}
    </div>
  )
}

function describeCounts(
  counts: Redrive['counts'],
  text: (key: HealthMessage, values?: Record<string, string | number>) => string,
): string {
  const parts = outcomes.flatMap((outcome) => (counts[outcome] ? text(outcome, { n: counts[outcome] }) : []))
  return parts.join(', ') || text('nothing')
}
