/** One page of what moved an account's money, newest first. */
import { reaching } from '../platform/database'
import { listTransactions, type StoredTransaction, type TransactionFilter } from './store/transactions'
import type { Wallet } from './wallet'

export type TransactionPage = {
  transactions: StoredTransaction[]
  /** Where the next page begins: below this entry of the account. Undefined on the last page. */
  nextBefore: bigint | undefined
}

export async function readTransactionPage(
  wallet: Wallet,
  filter: TransactionFilter,
  page: { before: bigint | undefined; size: number },
): Promise<TransactionPage> {
  // One more than the page holds tells whether there is another.
  const rows = await reaching(listTransactions(wallet.database, filter, { ...page, size: page.size + 1 }))
  const shown = rows.slice(0, page.size)
  return {
    transactions: shown.map(({ transaction }) => transaction),
    nextBefore: rows.length > page.size ? shown.at(-1)?.version : undefined,
  }
}
