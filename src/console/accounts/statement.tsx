/** The statement, in pages. The first one follows the account. */
import { useState } from 'preact/hooks'
import { useMessages } from '../i18n.ts'
import { Empty, Failure, Panel, useLoaded } from '../ui.tsx'
import { type Page, read } from './data.ts'
import { accountPath, type Line } from './facts.ts'
import { accountsMessages } from './messages.ts'
import { AsOf, Lines } from './parts.tsx'

const pageSize = 20

export function Statement({ id, currency, version }: { id: string; currency: string; version: number }) {
  const text = useMessages(accountsMessages)
  const [cursor, setCursor] = useState<string>()
  const path = accountPath(id, '/statement', { limit: String(pageSize), cursor })
  const { value, error, reload } = useLoaded(
    (signal) => read<Page<Line>>(path, signal),
    [path, cursor === undefined && version],
  )
  const next = value?.body.next_cursor
  return (
    <Panel title={text('statement')} id="statement" actions={value && <AsOf at={value.asOf} />}>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {value && value.body.data.length === 0 && <Empty title={text('statementEmpty')} />}
      {value && value.body.data.length > 0 && (
        <Lines label={text('statement')} lines={value.body.data} currency={currency} />
      )}
      <Pages next={next} isFirst={cursor === undefined} onChange={setCursor} />
    </Panel>
  )
}

type PagesProps = {
  next: string | null | undefined
  isFirst: boolean
  onChange: (cursor: string | undefined) => void
}

export function Pages({ next, isFirst, onChange }: PagesProps) {
  const text = useMessages(accountsMessages)
  if (isFirst && !next) return null
  return (
    <div class="row pages">
      <button type="button" class="quiet" disabled={isFirst} onClick={() => onChange(undefined)}>
        {text('newestPage')}
      </button>
      <button type="button" class="quiet" disabled={!next} onClick={() => next && onChange(next)}>
        {text('olderPage')}
      </button>
    </div>
  )
}
