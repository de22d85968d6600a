/** Registers a client, and tells it. */
import { randomUUIDv7 } from 'bun'
import { reaching } from '../platform/database'
import { announceClient } from './announce'
import { type Client, insertClients } from './store/clients'
import type { Wallet } from './wallet'

export type RegisterClient = { name: string; email: string; traceparent: string | null }

export async function registerClient(wallet: Wallet, { name, email, traceparent }: RegisterClient): Promise<Client> {
  const createdAt = wallet.clock()
  const client = { id: randomUUIDv7('hex', createdAt), name, email, createdAt }
  const event = { ...announceClient(client), traceparent }
  await reaching(insertClients(wallet.database.sql, [{ ...client, event }]))
  wallet.relay.wake()
  return client
}
