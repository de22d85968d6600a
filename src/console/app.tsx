/** The frame around the views: navigation, language, theme and keys. */
import { Component, type ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { AccountsView } from './accounts/view.tsx'
import { forgetKeys, giveKey, goOnWithoutKey, keys, keyWanted, settings } from './api.ts'
import { FlowView } from './flow/view.tsx'
import { HealthView } from './health/view.tsx'
import { chooseLanguage, language, languages, useMessages } from './i18n.ts'
import { reopenLive } from './live.ts'
import { shellMessages } from './messages.ts'
import { hashOf, useRoute } from './router.ts'
import { type State, useValue } from './state.ts'
import { chooseTheme, theme, themes } from './theme.ts'
import { Tour } from './tour/tour.tsx'
import { TryView } from './try/view.tsx'
import { Empty, Failure } from './ui.tsx'
import { WhereView } from './where/view.tsx'

/** By the first segment of the address. */
const views = {
  flow: { name: 'flow', View: FlowView },
  transactions: { name: 'where', View: WhereView },
  accounts: { name: 'accounts', View: AccountsView },
  health: { name: 'health', View: HealthView },
  try: { name: 'try', View: TryView },
} as const

export function App() {
  const text = useMessages(shellMessages)
  const { path } = useRoute()
  const [first = 'flow'] = path
  const view = Object.hasOwn(views, first) ? views[first as keyof typeof views] : undefined
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        {text('skip')}
      </button>
      <Top current={first} />
      <main id="main" tabIndex={-1}>
        <KeyBox />
        <Tour />
        <Guarded key={`${first} ${useChanges(keys)}`}>
          {view ? (
            <view.View />
          ) : (
            <Empty title={text('unknownView')}>
              <a href={hashOf(['flow'])}>{text('toFlow')}</a>
            </Empty>
          )}
        </Guarded>
      </main>
    </>
  )
}

/** How often it has changed: what was asked before is asked again. */
function useChanges<T>(state: State<T>): number {
  const value = useValue(state)
  const seen = useRef({ value, changes: 0 })
  if (seen.current.value !== value) seen.current = { value, changes: seen.current.changes + 1 }
  return seen.current.changes
}

function Top({ current }: { current: string }) {
  const text = useMessages(shellMessages)
  return (
    <header class="top">
      <a class="brand" href={hashOf(['flow'])}>
        Saldo
      </a>
      <nav aria-label={text('views')}>
        {Object.entries(views).map(([path, { name }]) => (
          <a key={path} href={hashOf([path])} {...(path === current && { 'aria-current': 'page' })}>
            {text(name)}
          </a>
        ))}
      </nav>
      <Choices />
    </header>
  )
}

function Choices() {
  const text = useMessages(shellMessages)
  const [chosenLanguage, chosenTheme] = [useValue(language), useValue(theme)]
  const names = { auto: text('themeAuto'), light: text('themeLight'), dark: text('themeDark') }
  const hasKeys = Object.keys(useValue(keys)).length > 0
  const needsKey = useValue(settings)?.needs_key
  return (
    <div class="choices">
      {hasKeys && (
        <button type="button" class="quiet" onClick={forgetKeys}>
          {text('keyForget')}
        </button>
      )}
      {needsKey && !hasKeys && (
        <button type="button" class="quiet" onClick={() => keyWanted.set({ service: 'balances' })}>
          {text('keyEnter')}
        </button>
      )}
      <select
        aria-label={text('language')}
        value={chosenLanguage}
        onChange={({ currentTarget }) => chooseLanguage(currentTarget.value as typeof chosenLanguage)}
      >
        {languages.map((one) => (
          <option key={one} value={one}>
            {one === 'en' ? 'English' : 'Português'}
          </option>
        ))}
      </select>
      <select
        aria-label={text('theme')}
        value={chosenTheme}
        onChange={({ currentTarget }) => chooseTheme(currentTarget.value as typeof chosenTheme)}
      >
        {themes.map((one) => (
          <option key={one} value={one}>
            {names[one]}
          </option>
        ))}
      </select>
    </div>
  )
}

/** Asks for a key when a service has refused a request for want of one. */
function KeyBox() {
  const text = useMessages(shellMessages)
  const wanted = useValue(keyWanted)
  const [typed, setTyped] = useState('')
  if (!wanted) return null
  const { service, refusal } = wanted
  const use = (event: Event) => {
    event.preventDefault()
    giveKey(service, typed.trim())
    setTyped('')
    reopenLive()
  }
  return (
    <form class="panel warn key-box" onSubmit={use} aria-label={text('keyTitle')}>
      <h2>{text('keyTitle')}</h2>
      <p>{text('keyText')}</p>
      {refusal && <p role="alert">{text('keyRefused', { detail: refusal })}</p>}
      <label>
        {text('keyFor', { service })}
        <input
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={typed}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
      </label>
      <div class="row">
        <button type="submit" disabled={typed.trim() === ''}>
          {text('keyUse')}
        </button>
        <button type="button" class="quiet" onClick={() => goOnWithoutKey(service)}>
          {text('keyLater')}
        </button>
      </div>
    </form>
  )
}

/** A fault of one view leaves the others usable. */
class Guarded extends Component<{ children: ComponentChildren }, { error?: unknown }> {
  override state: { error?: unknown } = {}

  override componentDidCatch(error: unknown) {
    console.error(error)
    this.setState({ error })
  }

  override render() {
    if (this.state.error)
      return <Failure error={this.state.error} onRetry={() => this.setState({ error: undefined })} />
    return this.props.children
  }
}
