/** Loads the state that a batch of commands is decided over. */
import type { Database } from '../../../platform/postgres/database'
import { type Book, type Command, type CommandResult, type Reads, readsOf } from '../../domain/book'
import { asOpened } from '../../domain/creation'
import type { Transaction } from '../../domain/types'
import { loadAccounts, loadClients, loadHolds, loadOriginals, loadTransactions } from './rows'

/**
 * Accounts first: any change of the rest appends entries to those accounts, so a batch that was
 * decided over accounts older than their holds collides. `again`: some commands may have been
 * executed already, and their results are loaded; one that is executed meanwhile collides.
 */
export async function loadBook(database: Database, commands: Command[], again: boolean): Promise<Book> {
  const reads = commands.map(readsOf)
  const own = again ? commands.map(({ id }) => id) : []
  const idsOf = (part: keyof Reads) => new Set([...reads.flatMap((one) => one[part] ?? []), ...own])
  // Pipelined on one connection, which executes them in this order.
  const [accounts, clients, holds, originals, transactions] = await Promise.all([
    loadAccounts(database.sql, idsOf('accounts')),
    loadClients(database, idsOf('clients')),
    loadHolds(database, idsOf('holds')),
    loadOriginals(database, idsOf('originals')),
    loadTransactions(database, own),
  ])
  const book = { accounts, clients, holds, originals }
  return { ...book, done: new Map(again ? commands.flatMap((one) => resultOf(one, book, transactions)) : []) }
}

export const accountIdsOf = (commands: Command[]): Set<string> =>
  new Set(commands.flatMap((command) => readsOf(command).accounts ?? []))

/** Empty when the command has not been executed. */
function resultOf(
  command: Command,
  { accounts, clients, holds }: Omit<Book, 'done'>,
  transactions: ReadonlyMap<string, Transaction>,
): [string, CommandResult][] {
  const { id } = command
  const transaction = transactions.get(id)
  if (transaction) return [[id, { kind: 'transaction', transaction }]]
  const client = clients.get(id)
  if (client) return [[id, { kind: 'client', client }]]
  const account = accounts.get(id)
  if (account) return [[id, { kind: 'account', account: asOpened(account) }]]
  const ended = command.type === 'release' ? holds.get(command.holdId) : undefined
  const hold = ended?.endedBy === id ? ended : holds.get(id)
  return hold ? [[id, { kind: 'hold', hold }]] : []
}
