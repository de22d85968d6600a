/** One lane: what moved, a bar of the times between its hops, and each hop. */
import { Component } from 'preact'
import { useId, useState } from 'preact/hooks'
import { useFormats, useMessages } from '../i18n.ts'
import { type Lane, momentOf } from '../lanes.ts'
import { hashOf } from '../router.ts'
import { Id, Money } from '../ui.tsx'
import { hops, linkOf } from './hops.ts'
import { flowMessages } from './messages.ts'
import { segmentsOf, stepsOf, totalMs } from './segments.ts'

/** Drawn once for what is known of it: others come and go above it many times a second. */
export class LaneItem extends Component<{ lane: Lane }> {
  override shouldComponentUpdate({ lane }: { lane: Lane }) {
    return lane !== this.props.lane
  }

  override render() {
    return <LaneCard lane={this.props.lane} />
  }
}

function LaneCard({ lane }: { lane: Lane }) {
  const text = useMessages(flowMessages)
  const { duration, time } = useFormats()
  const [isExplained, setExplained] = useState(false)
  const id = useId()
  const [total, href] = [totalMs(lane.hops), hrefOf(lane)]
  return (
    <li class={`lane ${lane.outcome}`}>
      <div class="lane-head">
        <span class="lane-time">{time(momentOf(lane), true)}</span>
        {href === undefined ? (
          <span class="lane-what">
            <What lane={lane} />
          </span>
        ) : (
          <a class="lane-what lane-link" href={href}>
            <What lane={lane} />
          </a>
        )}
        <span class={`badge ${lane.outcome}`}>{text(lane.outcome)}</span>
        <span class="lane-total">{total !== null && text('inTotal', { time: duration(total) })}</span>
        <button
          type="button"
          class="quiet lane-explain"
          aria-expanded={isExplained}
          aria-controls={id}
          aria-label={text('explainLane')}
          onClick={() => setExplained(!isExplained)}
        >
          {text('explain')}
        </button>
      </div>
      <Notes lane={lane} />
      <Bar lane={lane} />
      <Steps lane={lane} />
      <div id={id}>{isExplained && <Explanation lane={lane} />}</div>
    </li>
  )
}

/** A record that cannot be read is of no transaction: what can be done about it is in Health. */
export function hrefOf({ transaction_id: id, outcome, account_id_to: account }: Lane): string | undefined {
  if (id !== null) return hashOf(['transactions', id])
  if (outcome === 'dead_letter') return hashOf(['health'])
  return account === null ? undefined : hashOf(['accounts', account])
}

function What({ lane }: { lane: Lane }) {
  const text = useMessages(flowMessages)
  const { name, amount, currency, account_id_from: from, account_id_to: to } = lane
  const without = lane.outcome === 'dead_letter' ? 'unreadable' : 'noMovement'
  const isMovement = amount !== null && !/^[0.]*$/.test(amount)
  return (
    <>
      {isMovement && <Money amount={amount} currency={currency} />}
      {!isMovement && <span>{lane.hold_id === null ? (name ?? text(without)) : text('hold')}</span>}
      {from !== null && (
        <>
          {' '}
          <span class="quiet-text">{text('from')}</span> <Id value={from} />
        </>
      )}
      {to !== null && (
        <>
          {' '}
          {from !== null && <span class="quiet-text">{text('to')} </span>}
          <Id value={to} />
        </>
      )}
    </>
  )
}

function Notes({ lane }: { lane: Lane }) {
  const text = useMessages(flowMessages)
  const { outcome, dead_letter: letter, topic } = lane
  return (
    <>
      {letter && (
        <p class="bad-text lane-note">
          <strong>{letter.cause}</strong>: {letter.detail}
        </p>
      )}
      {(outcome === 'repeated' || outcome === 'skipped') && (
        <p class="warn-text lane-note">{text(outcome === 'repeated' ? 'repeatedText' : 'skippedText')}</p>
      )}
      {topic === null && <p class="quiet-text lane-note">{text('ofTables')}</p>}
    </>
  )
}

/** The same is below it in words. */
function Bar({ lane }: { lane: Lane }) {
  return (
    <div class="bar" aria-hidden="true">
      {segmentsOf(lane.hops).map(({ to, share, isCut, isGap }) => (
        <span
          key={to}
          class={`segment ${hops[to].stage}${isCut ? ' cut' : ''}${isGap ? ' gap' : ''}`}
          style={{ flexGrow: share }}
        />
      ))}
    </div>
  )
}

function Steps({ lane }: { lane: Lane }) {
  const text = useMessages(flowMessages)
  const { duration, time } = useFormats()
  const cut = new Set(segmentsOf(lane.hops).flatMap(({ to, isCut }) => (isCut ? to : [])))
  return (
    <ol class="steps">
      {stepsOf(lane.hops).map(({ name, at, sinceMs }) => (
        <li key={name} class={`step ${hops[name].stage}${at === null ? ' unknown' : ''}`}>
          <span class="step-name">{text(hops[name].name)}</span>
          <span class="step-time" title={sinceMs !== null && sinceMs < 0 ? text('clocks') : undefined}>
            {at === null && <span class="quiet-text">—</span>}
            {at !== null && (sinceMs === null ? time(at, true) : `+${duration(sinceMs)}`.replace('+−', '−'))}
            {cut.has(name) && <span class="visually-hidden"> {text('cut')}</span>}
          </span>
          {name === 'received' && <Place lane={lane} />}
          <span class="step-pattern">{text(hops[name].pattern)}</span>
        </li>
      ))}
    </ol>
  )
}

function Place({ lane: { topic, partition, offset } }: { lane: Lane }) {
  return topic === null ? null : (
    <code class="step-place">
      {topic}/{partition}/{offset}
    </code>
  )
}

function Explanation({ lane }: { lane: Lane }) {
  const text = useMessages(flowMessages)
  const { duration, time } = useFormats()
  return (
    <div class="scroll">
      <table class="explanation">
        <thead>
          <tr>
            {(['hop', 'since', 'pattern', 'meaning'] as const).map((key) => (
              <th key={key} scope="col">
                {text(key)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {stepsOf(lane.hops).map(({ name, at, sinceMs }) => (
            <tr key={name}>
              <th scope="row">
                {text(hops[name].name)}
                <br />
                <span class="quiet-text">{at === null ? text('unknown') : time(at, true)}</span>
              </th>
              <td class="number">{sinceMs === null ? '—' : duration(sinceMs)}</td>
              <td>
                <a href={linkOf(hops[name])}>{text(hops[name].pattern)}</a>
              </td>
              <td>{text(hops[name].text)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
