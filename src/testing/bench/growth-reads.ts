/** Reads of a grown ledger, one after the other, over random accounts. */
import { random } from '../random.ts'
import type { Filled } from './growth-fill.ts'
import { accountId, world } from './ledger-accounts.ts'
import type { Figures } from './path-costs.ts'
import type { PathStack } from './path-stack.ts'

const samples = 200
/** Of those that are slow by nature. */
const fewSamples = 20
const deepPages = 60

type Page = { data: unknown[]; next_cursor: string | null }

/** Median and 99th percentile of each, in milliseconds. */
export async function measureReads(
  stack: PathStack,
  { accounts }: Pick<Filled, 'accounts'>,
): Promise<Figures> {
  const any = () => accountId(1 + Math.floor(random() * accounts))
  const wallet = `http://127.0.0.1:${stack.walletPort}`
  const balances = `http://127.0.0.1:${stack.balancesPort}`
  const middle = await middleTime(stack)
  const deep = await cursorOf(`${balances}/balances/${world}/statement?limit=100`, deepPages)
  const reads: Record<string, () => string> = {
    balance: () => `${balances}/balances/${any()}`,
    'statement, first page': () => `${balances}/balances/${any()}/statement`,
    'statement of world, first page': () => `${balances}/balances/${world}/statement`,
    'statement of world, page 60': () => `${balances}/balances/${world}/statement?limit=100&cursor=${deep}`,
    'balance at a time': () => `${balances}/balances/${any()}?at=${middle}`,
    'balance of world at a time': () => `${balances}/balances/${world}?at=${middle}`,
    explain: () => `${balances}/balances/${any()}/explain`,
    'list of balances': () => `${balances}/balances?limit=20`,
    'list, most match': () => `${balances}/balances?currency=BRL&min_balance=1&limit=20`,
    'list, few match': () => `${balances}/balances?currency=BRL&min_balance=100000000&limit=20`,
    'transactions of an account': () => `${wallet}/transactions?account_id=${any()}`,
    'transactions of world': () => `${wallet}/transactions?account_id=${world}`,
    'transactions of world, none match': () => `${wallet}/transactions?account_id=${world}&kind=reversal`,
    'wallet account': () => `${wallet}/accounts/${any()}`,
  }
  const figures: Figures = new Map()
  for (const [name, url] of Object.entries(reads)) {
    const times = await time(url, /few|none/.test(name) ? fewSamples : samples)
    figures.set(`${name}, p50 ms`, times[Math.floor(times.length * 0.5)] ?? Number.NaN)
    figures.set(`${name}, p99 ms`, times[Math.floor(times.length * 0.99)] ?? Number.NaN)
  }
  return figures
}

async function time(url: () => string, count: number): Promise<number[]> {
  const times: number[] = []
  // The first ones fill caches and plans.
  for (let sample = -10; sample < count; sample++) {
    const begun = performance.now()
    await get(url())
    if (sample >= 0) times.push(performance.now() - begun)
  }
  return times.toSorted((left, right) => left - right)
}

async function get(url: string): Promise<unknown> {
  const answer = await fetch(url)
  if (answer.status !== 200) throw new Error(`${url} was answered ${answer.status}: ${await answer.text()}`)
  return answer.json()
}

async function cursorOf(url: string, pages: number): Promise<string> {
  let cursor = ''
  for (let page = 1; page < pages; page++) {
    const { next_cursor: next } = (await get(cursor ? `${url}&cursor=${cursor}` : url)) as Page
    if (next === null) break
    cursor = next
  }
  return cursor
}

/** Halfway through what was filled. */
async function middleTime({ wallet }: PathStack): Promise<string> {
  const [row] = await wallet<{ middle: Date }[]>`
    select created_at as middle from entries
    where account_id = ${world} and version = (select version / 2 from accounts where id = ${world})`
  return row?.middle.toISOString() ?? ''
}
