/** One account: what it holds, live, and where that comes from. */
import { CallFailed } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { hashOf } from '../router.ts'
import { Copyable, Empty, Failure, Money, Panel } from '../ui.tsx'
import { useAccount, useThrottled } from './data.ts'
import { Explanation } from './explanation.tsx'
import type { Balance, Clock } from './facts.ts'
import { History } from './history.tsx'
import { accountsMessages } from './messages.ts'
import { PointInTime } from './moment.tsx'
import { AsOf, Status } from './parts.tsx'
import { Statement } from './statement.tsx'

/** How often what follows from the balance is read again, in milliseconds. */
const followMs = 1000
/** How often a changed balance is read out, in milliseconds. */
const spokenMs = 5000

export function Account({ id, query }: { id: string; query: Readonly<Record<string, string | undefined>> }) {
  const text = useMessages(accountsMessages)
  const { balance, asOf, error, isOpen, history, retry } = useAccount(id)
  const version = useThrottled(balance?.version ?? 0, followMs)
  const clock: Clock = query.time === 'effective' ? 'effective' : 'recorded'
  const isUnknown = error instanceof CallFailed && error.problem.status === 404
  return (
    <>
      <p>
        <a href={hashOf(['accounts'])}>{text('backToList')}</a>
      </p>
      <h1>{balance?.owner_name ? text('owns', { name: balance.owner_name }) : text('ofNobody')}</h1>
      <Copyable value={id} />
      {isUnknown && !balance && <Empty title={text('unknown', { id })}>{text('unknownText')}</Empty>}
      {error !== undefined && !isUnknown && <Failure error={error} onRetry={retry} />}
      {balance && (
        <>
          <div class="grid account-top">
            <Now balance={balance} asOf={asOf} isOpen={isOpen} />
            <PointInTime id={id} balance={balance} at={query.at} clock={clock} />
          </div>
          <History lines={history} currency={balance.currency} />
          <Explanation
            key={`${query.at}/${clock}`}
            id={id}
            currency={balance.currency}
            at={query.at}
            clock={clock}
            version={version}
          />
          <Statement id={id} currency={balance.currency} version={version} />
        </>
      )}
    </>
  )
}

function Now({ balance, asOf, isOpen }: { balance: Balance; asOf: string | null; isOpen: boolean }) {
  const text = useMessages(accountsMessages)
  const { number, dateTime, money } = useFormats()
  const { currency } = balance
  const spoken = `${text('balance')} ${balance.balance === null ? '—' : money(balance.balance, currency)}`
  return (
    <Panel
      title={text('now')}
      actions={
        <span class={isOpen ? 'good-text' : 'warn-text'}>{isOpen ? text('live') : text('notLive')}</span>
      }
    >
      <p class="amount-now">
        <span class="quiet-text">{text('balance')}</span>{' '}
        <Money amount={balance.balance} currency={currency} />
      </p>
      <p class="visually-hidden" aria-live="polite">
        {useThrottled(spoken, spokenMs)}
      </p>
      <dl class="facts">
        <dt>{text('available')}</dt>
        <dd>
          <Money amount={balance.available} currency={currency} />
        </dd>
        <dt>{text('held')}</dt>
        <dd>
          <Money amount={balance.held} currency={currency} />
        </dd>
        <dt>{text('overdraft')}</dt>
        <dd>
          <Money amount={balance.overdraft_limit} currency={currency} />
        </dd>
        <dt>{text('status')}</dt>
        <dd>
          <Status status={balance.status} />
        </dd>
        <dt>{text('version')}</dt>
        <dd>{number(balance.version)}</dd>
        <dt>{text('changed')}</dt>
        <dd>{dateTime(balance.updated_at)}</dd>
        <dt>{text('opened')}</dt>
        <dd>{dateTime(balance.created_at)}</dd>
      </dl>
      <AsOf at={asOf} />
    </Panel>
  )
}
