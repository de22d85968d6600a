/** Loads the state that a batch of commands is decided over. */
import type { Database } from '../../../platform/postgres/database'
import { type Book, type Command, type CommandResult, type Reads, readsOf } from '../../domain/book'
import { asOpened } from '../../domain/creation'
import type { Legs } from '../../domain/types'
import { loadChangedClients, loadPastAccounts, loadPastHolds, nameOfPast } from './past-rows'
import { loadAccounts, loadChanges, loadClients, loadHolds, loadOriginals, loadTransactions } from './rows'

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
  const changed = await loadChanged(database, own, book)
  const resultOfOne = (one: Command): [string, CommandResult][] => {
    const result = changed.get(one.id) ?? resultOf(one, book, transactions)
    return result ? [[one.id, result]] : []
  }
  return { ...book, done: new Map(again ? commands.flatMap(resultOfOne) : []) }
}

export const accountIdsOf = (commands: Command[]): Set<string> =>
  new Set(commands.flatMap((command) => readsOf(command).accounts ?? []))

/** The results of commands that registered a client, or changed one, an account or a hold. */
async function loadChanged(
  database: Database,
  commandIds: string[],
  { holds }: Pick<Book, 'holds'>,
): Promise<Map<string, CommandResult>> {
  const { sql } = database
  const [clients, loaded] = await Promise.all([
    loadChangedClients(sql, commandIds),
    loadChanges(database, commandIds),
  ])
  const changes = [...loaded.values()].map(({ id, holdId, accountId, version }) => ({
    commandId: id,
    holdId,
    past: { id: holdId ?? accountId, version },
  }))
  const pastOf = (ofHolds: boolean) =>
    changes.filter(({ holdId }) => (holdId !== null) === ofHolds).map(({ past }) => past)
  const [accounts, extended] = await Promise.all([
    loadPastAccounts(sql, pastOf(false)),
    loadPastHolds(sql, pastOf(true), holds),
  ])
  const results = new Map<string, CommandResult>()
  for (const [id, client] of clients) results.set(id, { kind: 'client', client })
  for (const { commandId, past } of changes) {
    const [account, hold] = [accounts.get(nameOfPast(past)), extended.get(nameOfPast(past))]
    if (account) results.set(commandId, { kind: 'account', account })
    if (hold) results.set(commandId, { kind: 'hold', hold })
  }
  return results
}

/** Undefined when the command has not been executed. */
function resultOf(
  command: Command,
  { accounts, holds }: Omit<Book, 'done'>,
  transactions: ReadonlyMap<string, Legs>,
): CommandResult | undefined {
  const { id } = command
  const legs = transactions.get(id)
  if (legs) return { kind: 'transaction', legs }
  const account = accounts.get(id)
  if (account) return { kind: 'account', account: asOpened(account) }
  const ended = command.type === 'release' ? holds.get(command.holdId) : undefined
  const hold = ended?.endedBy === id ? ended : holds.get(id)
  return hold && { kind: 'hold', hold }
}
