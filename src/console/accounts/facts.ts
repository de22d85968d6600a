/** What the view shows, computed from answers. Amounts are decimal text, added up as whole numbers. */

/** As `GET /balances/{account_id}` answers. Amounts are null in a currency that is not known. */
export type Balance = {
  account_id: string
  balance: string | null
  held: string | null
  available: string | null
  status: string
  overdraft_limit: string | null
  currency: string
  version: number
  client_id: string | null
  owner_name: string | null
  created_at: string
  updated_at: string
}

/** Which time counts. */
export type Clock = 'recorded' | 'effective'

export type Entry = {
  version: number
  amount: string | null
  balance: string | null
  held: string | null
  available: string | null
  status: string
  overdraft_limit: string | null
  transaction_id: string | null
  hold_id: string | null
  counterparty_account_id: string | null
  actor: string | null
  effective_at: string
  created_at: string
}

export type Gap = { gap: { from_version: number; to_version: number; amount: string | null } }
export type Line = Entry | Gap

export const isGap = (line: Line): line is Gap => 'gap' in line
export const amountOf = (line: Line): string | null => (isGap(line) ? line.gap.amount : line.amount)

/** The path of a list, from the query of the address. */
export function listPath({ owner, currency, cursor }: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams({ limit: '20' })
  if (owner) query.set('owner_name', owner)
  if (currency) query.set('currency', currency)
  if (cursor) query.set('cursor', cursor)
  return `/balances?${query}`
}

/** Of an account and something of it, such as `/statement`, with the values that are given. */
export function accountPath(
  id: string,
  part: '' | '/statement' | '/explain' | '/stream',
  given: Readonly<Record<string, string | undefined>> = {},
): string {
  const query = Object.entries(given).filter((entry): entry is [string, string] => Boolean(entry[1]))
  const search = query.length > 0 ? `?${new URLSearchParams(query)}` : ''
  return `/balances/${encodeURIComponent(id)}${part}${search}`
}

/** A balance after a later entry of it; itself where the entry is not later. */
export function afterEntry(known: Balance, entry: Entry): Balance {
  if (entry.version <= known.version) return known
  const { balance, held, available, status, overdraft_limit, version, created_at } = entry
  return { ...known, balance, held, available, status, overdraft_limit, version, updated_at: created_at }
}

/**
 * Lines of a history with later entries, newest first, at most `max`. Undefined where versions in between
 * are missing: then it has to be read again.
 */
export function withEntries(
  known: readonly Line[],
  later: readonly Entry[],
  max: number,
): Line[] | undefined {
  const lines = [...known]
  for (const entry of later.toSorted((a, b) => a.version - b.version)) {
    const newest = lines[0] ? versionOf(lines[0]) : 0
    if (entry.version <= newest) continue
    if (entry.version > newest + 1) return undefined
    lines.unshift(entry)
  }
  return lines.slice(0, max)
}

const versionOf = (line: Line): number => (isGap(line) ? line.gap.to_version : line.version)

/** Of a plot: seconds since 1970, ascending, and balances after. Numbers as far as a plot can show them. */
export function pointsOf(lines: readonly Line[]): { at: number[]; values: (number | null)[] } {
  const at: number[] = []
  const values: (number | null)[] = []
  for (const line of lines.toReversed()) {
    if (isGap(line)) continue
    const seconds = Date.parse(line.created_at) / 1000
    // Several may be of the same millisecond.
    at.push(Math.max(seconds, (at.at(-1) ?? Number.NEGATIVE_INFINITY) + 0.0001))
    values.push(line.balance === null ? null : Number(line.balance))
  }
  return { at, values }
}

/** The exact sum of decimal texts, with as many decimals as the longest of them. */
export function sumOf(amounts: readonly string[]): string {
  const decimals = Math.max(0, ...amounts.map((amount) => fractionOf(amount).length))
  const total = amounts.reduce((sum, amount) => sum + scaled(amount, decimals), 0n)
  if (decimals === 0) return String(total)
  const digits = String(total < 0n ? -total : total).padStart(decimals + 1, '0')
  return `${total < 0n ? '-' : ''}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
}

const fractionOf = (amount: string): string => amount.split('.')[1] ?? ''

const scaled = (amount: string, decimals: number): bigint =>
  BigInt(amount.replace('.', '') + '0'.repeat(decimals - fractionOf(amount).length))

/** Whether opening and lines come to closing; undefined where one of them is not known. */
export function addsUp(
  opening: string | null,
  lines: readonly Line[],
  closing: string | null,
): boolean | undefined {
  const amounts = lines.map(amountOf)
  if (opening === null || closing === null || amounts.includes(null)) return undefined
  return /^-?0(\.0*)?$/.test(sumOf([opening, ...(amounts as string[]), negated(closing)]))
}

const negated = (amount: string): string => (amount.startsWith('-') ? amount.slice(1) : `-${amount}`)

/** The sum in full, oldest first, with the amounts as the answer has them. */
export function formulaOf(opening: string, lines: readonly Line[], closing: string): string {
  const terms = lines.toReversed().map((line) => {
    const amount = amountOf(line) ?? '?'
    return amount.startsWith('-') ? `− ${amount.slice(1)}` : `+ ${amount}`
  })
  return [opening, ...terms, '=', closing].join(' ')
}

/** Steps of the slider. */
export const stepsMax = 1000

export function stepOf(atMs: number, fromMs: number, toMs: number): number {
  if (toMs <= fromMs) return stepsMax
  return Math.round(Math.min(1, Math.max(0, (atMs - fromMs) / (toMs - fromMs))) * stepsMax)
}

/** Whole seconds, as a date field has them; the last step is the end itself. */
export function timeOfStep(step: number, fromMs: number, toMs: number): string {
  const ms = fromMs + ((toMs - fromMs) * step) / stepsMax
  return new Date(step >= stepsMax ? toMs : Math.floor(ms / 1000) * 1000).toISOString()
}

/** For a field of date and time, in the time zone of the browser. Empty for what is no time. */
export function toLocalField(at: string): string {
  const ms = Date.parse(at)
  if (Number.isNaN(ms)) return ''
  const date = new Date(ms)
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

/** Undefined while a field is empty or half typed. */
export function fromLocalField(value: string): string | undefined {
  const ms = Date.parse(value)
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}
