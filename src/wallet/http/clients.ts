/** Clients: people and companies that own accounts. */

import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { problems } from '../../contract/problems'
import { time, uuid } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { responseHeaders } from '../../platform/http/headers'
import { listResponse, pageHeaders, paging } from '../../platform/http/list'
import { answer, route } from '../../platform/http/route'
import { closed, closedObject, described } from '../../platform/http/schemas'
import type { Client } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findClient } from '../ledger/store/rows'
import { listClients } from '../queries/lists-store'
import { answerCommand, commandRoute, type Responder } from './commands'
import { clientExamples } from './examples/clients'
import { answerList } from './lists'
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

const ClientResponse = closedObject('Client', {
  id: uuid('The client.'),
  name: Type.String({ description: 'As it was sent.' }),
  email: Type.String({ description: 'As it was sent.' }),
  created_at: time('When it was registered.'),
})

const presentClient = ({ id, name, email, createdAt }: Client): Static<typeof ClientResponse> => ({
  id,
  name,
  email,
  created_at: createdAt.toISOString(),
})

const respondWithClient: Responder<'client'> = {
  kind: 'client',
  present: ({ client }) => ({ location: `/clients/${client.id}`, body: presentClient(client) }),
}

const tag = { name: 'Clients', description: 'People and companies that own accounts.' }

export const clientRoutes = (wallet: Wallet) => [
  commandRoute({
    method: 'POST',
    path: '/clients',
    id: 'createClient',
    tag,
    summary: 'Registers a client.',
    body: NewClient,
    responses: { 201: answer(ClientResponse, { headers: [responseHeaders.location] }) },
    examples: clientExamples.createClient,
    handle({ body, call }) {
      const command = { type: 'registration', id: randomUUIDv7('hex', wallet.clock()), ...body } as const
      return answerCommand(wallet, call, { command, body, meaning: body }, respondWithClient)
    },
  }),
  route({
    method: 'GET',
    path: '/clients',
    id: 'listClients',
    tag,
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
    tag,
    summary: 'A client.',
    params: { id: pathId('The client.') },
    responses: { 200: ClientResponse },
    problems: [problems.clientNotFound],
    examples: clientExamples.getClient,
    async handle({ params, request }) {
      const client = await findById(params.id, (id) => findClient(wallet.database, id))
      if (client) return Response.json(presentClient(client))
      return refuse(request, problems.clientNotFound, { detail: `client ${params.id} does not exist` })
    },
  }),
]
