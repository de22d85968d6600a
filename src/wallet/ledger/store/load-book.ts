/** Loads the state that a batch of commands is decided over. */
import type { Database } from '../../../platform/postgres/database'
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import type { Account } from '../../domain/account'
import type { Book, Command, CommandResult } from '../../domain/book'
import type { Hold } from '../../domain/types'
import { loadHolds } from './holds'
import { loadOriginals, loadTransactions } from './transactions'

/**
 * Accounts first: any change of the rest appends entries to those accounts, so a batch that was
 * decided over accounts older than their holds collides. `again`: some commands may have been
 * executed already, and their results are loaded; one that is executed meanwhile collides.
 */
export async function loadBook(database: Database, commands: Command[], again: boolean): Promise<Book> {
  const holdIds = new Set<string>()
  const transactionIds: string[] = []
  const originalIds: string[] = []
  for (const command of commands) {
    if ('holdId' in command) holdIds.add(command.holdId)
    if (command.type === 'hold') {
      if (again) holdIds.add(command.id)
    } else if (again && command.type !== 'release') transactionIds.push(command.id)
    if (command.type === 'reversal') originalIds.push(command.reverses)
  }
  // Pipelined on one connection, which executes them in this order.
  const [accounts, holds, originals, transactions] = await Promise.all([
    loadAccounts(database.sql, accountIdsOf(commands)),
    loadHolds(database, [...holdIds]),
    loadOriginals(database, originalIds),
    loadTransactions(database, transactionIds),
  ])
  return {
    accounts,
    holds,
    originals,
    done: again ? resultsOf(commands, { holds, transactions }) : new Map(),
  }
}

export const accountIdsOf = (commands: Command[]): Set<string> =>
  new Set(commands.flatMap((command) => [command.accountIdFrom, command.accountIdTo]))

type Written = {
  holds: Awaited<ReturnType<typeof loadHolds>>
  transactions: Awaited<ReturnType<typeof loadTransactions>>
}

function resultsOf(commands: Command[], { holds, transactions }: Written): Map<string, CommandResult> {
  const done = new Map<string, CommandResult>()
  const setHold = (id: string, hold: Hold) => done.set(id, { kind: 'hold', hold })
  for (const command of commands) {
    const { id } = command
    const transaction = transactions.get(id)
    if (transaction) done.set(id, { kind: 'transaction', transaction })
    const placed = command.type === 'hold' && holds.get(id)
    if (placed) setHold(id, placed)
    const ended = command.type === 'release' && holds.get(command.holdId)
    if (ended && ended.endedBy === id) setHold(id, ended)
  }
  return done
}

type AccountRow = {
  id: string
  currency: string
  balance_minor: bigint
  held_minor: bigint
  version: bigint
  overdraft_limit_minor: bigint | null
  opened_ms: number
}

export async function loadAccounts(sql: Statements, ids: Iterable<string>): Promise<Map<string, Account>> {
  const rows = await sql<AccountRow[]>`
    select id, currency, balance_minor, held_minor, version, overdraft_limit_minor,
      (extract(epoch from created_at) * 1000)::float8 as opened_ms
    from accounts
    where id = any(${arrayOf([...ids])}::uuid[])`
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        currency: row.currency,
        balanceMinor: row.balance_minor,
        heldMinor: row.held_minor,
        version: row.version,
        overdraftLimitMinor: row.overdraft_limit_minor,
        openedAt: new Date(row.opened_ms),
      },
    ]),
  )
}
