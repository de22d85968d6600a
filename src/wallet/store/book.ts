/** What a batch of commands has to know before it can be decided. */
import { arrayOf, type Database } from '../../platform/database'
import type { Account } from '../domain/account'
import type { Book, Command } from '../domain/book'
import type { Fact } from '../domain/movement'
import { loadHolds } from './holds'
import { loadOriginals } from './transactions'

export type Loaded = {
  book: Book
  /** Whether `fact` is in the ledger. A batch is appended as a whole, so one fact of it tells for all. */
  appended: boolean
}

/**
 * Reads the accounts, and in the same snapshot whether the fact is in the ledger: `appended` is false exactly when they do not hold it yet. Holds and
 * originals are read after the accounts: whatever changes one of them appends an entry to its accounts, so that a batch which was decided
 * over accounts that are older than their holds collides.
 */
export async function loadBook(database: Database, commands: Command[], fact: Fact | undefined): Promise<Loaded> {
  const accountIds = new Set(commands.flatMap((command) => [command.accountIdFrom, command.accountIdTo]))
  const { accounts, appended } = await loadAccounts(database, [...accountIds], fact)
  const holdIds = commands.flatMap((command) => ('holdId' in command ? command.holdId : []))
  const originalIds = commands.flatMap((command) => ('reverses' in command ? command.reverses : []))
  const [holds, originals] = await Promise.all([loadHolds(database, holdIds), loadOriginals(database, originalIds)])
  return { book: { accounts, holds, originals }, appended }
}

type AccountRow = {
  id: string
  currency: string
  balance_minor: bigint
  held_minor: bigint
  version: bigint
  overdraft_limit_minor: bigint | null
  appended: boolean
}

async function loadAccounts({ sql }: Database, ids: string[], fact: Fact | undefined) {
  const entry = fact?.entries[0]
  const rows = await sql<AccountRow[]>`
    select
      id, currency, balance_minor, held_minor, version, overdraft_limit_minor,
      exists (
        select from entries
        where account_id = ${entry?.accountId ?? null} and version = ${entry?.version ?? null}
          and transaction_id = ${fact?.id ?? null}
      ) as appended
    from accounts
    where id = any(${arrayOf(ids)}::uuid[])`
  const accounts = rows.map(
    (row): Account => ({
      id: row.id,
      currency: row.currency,
      balanceMinor: row.balance_minor,
      heldMinor: row.held_minor,
      version: row.version,
      overdraftLimitMinor: row.overdraft_limit_minor,
    }),
  )
  return {
    accounts: new Map(accounts.map((account) => [account.id, account])),
    appended: rows[0]?.appended ?? false,
  }
}
