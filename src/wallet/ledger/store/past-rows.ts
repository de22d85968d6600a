/** Accounts, holds and clients as a command left them, for the answer to its repetition. */
import { arrayOf, type Statements } from '../../../platform/postgres/statements'
import type { Account } from '../../domain/account'
import { asOpen, asPlaced } from '../../domain/hold'
import type { Client, Hold } from '../../domain/types'
import { type AccountRow, accountOf } from './rows'

/** A version of an account, of the paying account of a hold, or of a client. */
export type Past = { id: string; version: bigint | string }

export const nameOfPast = ({ id, version }: Past): string => `${id}:${version}`

const named = (sql: Statements, past: readonly Past[]) => sql`unnest(
  ${arrayOf(past.map(({ id }) => id))}::uuid[],
  ${arrayOf(past.map(({ version }) => String(version)))}::bigint[]
) as named (id, version)`

/** By `nameOfPast`. Version 0 is the opening. */
export async function loadPastAccounts(
  sql: Statements,
  past: readonly Past[],
): Promise<Map<string, Account>> {
  if (past.length === 0) return new Map()
  const rows = await sql<AccountRow[]>`
    select account.id, client_id as "clientId", currency, named.version,
      coalesce(entry.balance_minor, 0) as "balanceMinor", coalesce(entry.held_minor, 0) as "heldMinor",
      coalesce(
        change.overdraft_limit_minor, account.opening_limit_minor, account.overdraft_limit_minor
      ) as "overdraftLimitMinor",
      account.opening_limit_minor as "openingLimitMinor", coalesce(change.status, 'open') as status,
      account.actor, (
        select actor from changes
        where account_id = named.id and version <= named.version and kind <> 'expiry'
        order by version desc limit 1
      ) as "changedActor",
      account.created_at as "createdAt",
      coalesce(entry.created_at, account.created_at) as "updatedAt"
    from ${named(sql, past)}
    join accounts as account using (id)
    left join entries as entry on entry.account_id = named.id and entry.version = named.version
    left join lateral (
      select status, overdraft_limit_minor from changes
      where account_id = named.id and version <= named.version order by version desc limit 1
    ) as change on true`
  return new Map(rows.map((row) => [nameOfPast(row), accountOf(row)]))
}

/** By `nameOfPast`. `holds` has all of them, as they are now. */
export async function loadPastHolds(
  sql: Statements,
  past: readonly Past[],
  holds: ReadonlyMap<string, Hold>,
): Promise<Map<string, Hold>> {
  if (past.length === 0) return new Map()
  type Row = { id: string; version: bigint; expiresAt: string | null; extendedActor: string | null }
  const rows = await sql<Row[]>`
    select named.id, named.version, change.expires_at as "expiresAt", change.actor as "extendedActor"
    from ${named(sql, past)}
    left join changes as change on change.hold_id = named.id and change.version = named.version`
  return new Map(
    rows.flatMap(({ id, version, expiresAt, extendedActor }) => {
      const hold = holds.get(id)
      if (!hold) return []
      const extension = { versionExtended: version, expiresAt: new Date(expiresAt ?? 0), extendedActor }
      const extended = { ...asOpen(hold), ...extension }
      return [[nameOfPast({ id, version }), expiresAt === null ? asPlaced(hold) : extended]]
    }),
  )
}

type PastClient = Omit<Client, 'createdAt' | 'updatedAt'> & { createdAt: string; updatedAt: string }

const clientOf = ({ createdAt, updatedAt, ...client }: PastClient): Client => ({
  ...client,
  createdAt: new Date(createdAt),
  updatedAt: new Date(updatedAt),
})

const clientColumns = (sql: Statements) => sql`
  client_id as id, past.version, past.name, past.email, past.created_at as "updatedAt",
  case when past.version > 1 then past.actor end as "changedActor",
  (select actor from clients where clients.id = client_id),
  (select created_at from clients where clients.id = client_id) as "createdAt"`

/** By `nameOfPast`. */
export async function loadPastClients(sql: Statements, past: readonly Past[]): Promise<Map<string, Client>> {
  if (past.length === 0) return new Map()
  const rows = await sql<PastClient[]>`
    select ${clientColumns(sql)} from ${named(sql, past)}
    join client_versions as past on client_id = named.id and past.version = named.version`
  return new Map(rows.map((row) => [nameOfPast(row), clientOf(row)]))
}

/** As these commands left them, by command. */
export async function loadChangedClients(
  sql: Statements,
  commandIds: readonly string[],
): Promise<Map<string, Client>> {
  if (commandIds.length === 0) return new Map()
  const rows = await sql<(PastClient & { commandId: string })[]>`
    select past.id as "commandId", ${clientColumns(sql)}
    from client_versions as past where id = any(${arrayOf(commandIds)}::uuid[])`
  return new Map(rows.map(({ commandId, ...row }) => [commandId, clientOf(row)]))
}
