/** Parts that all views use. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { CallFailed } from './api.ts'
import { useFormats, useMessages } from './i18n.ts'
import { shellMessages } from './messages.ts'

export function Panel(props: {
  title: string
  id?: string
  actions?: ComponentChildren
  tone?: 'bad' | 'warn' | undefined
  children: ComponentChildren
}) {
  const { title, id, actions, tone, children } = props
  return (
    <section class={tone ? `panel ${tone}` : 'panel'} {...(id && { id })} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {actions && <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  )
}

/** Where there is nothing yet: what to do so that there is. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  )
}

/** Says which service, what happened and what to do. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const text = useMessages(shellMessages)
  const { title, detail } = useFailure(error)
  return (
    <div class="failure" role="alert">
      <p class="failure-title">{title}</p>
      {detail && <p>{detail}</p>}
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {text('retry')}
        </button>
      )}
    </div>
  )
}

/** A failure in words. */
export function useFailure(error: unknown): { title: string; detail: string | undefined } {
  const text = useMessages(shellMessages)
  if (!(error instanceof CallFailed)) return { title: text('pageFault'), detail: String(error) }
  const { service, problem } = error
  if (problem.title === 'wallet-address-missing')
    return { title: text('walletAddressMissing'), detail: text('walletAddressRemedy') }
  if (problem.status === 0)
    return { title: text('unreachable', { service }), detail: text('unreachableRemedy', { service }) }
  return { title: `${problem.title} (${service}, ${problem.status})`, detail: problem.detail }
}

/** A time since, which goes on. `at` is milliseconds or RFC 3339. */
export function Age({ at }: { at: string | number }) {
  const { duration } = useFormats()
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  const atMs = typeof at === 'number' ? at : Date.parse(at)
  return <span class="age">{duration(Math.max(0, now - atMs))}</span>
}

export function Money({ amount, currency }: { amount: string | number | null; currency: string | null }) {
  const { money } = useFormats()
  if (amount === null) return <span class="money">—</span>
  const text = String(amount)
  return <span class={text.startsWith('-') ? 'money negative' : 'money'}>{money(text, currency)}</span>
}

/** What may be wider than the window: it scrolls by itself, also by the keyboard. */
export function Scroll(props: { label: string; class?: string; children: ComponentChildren }) {
  const { label, class: more, children } = props
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard.
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms, a section a landmark.
    <div class={more ? `scroll ${more}` : 'scroll'} role="group" tabIndex={0} aria-label={label}>
      {children}
    </div>
  )
}

/** Text in a box, with a button that copies it. */
export function Copyable({ value }: { value: string }) {
  const text = useMessages(shellMessages)
  const [isCopied, setCopied] = useState(false)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const box = useRef<HTMLPreElement>(null)
  // There is none where the page was loaded over plain HTTP from another machine.
  const clipboard = navigator.clipboard as Clipboard | undefined
  const copy = async () => {
    if (!clipboard) {
      if (box.current) getSelection()?.selectAllChildren(box.current)
      return
    }
    await clipboard.writeText(value)
    setCopied(true)
    timer.current = setTimeout(() => setCopied(false), 2000)
  }
  return (
    <div class="copyable">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard. */}
      <pre tabIndex={0} ref={box}>
        <code>{value}</code>
      </pre>
      <button type="button" class="quiet" onClick={copy}>
        <span aria-live="polite">{isCopied ? text('copied') : text(clipboard ? 'copy' : 'select')}</span>
      </button>
    </div>
  )
}

/** The first characters of an id; all of it as its title. */
export function Id({ value }: { value: string }) {
  return (
    <code class="id" title={value}>
      {value.length > 14 ? `${value.slice(0, 8)}…` : value}
    </code>
  )
}

/** What `load` answers, again when a dependency changes. An older answer never replaces a newer one. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, dependencies: readonly unknown[]) {
  const [state, setState] = useState<{ value?: T; error?: unknown; isLoading: boolean }>({ isLoading: true })
  const [nth, setNth] = useState(0)
  useEffect(() => {
    const ending = new AbortController()
    setState(({ value }) => ({ ...(value !== undefined && { value }), isLoading: true }))
    load(ending.signal).then(
      (value) => ending.signal.aborted || setState({ value, isLoading: false }),
      (error) => ending.signal.aborted || setState({ error, isLoading: false }),
    )
    return () => ending.abort()
  }, [...dependencies, nth])
  return { ...state, reload: () => setNth((last) => last + 1) }
}
