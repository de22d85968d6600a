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

type PastClient = Pick<Client, 'id' | 'name' | 'email' | 'version' | 'actor' | 'changedActor'> &
  Record<'createdAt' | 'updatedAt', string> & { erasedAt: string | null }

const clientOf = ({ createdAt, updatedAt, erasedAt, ...client }: PastClient): Client => ({
  ...client,
  createdAt: new Date(createdAt),
  updatedAt: new Date(updatedAt),
  erasedAt: erasedAt === null ? null : new Date(erasedAt),
})

/** The personal data of a version is gone once the client was erased, and its answer shows that. */
const clientColumns = (sql: Statements) => sql`
  past.client_id as id, past.version, personal_data.name, personal_data.email,
  past.created_at as "updatedAt", case when past.version > 1 then past.actor end as "changedActor",
  clients.actor, clients.created_at as "createdAt", clients.erased_at as "erasedAt"`
const clientTables = (sql: Statements) => sql`
  client_versions as past
  join clients on clients.id = past.client_id
  left join personal_data
    on personal_data.client_id = past.client_id and personal_data.version = past.version`

/** By `nameOfPast`. */
export async function loadPastClients(sql: Statements, past: readonly Past[]): Promise<Map<string, Client>> {
  if (past.length === 0) return new Map()
  const rows = await sql<PastClient[]>`
    select ${clientColumns(sql)} from ${clientTables(sql)}
    join ${named(sql, past)} on past.client_id = named.id and past.version = named.version`
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
    from ${clientTables(sql)} where past.id = any(${arrayOf(commandIds)}::uuid[])`
  return new Map(rows.map(({ commandId, ...row }) => [commandId, clientOf(row)]))
}
