/**
 * Every question the read side answers from its tables. Answers that take several queries see one
 * state of the database.
 */

import { coalesce } from '../../platform/coalesce'
import { createConcurrencyLimit } from '../../platform/concurrency-limit'
import type { Database } from '../../platform/postgres/database'
import { withUnavailableFault } from '../../platform/postgres/failures'
import { inSnapshot, type Statements } from '../../platform/postgres/statements'
import {
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterGroup,
  findDeadLetter,
  groupDeadLetters,
  type ListedLetter,
  listDeadLetters,
} from '../dead-letters/dead-letters-store'
import { type LargeMovement, listLargeMovements } from '../reactions/large-movements-store'
import { type Balance, type BalanceFilter, findBalances, listBalances } from './balances-store'
import {
  type Arrived,
  allThatIsHere,
  type BalanceAt,
  type Clock,
  type Explanation,
  type ExplanationPlace,
  explainBalance,
  readBalanceAt,
  readStatement,
  type Statement,
  type StatementPlace,
} from './history'

/** What is asked of an account that is not known is answered undefined. */
export type Reads = {
  balance(accountId: string): Promise<Balance | undefined>
  balances(filter: BalanceFilter, page: { after: string | undefined; limit: number }): Promise<Balance[]>
  balanceAt(
    accountId: string,
    moment: Moment,
    arrived?: Arrived,
  ): Promise<Of<{ balance: BalanceAt }> | undefined>
  /** Without a time, of what the account holds by the newest entry that is here. */
  explanation(
    accountId: string,
    moment: { at: string | undefined; clock: Clock },
    page: { place: ExplanationPlace | undefined; size: number },
    arrived?: Arrived,
  ): Promise<Of<{ at: string; balance: BalanceAt; explanation: Explanation }> | undefined>
  statement(
    accountId: string,
    period: { since: string | undefined; until: string | undefined },
    page: { place: StatementPlace | undefined; size: number },
    arrived?: Arrived,
  ): Promise<Of<{ statement: Statement }> | undefined>
  largeMovements(
    accountId: string | undefined,
    page: { after: string | undefined; limit: number },
  ): Promise<LargeMovement[]>
  deadLetters(
    filter: DeadLetterFilter,
    page: { before: bigint | undefined; limit: number },
  ): Promise<ListedLetter[]>
  /** The whole of it. */
  deadLetter(id: bigint): Promise<DeadLetter | undefined>
  deadLetterGroups(): Promise<DeadLetterGroup[]>
}

export type Moment = { at: string; clock: Clock }
type Of<Answer> = Answer & { account: Balance }

/** Dead letters may be large. */
const lettersLimit = { concurrency: 4, waitingMax: 200 }

export function openReads({ sql }: Pick<Database, 'sql'>): Reads {
  const limitLetters = createConcurrencyLimit(lettersLimit)
  const findBalance = coalesce((accountIds) => findBalances(sql, accountIds))

  const of = <Answer>(accountId: string, read: (tx: Statements, account: Balance) => Promise<Answer>) =>
    withUnavailableFault(
      inSnapshot(sql, async (tx) => {
        const account = (await findBalances(tx, [accountId])).get(accountId)
        return account && { account, ...(await read(tx, account)) }
      }),
    )

  return {
    balance: (accountId) => withUnavailableFault(findBalance(accountId)),
    balances: (filter, page) => withUnavailableFault(listBalances(sql, filter, page)),
    balanceAt: (accountId, moment, arrived = allThatIsHere) =>
      of(accountId, async (tx, account) => ({ balance: await readBalanceAt(tx, account, moment, arrived) })),
    explanation: (accountId, { at: asked, clock }, page, arrived = allThatIsHere) =>
      of(accountId, async (tx, account) => {
        const at = page.place?.at ?? asked ?? account.updatedAt
        const balance = await readBalanceAt(tx, account, { at, clock }, arrived)
        return { at, balance, explanation: await explainBalance(tx, account, balance, { at, clock }, page) }
      }),
    statement: (accountId, period, page, arrived = allThatIsHere) =>
      of(accountId, async (tx, account) => ({
        statement: await readStatement(tx, account, period, page, arrived),
      })),
    largeMovements: (accountId, page) => withUnavailableFault(listLargeMovements(sql, accountId, page)),
    deadLetters: (filter, page) =>
      withUnavailableFault(limitLetters(() => listDeadLetters(sql, filter, page))),
    deadLetter: (id) => withUnavailableFault(limitLetters(() => findDeadLetter(sql, id))),
    deadLetterGroups: () => withUnavailableFault(groupDeadLetters(sql)),
  }
}
