/** One page of what moved the money of an account, or of all accounts of a client, newest first. */
import { withUnavailableFault } from '../../platform/postgres/failures'
import { listAccountIds } from '../accounts/accounts-store'
import type { Transaction } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import {
  findHistoryPositions,
  type Line,
  listHistoryLines,
  loadTransactions,
  type TransactionCursor,
  type TransactionFilter,
} from '../ledger/store/transactions'

export type TransactionPage = {
  transactions: Transaction[]
  /** The line that the page ended with. Undefined on the last one. */
  next: TransactionCursor | undefined
}

export async function readTransactionPage(
  wallet: Wallet,
  whose: { accountId: string } | { clientId: string },
  filter: TransactionFilter,
  /** `after` is what the page before answered as `next`. */
  page: { after: TransactionCursor | undefined; size: number },
): Promise<TransactionPage> {
  const { database } = wallet
  return withUnavailableFault(
    (async () => {
      const places = await findHistoryPositions(database, await accountsOf(wallet, whose), page.after)
      // One more than the page holds tells whether there is another.
      const lines = await listHistoryLines(database, places, filter, page.size + 1)
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
 * The newest `size` lines of all accounts, each account in the order of its own entries, and the
 * last of them when there are more.
 */
export function mergeLines(
  lines: Line[],
  size: number,
): { taken: Line[]; next: TransactionCursor | undefined } {
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
  const isMore = histories.some((ofAccount, history) => ofAccount.length > (heads[history] ?? 0))
  return { taken, next: isMore ? taken.at(-1) : undefined }
}

/** Of the same time those of one account come together, so that one line tells where each of them is. */
const isNewer = (one: Line, other: Line): boolean =>
  one.createdAt === other.createdAt ? one.accountId < other.accountId : one.createdAt > other.createdAt
