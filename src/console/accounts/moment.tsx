/** What an account held at a time, which is in the address. */
import { useFormats, useMessages } from '../i18n.ts'
import { navigate } from '../router.ts'
import { Failure, Money, Panel, useLoaded } from '../ui.tsx'
import { read, useSettled } from './data.ts'
import {
  accountPath,
  type Balance,
  type Clock,
  fromLocalField,
  stepOf,
  stepsMax,
  timeOfStep,
  toLocalField,
} from './facts.ts'
import { accountsMessages } from './messages.ts'

/** As `GET /balances/{account_id}?at=` answers. By effective time it has only the balance. */
type BalanceAt = {
  at: string
  balance: string | null
  held?: string | null
  available?: string | null
  version?: number
  complete: boolean | null
}

type Props = { id: string; balance: Balance; at: string | undefined; clock: Clock }

/** How long the slider has to rest, in milliseconds. */
const settleMs = 120

export function PointInTime({ id, balance, at, clock }: Props) {
  const text = useMessages(accountsMessages)
  const { dateTime } = useFormats()
  const [fromMs, toMs] = [Date.parse(balance.created_at), Date.now()]
  const choose = (chosen: { at?: string | undefined; time?: string }, replace = false) => {
    const { at: nextAt = at, time = clock } = chosen
    navigate(['accounts', id], { at: nextAt, ...(time === 'effective' && { time }) }, { replace })
  }
  const shownMs = at === undefined ? toMs : Date.parse(at)
  return (
    <Panel
      title={text('moment')}
      id="moment"
      actions={
        at !== undefined && (
          <button type="button" class="quiet" onClick={() => navigate(['accounts', id])}>
            {text('toNow')}
          </button>
        )
      }
    >
      <p class="quiet-text">{text('momentText')}</p>
      <label class="slider">
        {text('slider')}
        <input
          type="range"
          min={0}
          max={stepsMax}
          value={Number.isNaN(shownMs) ? stepsMax : stepOf(shownMs, fromMs, toMs)}
          aria-valuetext={Number.isNaN(shownMs) ? text('now') : dateTime(shownMs)}
          onInput={({ currentTarget }) =>
            choose({ at: timeOfStep(Number(currentTarget.value), fromMs, toMs) }, true)
          }
        />
      </label>
      <div class="row">
        <label>
          {text('date')}
          <input
            type="datetime-local"
            step={1}
            value={at === undefined ? '' : toLocalField(at)}
            onChange={({ currentTarget }) => {
              const chosen = fromLocalField(currentTarget.value)
              if (chosen) choose({ at: chosen })
            }}
          />
        </label>
        <label>
          {text('clock')}
          <select value={clock} onChange={({ currentTarget }) => choose({ time: currentTarget.value })}>
            <option value="recorded">{text('recorded')}</option>
            <option value="effective">{text('effective')}</option>
          </select>
        </label>
      </div>
      {at !== undefined && <Then id={id} currency={balance.currency} at={at} clock={clock} />}
    </Panel>
  )
}

function Then({ id, currency, ...asked }: { id: string; currency: string; at: string; clock: Clock }) {
  const text = useMessages(accountsMessages)
  const { dateTime, number } = useFormats()
  const path = useSettled(accountPath(id, '', { at: asked.at, time: asked.clock }), settleMs)
  const { value, error, reload } = useLoaded((signal) => read<BalanceAt>(path, signal), [path])
  if (error) return <Failure error={error} onRetry={reload} />
  if (!value) return null
  const { at, balance, held, available, version, complete } = value.body
  return (
    <div class="then" aria-live="polite">
      <p class="amount-now">
        <span class="quiet-text">{text('atTime', { time: dateTime(at) })}</span>{' '}
        <Money amount={balance} currency={currency} />
      </p>
      {balance === null && <p class="warn-text">{text('unknownBalance')}</p>}
      <dl class="facts">
        {available !== undefined && (
          <>
            <dt>{text('available')}</dt>
            <dd>
              <Money amount={available} currency={currency} />
            </dd>
          </>
        )}
        {held !== undefined && (
          <>
            <dt>{text('held')}</dt>
            <dd>
              <Money amount={held} currency={currency} />
            </dd>
          </>
        )}
        {version !== undefined && (
          <>
            <dt>{text('version')}</dt>
            <dd>{number(version)}</dd>
          </>
        )}
      </dl>
      <p class={complete ? 'quiet-text' : 'warn-text'}>
        {text(complete === null ? 'completeUnknown' : complete ? 'complete' : 'incomplete')}
      </p>
    </div>
  )
}
