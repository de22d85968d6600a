/** What is stored of the epochs of the ledger, and the removal of what a restored ledger has lost. */
import { firstEpoch } from '../../contract/wire/envelope'
import { arrayOf, type Statements } from '../../platform/postgres/statements'
import type { EntryRow, EpochChanges, KnownEpochs } from './types'

/** The newest epoch, and the newest of which all that was lost is removed. */
export type StoredEpochs = { current: number; complete: number }

export async function loadEpochs(sql: Statements): Promise<StoredEpochs> {
  const [row] = await sql<{ current: number | null; complete: number | null }[]>`
    select max(epoch) as current, max(epoch) filter (where completed_at is not null) as complete
    from ledger_epochs`
  return { current: row?.current ?? firstEpoch, complete: row?.complete ?? firstEpoch }
}

/** The newest epoch in numbers. */
export type EpochState = {
  epoch: number
  accounts: bigint | null
  accountsStarted: bigint
  voided: bigint
  isComplete: boolean
}

/** Undefined in the first epoch. */
export async function findEpochState(sql: Statements): Promise<EpochState | undefined> {
  const [row] = await sql<EpochState[]>`
    select epoch, accounts, accounts_started as "accountsStarted", voided,
      completed_at is not null as "isComplete"
    from ledger_epochs order by epoch desc limit 1`
  return row
}

/**
 * Whether all that is applied at the moment is of this epoch: true for the newest one, once nothing of an
 * earlier one is left to be removed. Part of a claim.
 */
export const isSettledIn = (sql: Statements, epoch: number) => sql`
  ${epoch}::integer = coalesce(
    (select case when completed_at is not null then epoch end from ledger_epochs order by epoch desc limit 1),
    case when not exists (select from ledger_epochs) then ${firstEpoch}::integer end
  )`

/** Until the end of the transaction no other process applies anything: each apply advances an offset. */
export async function lockApplies(tx: Statements): Promise<void> {
  await tx`lock table consumed_offsets in share row exclusive mode`
}

export async function loadKnownEpochs(
  tx: Statements,
  clientIds: readonly string[],
): Promise<KnownEpochs & StoredEpochs> {
  const epochs = await loadEpochs(tx)
  const rows = await tx<{ id: string; epoch: number }[]>`
    select id, coalesce(epoch, ${firstEpoch}::integer) as epoch from clients
    where id = any(${arrayOf(clientIds)}::text[])`
  return { ...epochs, clients: new Map(rows.map(({ id, epoch }) => [id, epoch])) }
}

/** Before the rows are written: entries that they replace, and those that are void from now on. */
export async function removeVoidEntries(
  tx: Statements,
  { starts }: EpochChanges,
  entries: readonly EntryRow[],
): Promise<void> {
  if (!(await hasEntriesIndex(tx))) return
  const replacing = entries.filter(({ epoch }) => epoch)
  await tx`
    delete from entries using unnest(
      ${arrayOf(replacing.map(({ accountId }) => accountId))}::text[],
      ${arrayOf(replacing.map(({ version }) => version))}::bigint[],
      ${arrayOf(replacing.map(({ epoch }) => epoch))}::integer[]
    ) as replacing (account_id, version, epoch)
    where entries.account_id = replacing.account_id collate "C" and entries.version = replacing.version
      and coalesce(entries.epoch, 1) < replacing.epoch`
  await tx`
    delete from entries using unnest(
      ${arrayOf(starts.map(({ accountId }) => accountId))}::text[],
      ${arrayOf(starts.map(({ version }) => version))}::bigint[],
      ${arrayOf(starts.map(({ epoch }) => epoch))}::integer[]
    ) as start (account_id, version, epoch)
    where entries.account_id = start.account_id collate "C" and entries.version > start.version
      and coalesce(entries.epoch, 1) < start.epoch`
}

/** Without it, in an unfinished rebuild, each deletion would read the table: it is cleaned at the end. */
async function hasEntriesIndex(tx: Statements): Promise<boolean> {
  const [row] = await tx<{ has: boolean }[]>`select to_regclass('entries_pkey') is not null as has`
  return row?.has ?? false
}

/** After the rows are written. Returns an epoch that is complete with them: what it has lost is removed. */
export async function recordEpochs(
  tx: Statements,
  { progress, voided }: EpochChanges,
): Promise<number | undefined> {
  const all = [...progress]
  await tx`
    insert into ledger_epochs as stored
      (epoch, accounts, clients, accounts_started, clients_started)
    select * from unnest(
      ${arrayOf(all.map(([epoch]) => epoch))}::integer[],
      ${arrayOf(all.map(([, { expected }]) => expected?.accounts))}::bigint[],
      ${arrayOf(all.map(([, { expected }]) => expected?.clients))}::bigint[],
      ${arrayOf(all.map(([, { accounts }]) => accounts))}::bigint[],
      ${arrayOf(all.map(([, { clients }]) => clients))}::bigint[]
    )
    on conflict (epoch) do update set
      accounts = coalesce(excluded.accounts, stored.accounts),
      clients = coalesce(excluded.clients, stored.clients),
      accounts_started = stored.accounts_started + excluded.accounts_started,
      clients_started = stored.clients_started + excluded.clients_started`
  if (voided > 0)
    await tx`
      update ledger_epochs set voided = voided + ${voided}
      where epoch = (select max(epoch) from ledger_epochs)`
  const [complete] = await tx<{ epoch: number }[]>`
    select epoch from ledger_epochs
    where completed_at is null and accounts_started >= accounts and clients_started >= clients
    order by epoch desc limit 1`
  if (!complete) return undefined
  await removeLost(tx, complete.epoch)
  await tx`update ledger_epochs set completed_at = now() where epoch <= ${complete.epoch}`
  return complete.epoch
}

/** Accounts and clients that the ledger has lost, and entries of those that it has opened again since. */
async function removeLost(tx: Statements, epoch: number): Promise<void> {
  await tx`delete from clients where coalesce(epoch, 1) < ${epoch}`
  const isIndexed = await hasEntriesIndex(tx)
  if (isIndexed)
    await tx`
      delete from entries using balances as account
      where entries.account_id = account.account_id collate "C" and coalesce(entries.epoch, 1) < ${epoch}
        and coalesce(account.start_epoch, 1) < ${epoch} and account.source is distinct from 'versionless'`
  await tx`
    delete from balances where coalesce(epoch, 1) < ${epoch} and source is distinct from 'versionless'`
}

/** The same for the entries of a rebuild, which had no index until now, in one pass. */
export async function cleanEntries(tx: Statements): Promise<void> {
  const { current, complete } = await loadEpochs(tx)
  if (current === firstEpoch) return
  await tx`
    delete from entries using (
      select ctid as address, row_number() over (
        partition by account_id, version order by coalesce(epoch, 1) desc, ctid
      ) as number
      from entries
    ) as numbered
    where entries.ctid = numbered.address and numbered.number > 1`
  await tx`
    delete from entries using balances as account
    where entries.account_id = account.account_id collate "C"
      and coalesce(entries.epoch, 1) < account.start_epoch and entries.version > account.start_version`
  await tx`
    delete from entries
    where coalesce(epoch, 1) < ${complete} and not exists (
      select from balances as account where account.account_id = entries.account_id
        and (coalesce(account.start_epoch, 1) >= ${complete} or account.source = 'versionless')
    )`
}
