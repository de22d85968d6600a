/** What is stored about a client as a person: for a person who asks for it, and to be erased. */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { isUuid } from '../../contract/id'
import { problems } from '../../contract/problems'
import { time, uuid, version } from '../../contract/schemas'
import { route } from '../../platform/http/route'
import { closedObject, nullable } from '../../platform/http/schemas'
import type { Wallet } from '../ledger/ledger'
import { findPersonalData, type PersonalData } from '../queries/personal-data-store'
import { ClientResponse, clientsTag, refuseClient, respondWithUpdated } from './clients'
import { answerCommand, queued } from './commands'
import { personalDataExamples } from './examples/personal-data'
import { findById, pathId } from './values'

const Version = closedObject('PersonalDataVersion', {
  version: version('Of the client.'),
  name: Type.String({ description: 'As it was sent.' }),
  email: Type.String({ description: 'As it was sent.' }),
  since: time('From when it was so, until the next version.'),
})

const PersonalDataResponse = closedObject('PersonalData', {
  client_id: uuid('The client.'),
  versions: Type.Array(Version, { description: 'The newest last. None once they were erased.' }),
  erased_at: nullable(time('When they were erased. Null while they are there.')),
  purged_at: nullable(
    time('When no record of the topics had them any more. Null before; it follows the erasure by itself.'),
  ),
})

const present = (clientId: string, { versions, erasedAt, purgedAt }: PersonalData) =>
  ({
    client_id: clientId,
    versions: versions.map(({ version, ...rest }) => ({ version: Number(version), ...rest })),
    erased_at: erasedAt,
    purged_at: purgedAt,
  }) satisfies Static<typeof PersonalDataResponse>

const path = '/clients/:id/personal-data'
const params = { id: pathId('The client.') }

export const personalDataRoutes = (wallet: Wallet) => [
  route({
    method: 'GET',
    path,
    id: 'getPersonalData',
    scope: 'read',
    tag: clientsTag,
    summary:
      'All that is stored about a client as a person, in each version, and what became of its erasure.',
    params,
    responses: { 200: PersonalDataResponse },
    problems: [problems.clientNotFound],
    examples: personalDataExamples.getPersonalData,
    subjects: ({ params }) => [{ client: params.id }],
    async handle({ params, request }) {
      const found = await findById(params.id, (id) => findPersonalData(wallet.database, id))
      return found ? Response.json(present(params.id.toLowerCase(), found)) : refuseClient(request, params.id)
    },
  }),
  route({
    method: 'DELETE',
    path,
    id: 'erasePersonalData',
    scope: 'admin',
    tag: clientsTag,
    summary: 'Erases the name and the e-mail address of a client, in all versions, at both services. Final.',
    description:
      'They are gone from the answers of the wallet at once, and from those of balances within moments. ' +
      'From the topics they are deleted in the background: `GET /clients/{id}/personal-data` shows when it ' +
      'is done. The client, its accounts and its money stay. Repeating it changes nothing.',
    params,
    responses: { 200: ClientResponse },
    traits: [queued],
    problems: [problems.clientNotFound],
    examples: personalDataExamples.erasePersonalData,
    handle({ params, request, route }) {
      if (!isUuid(params.id)) return refuseClient(request, params.id)
      const id = randomUUIDv7('hex', wallet.clock())
      const command = { type: 'erasure', id, clientId: params.id.toLowerCase() } as const
      const call = { request, route, params, isPreview: false }
      return answerCommand(wallet, call, { command, body: {} }, respondWithUpdated)
    },
  }),
]
