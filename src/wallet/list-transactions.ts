/** One page of what moved the money of an account, or of all accounts of a client, newest first. */
import { reaching } from '../platform/database'
import type { Transaction } from './domain/movement'
import { listAccountIds } from './store/accounts'
import { type Line, listLines, loadTransactions, type Place, type TransactionFilter } from './store/transactions'
import type { Wallet } from './wallet'

export type TransactionPage = {
  transactions: Transaction[]
  /** Where the next page begins. Undefined on the last one. */
  next: Place[] | undefined
}

export async function readTransactionPage(
  wallet: Wallet,
  whose: { accountId: string } | { clientId: string },
  filter: TransactionFilter,
  /** `from` is what the page before answered as `next`. */
  page: { from: Place[] | undefined; size: number },
): Promise<TransactionPage> {
  const { database } = wallet
  return reaching(
    (async () => {
      const places = page.from ?? (await accountsOf(wallet, whose)).map((accountId) => ({ accountId, before: null }))
      // One more than the page holds tells whether there is another.
      const lines = await listLines(database, places, filter, page.size + 1)
      const { taken, next } = mergeLines(lines, page.size)
      const transactions = await loadTransactions(
        database,
        taken.map((line) => line.transactionId),
      )
      return { transactions: taken.flatMap((line) => transactions.get(line.transactionId) ?? []), next }
    })(),
  )
}

const accountsOf = async ({ database }: Wallet, whose: { accountId: string } | { clientId: string }) =>
  'accountId' in whose ? [whose.accountId] : listAccountIds(database, whose.clientId)

/**
 * The newest `size` lines of all accounts, each account in the order of its own entries, and the places after them. An account without a line has no
 * place: whatever it gets from now on is newer than the list.
 */
export function mergeLines(lines: Line[], size: number): { taken: Line[]; next: Place[] | undefined } {
  const histories = [...Map.groupBy(lines, (line) => line.accountId).values()]
  const heads = histories.map(() => 0)
  const taken: Line[] = []
  while (taken.length < size) {
    let newest: { line: Line; history: number } | undefined
    for (const [history, ofAccount] of histories.entries()) {
      const line = ofAccount[heads[history] ?? 0]
      if (line && (!newest || isNewer(line, newest.line))) newest = { line, history }
    }
    if (!newest) return { taken, next: undefined }
    taken.push(newest.line)
    heads[newest.history] = (heads[newest.history] ?? 0) + 1
  }
  const next = histories.flatMap((ofAccount, history): Place[] => {
    const line = ofAccount[heads[history] ?? 0]
    return line ? [{ accountId: line.accountId, before: line.version + 1n }] : []
  })
  return { taken, next: next.length > 0 ? next : undefined }
}

const isNewer = (one: Line, other: Line): boolean =>
  one.createdAt === other.createdAt ? one.transactionId > other.transactionId : one.createdAt > other.createdAt
