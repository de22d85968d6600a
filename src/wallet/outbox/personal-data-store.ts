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

const selectNow = (sql: Statements) => sql`
  select clients.id, newest.id as "changeId", clients.version, newest.actor,
    clients.updated_at as "createdAt", personal_data.name, personal_data.email
  from clients
  join client_versions as newest on newest.client_id = clients.id and newest.version = clients.version
  left join personal_data
    on personal_data.client_id = clients.id and personal_data.version = clients.version`

/** By client. Throws for an unknown one. */
export async function loadPersonalData(
  sql: Statements,
  clientIds: readonly string[],
): Promise<ReadonlyMap<string, EncodedEvent>> {
  const rows = await sql<Row[]>`${selectNow(sql)} where clients.id = any(${arrayOf(clientIds)}::uuid[])`
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
  const rows = await sql<Row[]>`
    ${selectNow(sql)} where clients.id > ${after}::uuid order by clients.id limit ${limit}`
  return rows.map(eventOf)
}

function eventOf({ id, changeId: change_id, version, actor, createdAt, name, email }: Row): EncodedEvent {
  const created_at = new Date(createdAt).toISOString()
  const state = { change_id, id, version: Number(version), ...(actor !== null && { actor }), created_at }
  return name === null || email === null
    ? encodeEvent({ name: 'PersonalDataErased', payload: state }, created_at)
    : encodeEvent({ name: 'PersonalDataRecorded', payload: { ...state, name, email } }, created_at)
}
