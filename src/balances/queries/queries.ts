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
  type BalanceAt,
  type Clock,
  type Coverage,
  type Explanation,
  type ExplanationCursor,
  explainBalance,
  fullCoverage,
  readBalanceAt,
  readStatement,
  type Statement,
  type StatementCursor,
} from './history'

/** Undefined where the read model does not have the account. */
export type Reads = {
  balance(accountId: string): Promise<Balance | undefined>
  balances(filter: BalanceFilter, page: { after: string | undefined; limit: number }): Promise<Balance[]>
  balanceAt(
    accountId: string,
    moment: Moment,
    coverage?: Coverage,
  ): Promise<WithAccount<{ balance: BalanceAt }> | undefined>
  /** Without a time, of the balance after the newest entry. */
  explanation(
    accountId: string,
    moment: { at: string | undefined; clock: Clock },
    page: { cursor: ExplanationCursor | undefined; size: number },
    coverage?: Coverage,
  ): Promise<WithAccount<{ at: string; balance: BalanceAt; explanation: Explanation }> | undefined>
  statement(
    accountId: string,
    period: { since: string | undefined; until: string | undefined },
    page: { cursor: StatementCursor | undefined; size: number },
    coverage?: Coverage,
  ): Promise<WithAccount<{ statement: Statement }> | undefined>
}

export type Moment = { at: string; clock: Clock }
type WithAccount<Answer> = Answer & { account: Balance }

export function openReads({ sql }: Pick<Database, 'sql'>): Reads {
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
    balance: (accountId) => withUnavailableFault(findBalance(accountId)),
    balances: (filter, page) => withUnavailableFault(listBalances(sql, filter, page)),
    balanceAt: (accountId, moment, coverage = fullCoverage) =>
      ofAccount(accountId, async (tx, account) => ({
        balance: await readBalanceAt(tx, account, moment, coverage),
      })),
    explanation: (accountId, { at: requestedAt, clock }, page, coverage = fullCoverage) =>
      ofAccount(accountId, async (tx, account) => {
        const at = page.cursor?.at ?? requestedAt ?? account.updatedAt
        const balance = await readBalanceAt(tx, account, { at, clock }, coverage)
        return { at, balance, explanation: await explainBalance(tx, account, balance, { at, clock }, page) }
      }),
    statement: (accountId, period, page, coverage = fullCoverage) =>
      ofAccount(accountId, async (tx, account) => ({
        statement: await readStatement(tx, account, period, page, coverage),
      })),
  }
}
