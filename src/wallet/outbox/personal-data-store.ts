/**
 * Events about the personal data of clients, as it is now. Made when they are sent, and stored nowhere:
 * after an erasure none can be left behind.
 */
import { nilUuid } from '../../contract/id'
import { type EncodedEvent, encodeEvent } from '../../contract/wire/envelope'
import { arrayOf, type Statements } from '../../platform/postgres/statements'

type Row = {
  id: string
  changeId: string
  version: bigint
  actor: string | null
  createdAt: string
  /** Null once they were erased. */
  name: string | null
  email: string | null
}

/** Of some clients. Row by row (`offset 0`): any other plan would read all of the tables for each page. */
const selectNow = (sql: Statements, some: ReturnType<Statements>) => sql<Row[]>`
  select chosen.id, newest.id as "changeId", version, actor, updated_at as "createdAt", name, email
  from (select id, version, updated_at from clients ${some}) as chosen
  cross join lateral (
    select id, actor from client_versions
    where client_id = chosen.id and version = chosen.version offset 0
  ) as newest
  left join lateral (
    select name, email from personal_data
    where client_id = chosen.id and version = chosen.version offset 0
  ) as personal on true
  order by chosen.id`

/** By client. Throws for an unknown one. */
export async function loadPersonalData(
  sql: Statements,
  clientIds: readonly string[],
): Promise<ReadonlyMap<string, EncodedEvent>> {
  const rows = await selectNow(sql, sql`where id = any(${arrayOf(clientIds)}::uuid[])`)
  const events = new Map(rows.map((row) => [row.id, eventOf(row)]))
  const unknown = clientIds.find((id) => !events.has(id))
  if (unknown !== undefined) throw new Error(`no client ${unknown}, whose personal data is to be published`)
  return events
}

/** Of all clients, in the order of their ids: those after one, or from the first on. */
export async function listPersonalData(
  sql: Statements,
  { after = nilUuid, limit }: { after: string | undefined; limit: number },
): Promise<EncodedEvent[]> {
  const rows = await selectNow(sql, sql`where id > ${after}::uuid order by id limit ${limit}`)
  return rows.map(eventOf)
}

function eventOf({ id, changeId: change_id, version, actor, createdAt, name, email }: Row): EncodedEvent {
  const created_at = new Date(createdAt).toISOString()
  const state = { change_id, id, version: Number(version), ...(actor !== null && { actor }), created_at }
  return name === null || email === null
    ? encodeEvent({ name: 'PersonalDataErased', payload: state }, created_at)
    : encodeEvent({ name: 'PersonalDataRecorded', payload: { ...state, name, email } }, created_at)
}
