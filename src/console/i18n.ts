/** English and Portuguese: texts by key, and numbers, money and times as the language writes them. */
import { createState, useValue } from './state.ts'

export const languages = ['en', 'pt'] as const
export type Language = (typeof languages)[number]
/** Of one view. A text with `{name}` is filled in. Both languages have the same keys, by type. */
export type Messages<Key extends string = string> = Readonly<Record<Language, Readonly<Record<Key, string>>>>
export type Translate<Key extends string> = (
  key: Key,
  values?: Readonly<Record<string, string | number>>,
) => string

const locales = { en: 'en-GB', pt: 'pt-BR' } as const
const storageKey = 'saldo-language'

export const language = createState<Language>('en')

/** What was chosen before, or else the first language of the browser that there is. */
export function startLanguage(): void {
  const wanted = [localStorage.getItem(storageKey) ?? '', ...navigator.languages]
  const found = wanted.map((name) => languages.find((one) => name.toLowerCase().startsWith(one)))
  choose(found.find((one) => one !== undefined) ?? 'en')
}

export function chooseLanguage(chosen: Language): void {
  localStorage.setItem(storageKey, chosen)
  choose(chosen)
}

function choose(chosen: Language): void {
  document.documentElement.lang = locales[chosen]
  language.set(chosen)
}

/** The texts of a view, in a component. */
export function useMessages<Key extends string>(messages: Messages<Key>): Translate<Key> {
  const texts = messages[useValue(language)]
  return (key, values) => fill(texts[key], values)
}

export const fill = (text: string, values: Readonly<Record<string, string | number>> = {}): string =>
  text.replace(/\{(\w+)\}/g, (mark, name: string) => String(values[name] ?? mark))

/** Formatting, in a component. */
export function useFormats() {
  const locale = locales[useValue(language)]
  return {
    number: (value: number | bigint, options?: Intl.NumberFormatOptions) =>
      numberFormat(locale, options).format(value),
    /** Of decimal text, which no float touches. Without decimals it is written as the currency is. */
    money: (amount: string, currency: string | null) => formatMoney(amount, currency, locale),
    /** With milliseconds where `precise`. */
    time: (at: string | number, precise = false) => formatTime(at, locale, precise),
    dateTime: (at: string | number) =>
      dateFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(at)),
    /** Of a point on an axis that spans so many seconds. */
    tick: (at: number, spanSeconds: number) => formatTick(at, locale, spanSeconds),
    duration: (ms: number) => formatDuration(ms, locale),
  }
}

export function formatMoney(amount: string, currency: string | null, locale: string): string {
  const decimals = /\.(\d+)$/.exec(amount)?.[1]?.length
  const digits =
    decimals === undefined ? {} : { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
  const value = amount as Intl.StringNumericLiteral
  if (currency === null || !/^[A-Z]{3}$/.test(currency)) return numberFormat(locale, digits).format(value)
  const style = { style: 'currency', currency, currencyDisplay: 'code' } as const
  const usual = numberFormat(locale, style).resolvedOptions().maximumFractionDigits ?? 0
  const shown = Math.max(usual, decimals ?? 0)
  return numberFormat(locale, {
    ...style,
    minimumFractionDigits: shown,
    maximumFractionDigits: shown,
  }).format(value)
}

function formatTime(at: string | number, locale: string, precise: boolean): string {
  const fraction = precise ? ({ fractionalSecondDigits: 3 } as const) : {}
  return dateFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', ...fraction }).format(
    new Date(at),
  )
}

function formatTick(at: number, locale: string, spanSeconds: number): string {
  if (spanSeconds > 400 * 86_400) return dateFormat(locale, { month: 'short', year: 'numeric' }).format(at)
  if (spanSeconds > 2 * 86_400) return dateFormat(locale, { day: 'numeric', month: 'short' }).format(at)
  const seconds = spanSeconds > 600 ? {} : ({ second: '2-digit' } as const)
  return dateFormat(locale, { hour: '2-digit', minute: '2-digit', ...seconds }).format(at)
}

/** Such as `3.4 ms`, `12 s`, `2 h 5 min`. */
export function formatDuration(ms: number, locale: string): string {
  const written = (value: number, digits: number) =>
    numberFormat(locale, { maximumFractionDigits: digits }).format(value)
  if (ms < 0) return `−${formatDuration(-ms, locale)}`
  if (ms < 10) return `${written(ms, 1)} ms`
  if (ms < 1000) return `${written(ms, 0)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${written(seconds, seconds < 10 ? 1 : 0)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Making one takes far longer than using it. */
const formats = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>()

function kept<F extends Intl.NumberFormat | Intl.DateTimeFormat>(kind: string, make: () => F): F {
  const found = (formats.get(kind) as F | undefined) ?? make()
  formats.set(kind, found)
  return found
}

const numberFormat = (locale: string, options: Intl.NumberFormatOptions = {}) =>
  kept(`n${locale}${JSON.stringify(options)}`, () => new Intl.NumberFormat(locale, options))

const dateFormat = (locale: string, options: Intl.DateTimeFormatOptions) =>
  kept(`d${locale}${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(locale, options))
