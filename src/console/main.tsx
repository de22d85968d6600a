/** Where the page begins. */
import './styles.css'
import { render } from 'preact'
import { call, type Settings, settings } from './api.ts'
import { App } from './app.tsx'
import { startLanguage } from './i18n.ts'
import { startRouter } from './router.ts'
import { startTheme } from './theme.ts'
import { offerTour } from './tour/state.ts'

startTheme()
startLanguage()
startRouter()
offerTour()
const root = document.getElementById('app')
if (root) render(<App />, root)
// The views show without it what they can; it is asked again until it is there.
for (;;) {
  try {
    settings.set(await call<Settings>('balances', '/console/settings'))
    break
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}
