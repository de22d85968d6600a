/** Light, dark, or as the system is. */
import { createState } from './state.ts'

export const themes = ['auto', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

const storageKey = 'saldo-theme'

export const theme = createState<Theme>('auto')

export function startTheme(): void {
  apply(themes.find((one) => one === localStorage.getItem(storageKey)) ?? 'auto')
}

export function chooseTheme(chosen: Theme): void {
  localStorage.setItem(storageKey, chosen)
  apply(chosen)
}

function apply(chosen: Theme): void {
  document.documentElement.dataset.theme = chosen
  theme.set(chosen)
}
