/** Pages of transactions: of an account, of all accounts of a client, or found by a search. Newest first. */
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import type { Original } from '../domain/reversal'
import type { Wallet } from '../ledger/ledger'
import {
  findHistoryRanges,
  type HistoryLine,
  type HistoryRange,
  listAccountIds,
  listHistoryLines,
  type TransactionCursor,
  type TransactionFilter,
} from './history-store'
import { type SearchCursor, searchTransactions, type TransactionSearch } from './search-store'
import { loadReversible } from './transactions-store'

export type TransactionPage<Cursor> = {
  transactions: Original[]
  /** Undefined on the last page. */
  next: Cursor | undefined
}
export type Owner = { accountId: string } | { clientId: string }

export async function readTransactionPage(
  wallet: Wallet,
  owner: Owner,
  filter: TransactionFilter,
  /** `after`: the previous page's `next`. */
  page: { after: TransactionCursor | undefined; size: number },
): Promise<TransactionPage<TransactionCursor>> {
  const { database } = wallet
  return withUnavailableFault(
    (async () => {
      const ranges = await findHistoryRanges(database, await accountsOf(wallet, owner), filter, page.after)
      const { lines, next } = await readLines(database, ranges, filter, page.size)
      const ids = lines.map((line) => line.transactionId)
      return { transactions: await loadReversible(database, ids), next }
    })(),
  )
}

/** Entries that a page looks at, over all accounts. Beyond it, a page may have fewer rows than asked for. */
const lookedAtMax = 5000

/** Most pages are full after a few entries. */
async function readLines(
  database: Database,
  ranges: HistoryRange[],
  filter: TransactionFilter,
  size: number,
): Promise<MergedLines> {
  const most = Math.max(size + 1, Math.floor(lookedAtMax / Math.max(1, ranges.length)))
  const read = async (lookedAt: number) => {
    // One more line than the page shows whether there is another.
    const candidates = await listHistoryLines(database, ranges, filter, { size: size + 1, lookedAt })
    return mergeLines(candidates, size)
  }
  const few = Math.min(2 * size + 1, most)
  const merged = await read(few)
  return merged.next && merged.lines.length < size && few < most ? read(most) : merged
}

export async function readSearchPage(
  wallet: Wallet,
  { owner, ...search }: Omit<TransactionSearch, 'accountIds'> & { owner: Owner | undefined },
  { after, size }: { after: SearchCursor | undefined; size: number },
): Promise<TransactionPage<SearchCursor>> {
  const { database } = wallet
  return withUnavailableFault(
    (async () => {
      const accountIds = owner && (await accountsOf(wallet, owner))
      const page = { after, limit: size + 1 }
      const { matches, lookedAt } = await searchTransactions(database, { ...search, accountIds }, page)
      const shown = matches.slice(0, size)
      const ids = shown.map(({ id }) => id)
      const next = matches.length > size ? shown.at(-1) : lookedAt
      return { transactions: await loadReversible(database, ids), next }
    })(),
  )
}

const accountsOf = async ({ database }: Wallet, owner: Owner) =>
  'accountId' in owner ? [owner.accountId] : listAccountIds(database, owner.clientId)

type MergedLines = { lines: HistoryLine[]; next: TransactionCursor | undefined }

/**
 * The newest `size` lines of all accounts, each in its own order; `next` is where the page ends if there
 * are more.
 */
export function mergeLines(candidates: HistoryLine[], size: number): MergedLines {
  const histories = [...Map.groupBy(candidates, (line) => line.accountId).values()]
  const heads = histories.map(() => 0)
  const lines: HistoryLine[] = []
  while (lines.length < size) {
    let newest: { line: HistoryLine; history: number } | undefined
    for (const [history, ofAccount] of histories.entries()) {
      const line = ofAccount[heads[history] ?? 0]
      if (line && (!newest || isNewer(line, newest.line))) newest = { line, history }
    }
    if (!newest) return { lines, next: undefined }
    if (newest.line.isListed) lines.push(newest.line)
    if (newest.line.isLast) return { lines, next: newest.line }
    heads[newest.history] = (heads[newest.history] ?? 0) + 1
  }
  const isMore = histories.some((ofAccount, history) => ofAccount.length > (heads[history] ?? 0))
  return { lines, next: isMore ? lines.at(-1) : undefined }
}

/** Lines of the same time are grouped by account, so that one line determines all positions. */
const isNewer = (one: HistoryLine, other: HistoryLine): boolean =>
  one.createdAt === other.createdAt ? one.accountId < other.accountId : one.createdAt > other.createdAt
