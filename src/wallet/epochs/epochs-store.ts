/** The epochs of the ledger, and what it has of the events on the broker. */
import { and, eq, gt } from 'drizzle-orm'
import { nilUuid } from '../../contract/id'
import type { Database } from '../../platform/postgres/database'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import { accounts, clients, clientVersions, type EpochCause, type ledgerEpochs } from '../db/schema'
import type { Account } from '../domain/account'
import type { ClientVersion } from '../events'

/** The last one. */
export type LedgerEpoch = Pick<
  typeof ledgerEpochs.$inferSelect,
  'id' | 'cause' | 'evidence' | 'withHistory'
> & {
  epoch: number
  startedAt: string
  /** How many clients and accounts are in the outbox, as they are at its start. */
  clients: bigint
  accounts: bigint
  clientsAfter: string | null
  accountsAfter: string | null
  isComplete: boolean
}

export async function findEpoch(sql: Statements, { lock = false } = {}): Promise<LedgerEpoch> {
  const [row] = await sql<LedgerEpoch[]>`
    select epoch, id, cause, evidence, with_history as "withHistory", started_at as "startedAt",
      clients, accounts, clients_after as "clientsAfter", accounts_after as "accountsAfter",
      completed_at is not null as "isComplete"
    from ledger_epochs order by epoch desc limit 1 ${lock ? sql`for update` : sql``}`
  if (!row) throw new Error('the ledger has no epoch')
  return row
}

/** Of these, the ids that the ledger has: of clients, accounts, transactions, holds and changes. */
export async function findKnownIds(sql: Statements, ids: readonly string[]): Promise<Set<string>> {
  const rows = await sql<{ id: string }[]>`
    select id from unnest(${arrayOf(ids)}::uuid[]) as published (id)
    where exists (select from transactions where transactions.id = published.id)
      or exists (select from accounts where accounts.id = published.id)
      or exists (select from client_versions where client_versions.id = published.id)
      or exists (select from holds where holds.id = published.id)
      or exists (select from holds where ended_by = published.id)
      or exists (select from changes where changes.id = published.id)
      or exists (select from ledger_epochs where ledger_epochs.id = published.id)`
  return new Set(rows.map(({ id }) => id))
}

/** After the last one, and after `above`. If nothing is published in the last one, it gets the number. */
export async function startEpoch(
  { sql }: Pick<Database, 'sql'>,
  { cause, evidence, above }: { cause: EpochCause; evidence: string | null; above: number },
): Promise<void> {
  await sql.begin(async (tx) => {
    const last = await findEpoch(tx, { lock: true })
    const next = Math.max(last.epoch, above) + 1
    // Another ledger has used the number.
    const withHistory = above > last.epoch
    const isUntouched = !last.isComplete && last.clientsAfter === null && last.accountsAfter === null
    if (isUntouched)
      await tx`
        update ledger_epochs set
          epoch = ${next}, evidence = coalesce(evidence, ${evidence}),
          with_history = with_history or ${above >= last.epoch}
        where epoch = ${last.epoch}`
    else
      await tx`
        insert into ledger_epochs (epoch, cause, evidence, with_history)
        values (${next}, ${cause}, ${evidence}, ${withHistory})`
  })
}

/** In the transaction that puts their state into the outbox. */
export async function advanceStart(
  tx: Statements,
  epoch: number,
  to: Partial<Record<'clientsAfter' | 'accountsAfter', string>> & { clients?: number; accounts?: number },
): Promise<void> {
  await tx`
    update ledger_epochs set
      clients_after = coalesce(${to.clientsAfter ?? null}::uuid, clients_after),
      accounts_after = coalesce(${to.accountsAfter ?? null}::uuid, accounts_after),
      clients = clients + ${to.clients ?? 0}, accounts = accounts + ${to.accounts ?? 0}
    where epoch = ${epoch}`
}

export async function completeStart(tx: Statements, epoch: number): Promise<void> {
  await tx`update ledger_epochs set completed_at = now() where epoch = ${epoch}`
}

/** Clients as they are, in the order of their ids. */
export async function listClients(
  { orm }: Pick<Database, 'orm'>,
  { after, limit }: { after: string | null; limit: number },
): Promise<ClientVersion[]> {
  const isNewest = and(eq(clientVersions.clientId, clients.id), eq(clientVersions.version, clients.version))
  return orm
    .select({ changeId: clientVersions.id, client: clients })
    .from(clients)
    .innerJoin(clientVersions, isNewest)
    .where(gt(clients.id, after ?? nilUuid))
    .orderBy(clients.id)
    .limit(limit)
}

/** The same of accounts. That of `world` in any currency begins with zeros, but not with zeros alone. */
export const listAccounts = (
  { orm }: Pick<Database, 'orm'>,
  { after, limit }: { after: string | null; limit: number },
): Promise<Account[]> =>
  orm
    .select()
    .from(accounts)
    .where(gt(accounts.id, after ?? nilUuid))
    .orderBy(accounts.id)
    .limit(limit)

/** How many clients and accounts there are, for progress. */
export async function countHolders(sql: Statements): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select (select count(*) from clients)::int + (select count(*) from accounts)::int as count`
  return row?.count ?? 0
}
