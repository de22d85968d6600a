/** An action: what it shows, the command that does the same, the button, and what came of it. */
import { useState } from 'preact/hooks'
import { keys, newKey, settings, urlOf } from '../api.ts'
import { useFormats, useMessages } from '../i18n.ts'
import { useValue } from '../state.ts'
import { Copyable } from '../ui.tsx'
import { type ActionName, actions, type Form, type Input, obstacleOf, type TryRequest } from './actions.ts'
import { attempt, attempts, type Exchange, openHold } from './attempts.ts'
import { curlOf } from './curl.ts'
import { tryMessages } from './messages.ts'
import { Refusal } from './refusal.tsx'

export function ActionCard({ name, form }: { name: ActionName; form: Form }) {
  const text = useMessages(tryMessages)
  const [key, setKey] = useState(newKey)
  const [isRunning, setRunning] = useState(false)
  const hold = useValue(openHold)
  const obstacle = obstacleOf(name, useValue(settings), hold)
  const last = useValue(attempts)[name]
  const action = actions[name]
  const input: Input = { ...form, key, hold }
  const run = async () => {
    setRunning(true)
    const { hash } = await attempt(name, input)
    setRunning(false)
    setKey(newKey())
    if (!hash || action.times) return
    if (action.shows) reveal(action.shows)
    location.hash = hash
  }
  return (
    <article class="try-card panel" id={`try-${name}`} aria-labelledby={`try-${name}-title`}>
      <h3 id={`try-${name}-title`}>{text(`${name}Title`)}</h3>
      <p>{text(`${name}Text`)}</p>
      <Command request={action.request(input)} isTwice={action.times === 2} />
      <p>
        <button
          type="button"
          class={action.isDestructive ? 'danger' : ''}
          disabled={obstacle !== undefined || isRunning}
          {...(obstacle && { 'aria-describedby': `try-${name}-why` })}
          onClick={run}
        >
          {isRunning ? text('running') : text(`${name}Do`)}
        </button>
      </p>
      {obstacle && (
        <p id={`try-${name}-why`} class="warn-text">
          {text(obstacle)}
        </p>
      )}
      <div aria-live="polite">
        {last && <Outcome key={last.atMs} last={last} isRefused={action.isRefused === true} />}
      </div>
    </article>
  )
}

/** Once the view of the next address is rendered. */
function reveal(id: string): void {
  const scroll = () => requestAnimationFrame(() => document.getElementById(id)?.scrollIntoView())
  addEventListener('hashchange', () => requestAnimationFrame(scroll), { once: true })
}

/** With the key as a variable: the page shows none. */
export function Command({ request, isTwice = false }: { request: TryRequest; isTwice?: boolean }) {
  const text = useMessages(tryMessages)
  const hasKey = useValue(keys)[request.service] !== undefined
  // The settings say where the wallet is.
  useValue(settings)
  const path = urlOf(request.service, request.path) ?? `http://WALLET${request.path}`
  const { method, headers, body } = request
  const url = path.startsWith('/') ? location.origin + path : path
  const keyVariable = hasKey ? `${request.service.toUpperCase()}_KEY` : undefined
  return (
    <>
      <p class="quiet-text">{text(isTwice ? 'commandTwice' : 'command')}</p>
      <Copyable value={curlOf({ url, method, headers, body, keyVariable })} />
    </>
  )
}

type LastAttempt = NonNullable<ReturnType<(typeof attempts)['get']>[ActionName]>

function Outcome({ last, isRefused }: { last: LastAttempt; isRefused: boolean }) {
  const text = useMessages(tryMessages)
  const { time } = useFormats()
  return (
    <div class="try-outcome">
      <p class="quiet-text">{text('at', { time: time(last.atMs) })}</p>
      {last.exchanges.map((exchange, index) => (
        <Answer key={index} exchange={exchange} isOpen={last.exchanges.length > 1} />
      ))}
      {last.error !== undefined && <Refusal error={last.error} isExpected={isRefused} />}
      {last.hash && <a href={last.hash}>{text('see')}</a>}
    </div>
  )
}

function Answer({ exchange, isOpen }: { exchange: Exchange; isOpen: boolean }) {
  const text = useMessages(tryMessages)
  const { status, isReplayed, body } = exchange
  return (
    <>
      <p>
        <strong class={status < 300 ? 'good-text' : 'bad-text'}>{text('status', { status })}</strong>
        {isReplayed && (
          <>
            {' '}
            · <code>Idempotency-Replayed: true</code> {text('replayed')}
          </>
        )}
      </p>
      <details open={isOpen}>
        <summary>{text('answer')}</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard. */}
        <pre tabIndex={0} class="try-body">
          {JSON.stringify(body, null, 2)}
        </pre>
      </details>
    </>
  )
}
