/** Registers a client, and tells it. */
import { randomUUIDv7 } from 'bun'
import type { Client } from '../domain/client'
import type { IdempotencyKey } from '../domain/idempotency'
import { clientToEvent } from '../events'
import type { Wallet } from '../ledger/ledger'
import { type Once, once } from '../ledger/once'
import { findClient, insertClients } from './clients-store'

export type RegisterClient = {
  name: string
  email: string
  traceparent: string | null
  idempotencyKey: IdempotencyKey | null
}

export function registerClient(wallet: Wallet, asked: RegisterClient): Promise<Once<Client>> {
  const { name, email, traceparent, idempotencyKey } = asked
  return once(wallet, idempotencyKey, {
    async carryOut(keyOf) {
      const createdAt = wallet.clock()
      const client = { id: randomUUIDv7('hex', createdAt), name, email, createdAt }
      const event = { ...clientToEvent(client), traceparent }
      await insertClients(wallet.database.sql, [{ ...client, event }], keyOf({ client: client.id }))
      wallet.relay.wake()
      return client
    },
    async recall(outcome) {
      const client = 'client' in outcome && (await findClient(wallet.database, outcome.client))
      if (!client) throw new Error('the client is missing that was registered under this key')
      return client
    },
  })
}
