/** Registers a client and emits `ClientRegistered`. */
import { randomUUIDv7 } from 'bun'
import type { Client } from '../domain/client'
import type { IdempotencyKey } from '../domain/idempotency'
import { clientToEvent } from '../events'
import { executeOnce, type OnceResult } from '../ledger/execute-once'
import type { Wallet } from '../ledger/ledger'
import { findClient, insertClients } from './clients-store'

export type RegisterClient = {
  name: string
  email: string
  traceparent: string | null
  idempotencyKey: IdempotencyKey | null
}

export function registerClient(wallet: Wallet, command: RegisterClient): Promise<OnceResult<Client>> {
  const { name, email, traceparent, idempotencyKey } = command
  return executeOnce(wallet, idempotencyKey, {
    async write(keyOf) {
      const createdAt = wallet.clock()
      const client = { id: randomUUIDv7('hex', createdAt), name, email, createdAt }
      const event = { ...clientToEvent(client), traceparent }
      await insertClients(wallet.database.sql, [{ ...client, event }], keyOf({ client: client.id }))
      wallet.relay.wake()
      return client
    },
    async replay(outcome) {
      const client = 'client' in outcome && (await findClient(wallet.database, outcome.client))
      if (!client) throw new Error('missing the client that was registered under this key')
      return client
    },
  })
}
