/** Clients: people and companies that own accounts. */
import { type Static, Type } from '@sinclair/typebox'
import { randomUUIDv7 } from 'bun'
import { problems } from '../../contract/problems'
import { time, uuid } from '../../contract/schemas'
import { refuse } from '../../platform/http/app'
import { route } from '../../platform/http/route'
import { closed, closedObject } from '../../platform/http/schemas'
import type { Client } from '../domain/types'
import type { Wallet } from '../ledger/ledger'
import { findClient } from '../ledger/store/rows'
import { answerCommand, created, keyProblems, type Responder } from './commands'
import { Email, Name } from './text'
import { findById } from './values'

const NewClient = Type.Object({ name: Name, email: Email }, closed)

const ClientResponse = closedObject('Client', {
  id: uuid('The client.'),
  name: Type.String(),
  email: Type.String(),
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
  respond: ({ client }, headers) => created(`/clients/${client.id}`, presentClient(client), headers),
}

export const clientRoutes = (wallet: Wallet) => [
  route({
    method: 'POST',
    path: '/clients',
    summary: 'Registers a client.',
    body: NewClient,
    responses: { 201: ClientResponse },
    problems: keyProblems,
    isKeyed: true,
    handle({ body, request, route, params }) {
      const command = { type: 'registration', id: randomUUIDv7('hex', wallet.clock()), ...body } as const
      const call = { request, route, params }
      return answerCommand(wallet, call, { command, body, meaning: body }, respondWithClient)
    },
  }),
  route({
    method: 'GET',
    path: '/clients/:id',
    summary: 'A client.',
    responses: { 200: ClientResponse },
    problems: [problems.clientNotFound],
    async handle({ params, request }) {
      const client = await findById(params.id, (id) => findClient(wallet.database, id))
      if (client) return Response.json(presentClient(client))
      return refuse(request, problems.clientNotFound, { detail: `client ${params.id} does not exist` })
    },
  }),
]
