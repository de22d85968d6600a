/** Clients: people and companies that own accounts. */
import { type Static, Type } from '@sinclair/typebox'
import { problems } from '../../contract/problems'
import { time, uuid } from '../../contract/schemas'
import { refuse, traceOf } from '../../platform/http/app'
import { route } from '../../platform/http/route'
import { closed, closedObject } from '../../platform/http/schemas'
import { findClient } from '../accounts/clients-store'
import { registerClient } from '../accounts/register-client'
import type { Client } from '../domain/client'
import type { Wallet } from '../ledger/ledger'
import { created, keyOf, keyProblems, refuseKey, replayed } from './commands'
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

export const clientRoutes = (wallet: Wallet) => [
  route({
    method: 'POST',
    path: '/clients',
    summary: 'Registers a client.',
    body: NewClient,
    responses: { 201: ClientResponse },
    problems: keyProblems,
    isKeyed: true,
    async handle({ body, request, route, params }) {
      const idempotencyKey = keyOf({ request, route, params }, { meaning: body, body })
      const traceparent = traceOf(request)
      const registered = await registerClient(wallet, { ...body, traceparent, idempotencyKey })
      if (registered.kind !== 'done') return refuseKey(request, registered)
      const client = registered.value
      return created(`/clients/${client.id}`, presentClient(client), replayed(registered.repeated))
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
