/** The entries that add up to the balance, now or at a time, and their sum. */
import { useState } from 'preact/hooks'
import { useFormats, useMessages } from '../i18n.ts'
import { Copyable, Failure, Money, Panel, useLoaded } from '../ui.tsx'
import { type Page, read, useSettled } from './data.ts'
import { accountPath, addsUp, type Clock, formulaOf, type Line } from './facts.ts'
import { accountsMessages } from './messages.ts'
import { Lines } from './parts.tsx'
import { Pages } from './statement.tsx'

type Explained = Page<Line> & { at: string; closing: string | null; opening: string | null }
type Props = { id: string; currency: string; at: string | undefined; clock: Clock; version: number }

const [pageSize, settleMs] = [20, 120]

/** Use it under a `key` of time and clock: a cursor belongs to them. */
export function Explanation({ id, currency, at, clock, version }: Props) {
  const text = useMessages(accountsMessages)
  const { dateTime } = useFormats()
  const [cursor, setCursor] = useState<string>()
  const asked = { limit: String(pageSize), at, ...(at !== undefined && { time: clock }), cursor }
  const path = useSettled(accountPath(id, '/explain', asked), settleMs)
  const follows = at === undefined && cursor === undefined
  const { value, error, reload } = useLoaded(
    (signal) => read<Explained>(path, signal),
    [path, follows && version],
  )
  const explained = value?.body
  return (
    <Panel title={text('explain')} id="explain">
      <p class="quiet-text">
        {at === undefined || !explained
          ? text('explainNow')
          : text('explainThen', { time: dateTime(explained.at) })}
      </p>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {explained && (
        <>
          <Sum explained={explained} currency={currency} />
          {explained.data.length > 0 && (
            <Lines label={text('explain')} lines={explained.data} currency={currency} />
          )}
          <Pages next={explained.next_cursor} isFirst={cursor === undefined} onChange={setCursor} />
        </>
      )}
    </Panel>
  )
}

function Sum({ explained, currency }: { explained: Explained; currency: string }) {
  const text = useMessages(accountsMessages)
  const { opening, closing, data } = explained
  const verdict = addsUp(opening, data, closing)
  return (
    <>
      <dl class="facts">
        <dt>{text('opening')}</dt>
        <dd>
          <Money amount={opening} currency={currency} />
        </dd>
        <dt>{text('closing')}</dt>
        <dd>
          <Money amount={closing} currency={currency} />
        </dd>
      </dl>
      {opening !== null && closing !== null && (
        <div class="formula">
          <p class="quiet-text">{text('formula')}</p>
          <Copyable value={formulaOf(opening, data, closing)} />
        </div>
      )}
      <p class={verdict ? 'good-text' : verdict === false ? 'bad-text' : 'warn-text'}>
        {text(verdict === undefined ? 'addsUnknown' : verdict ? 'addsUp' : 'addsNot')}
      </p>
    </>
  )
}
