/**
 * Balances, statements and explanations. An answer that takes several queries sees one snapshot of
 * the database.
 */
import { coalesce } from '../../platform/coalesce'
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import { inSnapshot, type Statements } from '../../platform/postgres/statements'
import { type Balance, type BalanceFilter, findBalances, listBalances } from './balances-store'
import {
  type Clock,
  type ExplanationCursor,
  explainBalance,
  fullCoverage,
  readBalanceAt,
  readStatement,
  type StatementCursor,
} from './history'

/** Undefined where the read model does not have the account. */
export type Reads = ReturnType<typeof openReads>

export function openReads({ sql }: Pick<Database, 'sql'>) {
  const findBalance = coalesce((accountIds) => findBalances(sql, accountIds))

  const ofAccount = <Answer>(
    accountId: string,
    read: (tx: Statements, account: Balance) => Promise<Answer>,
  ) =>
    withUnavailableFault(
      inSnapshot(sql, async (tx) => {
        const account = (await findBalances(tx, [accountId])).get(accountId)
        return account && { account, ...(await read(tx, account)) }
      }),
    )

  return {
    balance: (accountId: string) => withUnavailableFault(findBalance(accountId)),
    balances: (filter: BalanceFilter, page: Parameters<typeof listBalances>[2]) =>
      withUnavailableFault(listBalances(sql, filter, page)),
    balanceAt: (accountId: string, moment: { at: string; clock: Clock }, coverage = fullCoverage) =>
      ofAccount(accountId, async (tx, account) => ({
        balance: await readBalanceAt(tx, account, moment, coverage),
      })),
    /** Without a time, of the balance after the newest entry. */
    explanation: (
      accountId: string,
      { at: requestedAt, clock }: { at: string | undefined; clock: Clock },
      page: { cursor: ExplanationCursor | undefined; size: number },
      coverage = fullCoverage,
    ) =>
      ofAccount(accountId, async (tx, account) => {
        const at = page.cursor?.at ?? requestedAt ?? account.updatedAt
        const balance = await readBalanceAt(tx, account, { at, clock }, coverage)
        return { at, balance, explanation: await explainBalance(tx, account, balance, { at, clock }, page) }
      }),
    statement: (
      accountId: string,
      period: { since: string | undefined; until: string | undefined },
      page: { cursor: StatementCursor | undefined; size: number },
      coverage = fullCoverage,
    ) =>
      ofAccount(accountId, async (tx, account) => ({
        statement: await readStatement(tx, account, period, page, coverage),
      })),
  }
}
