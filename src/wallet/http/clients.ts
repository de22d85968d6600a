/** Clients: people and companies that own accounts. */

import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { isUuid } from '../../contract/id'
import { problems } from '../../contract/problems'
import { actor, time, uuid, version } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { listResponse, pageHeaders, paging } from '../../platform/http/list'
import { AssumedClientVersions } from '../../platform/http/preview'
import { answer, route } from '../../platform/http/route'
import { closed, closedObject, described, notEmpty, nullable } from '../../platform/http/schemas'
import type { Client } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findClient } from '../ledger/store/rows'
import { listClients } from '../queries/lists-store'
import { answerCommand, commandRoute, type Responder } from './commands'
import { clientExamples } from './examples/clients'
import { answerList } from './lists'
import { previewMembers } from './previews'
import { Email, Name } from './text'
import { findById, pathId } from './values'

const NewClient = closedObject('NewClient', { name: Name, email: Email })
const ClientQuery = Type.Object(
  {
    email: Type.Optional(described(Email, 'Those with this e-mail address, in any letter case.')),
    ...paging,
  },
  closed,
)

const ClientUpdate = notEmpty(
  closedObject('ClientUpdate', { name: Type.Optional(Name), email: Type.Optional(Email) }),
)

export const ClientResponse = closedObject('Client', {
  id: uuid('The client.'),
  name: nullable(Type.String(), 'As it was sent. Null once it was erased.'),
  email: nullable(Type.String(), 'As it was sent. Null once it was erased.'),
  version: version('1 at first, and one more with each change.'),
  actor: actor('Who registered it'),
  changed_actor: actor('Who last changed it'),
  created_at: time('When it was registered.'),
  updated_at: time('When this version was written.'),
  erased_at: nullable(time('When its personal data was erased. Null while it is there.')),
})

const ClientChangePreview = closedObject('ClientChangePreview', {
  ...ClientResponse.properties,
  ...previewMembers,
  assumed: AssumedClientVersions,
})

const presentClient = (client: Client): Static<typeof ClientResponse> => ({
  id: client.id,
  name: client.name,
  email: client.email,
  version: Number(client.version),
  actor: client.actor,
  changed_actor: client.changedActor,
  created_at: client.createdAt.toISOString(),
  updated_at: client.updatedAt.toISOString(),
  erased_at: client.erasedAt?.toISOString() ?? null,
})

const respondWithClient: Responder<'client'> = {
  kind: 'client',
  present: ({ client }) => ({ location: `/clients/${client.id}`, body: presentClient(client) }),
}

export const respondWithUpdated: Responder<'client'> = {
  kind: 'client',
  present: ({ client }) => ({ body: presentClient(client) }),
}

export const clientsTag = { name: 'Clients', description: 'People and companies that own accounts.' }

export const clientRoutes = (wallet: Wallet) => [
  commandRoute({
    method: 'POST',
    path: '/clients',
    id: 'createClient',
    scope: 'write',
    tag: clientsTag,
    summary: 'Registers a client.',
    body: NewClient,
    responses: { 201: answer(ClientResponse, { headers: [responseHeaders.location] }) },
    examples: clientExamples.createClient,
    handle({ body, call }) {
      const command = { type: 'registration', id: randomUUIDv7('hex', wallet.clock()), ...body } as const
      return answerCommand(wallet, call, { command, body, meaning: () => body }, respondWithClient)
    },
  }),
  route({
    method: 'GET',
    path: '/clients',
    id: 'listClients',
    scope: 'read',
    tag: clientsTag,
    summary: 'Clients, in the order of their ids.',
    query: ClientQuery,
    responses: { 200: answer(listResponse('Clients', ClientResponse), { headers: pageHeaders }) },
    examples: clientExamples.listClients,
    handle({ query: { limit, cursor, email }, request }) {
      const filter = { list: 'clients', email: email?.toLowerCase() }
      return answerList(
        request,
        { limit, cursor, filter },
        { read: (page) => listClients(wallet.database, { email }, page), present: presentClient },
      )
    },
  }),
  route({
    method: 'GET',
    path: '/clients/:id',
    id: 'getClient',
    scope: 'read',
    tag: clientsTag,
    summary: 'A client.',
    params: { id: pathId('The client.') },
    responses: { 200: ClientResponse },
    problems: [problems.clientNotFound],
    examples: clientExamples.getClient,
    subjects: ({ params }) => [{ client: params.id }],
    async handle({ params, request }) {
      const client = await findById(params.id, (id) => findClient(wallet.database, id))
      return client ? Response.json(presentClient(client)) : refuseClient(request, params.id)
    },
  }),
  commandRoute({
    method: 'PATCH',
    path: '/clients/:id',
    id: 'updateClient',
    scope: 'write',
    tag: clientsTag,
    summary: 'Changes the name or the e-mail address of a client. What is absent stays.',
    params: { id: pathId('The client.') },
    body: ClientUpdate,
    responses: { 200: answer(ClientResponse, { preview: answer(ClientChangePreview) }) },
    problems: [problems.clientNotFound, problems.clientErased],
    examples: clientExamples.updateClient,
    handle({ body, params, call }) {
      if (!isUuid(params.id)) return refuseClient(call.request, params.id)
      const { name = null, email = null } = body
      const id = randomUUIDv7('hex', wallet.clock())
      const command = { type: 'update', id, clientId: params.id.toLowerCase(), name, email } as const
      return answerCommand(wallet, call, { command, body }, respondWithUpdated)
    },
  }),
]

export const refuseClient = (request: Request, id: string): Response =>
  refuse(request, problems.clientNotFound, { detail: `client ${id} does not exist` })
