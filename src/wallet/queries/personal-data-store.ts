/** All that is known of a client as a person, and what became of its erasure. */
import type { Database } from '../../platform/postgres/database'
import type { Statements } from '../../platform/postgres/statements'

export type PersonalVersion = { version: bigint; name: string; email: string; since: string }

export type PersonalData = {
  /** From the first on; none once they were erased. */
  versions: PersonalVersion[]
  erasedAt: string | null
  /** Null until no record of the topics has any. */
  purgedAt: string | null
}

type Row = Pick<PersonalData, 'erasedAt' | 'purgedAt'> & {
  [Part in keyof PersonalVersion]: PersonalVersion[Part] | null
}

/** Undefined for an unknown client. */
export async function findPersonalData(
  { sql }: Pick<Database, 'sql'>,
  clientId: string,
): Promise<PersonalData | undefined> {
  const rows = await select(sql, clientId)
  const [first] = rows
  if (!first) return undefined
  const { erasedAt, purgedAt } = first
  return { versions: rows.flatMap(versionOf), erasedAt, purgedAt }
}

const select = (sql: Statements, clientId: string) => sql<Row[]>`
  select personal_data.version, name, email, past.created_at as since,
    clients.erased_at as "erasedAt", purged_at as "purgedAt"
  from clients
  left join personal_data on personal_data.client_id = clients.id
  left join client_versions as past
    on past.client_id = clients.id and past.version = personal_data.version
  left join erasures on erasures.client_id = clients.id
  where clients.id = ${clientId}::uuid
  order by personal_data.version`

const versionOf = ({ version, name, email, since }: Row): PersonalVersion | [] =>
  version === null || name === null || email === null || since === null ? [] : { version, name, email, since }
