/** Opens an account, empty, and tells it. */
import { randomUUIDv7 } from 'bun'
import { reaching } from '../platform/database'
import { announceAccount } from './announce'
import { worldIdOf } from './domain/account'
import { insertAccounts, type NewAccount, type StoredAccount } from './store/accounts'
import { findClient } from './store/clients'
import type { Wallet } from './wallet'

export type OpenAccount = {
  clientId: string
  currency: string
  overdraftLimitMinor: bigint
  traceparent: string | null
}

export type Opened = { accepted: true; account: StoredAccount } | { accepted: false; rejection: 'client_not_found' }

export async function openAccount(wallet: Wallet, asked: OpenAccount): Promise<Opened> {
  if (!(await reaching(findClient(wallet.database, asked.clientId))))
    return { accepted: false, rejection: 'client_not_found' }

  const createdAt = wallet.clock()
  const account = newAccount({ id: randomUUIDv7('hex', createdAt), createdAt, ...asked })
  await reaching(insertAccounts(wallet.database.sql, [newWorld(asked.currency, createdAt), account]))
  wallet.relay.wake()
  const { event: _, ...stored } = account
  return { accepted: true, account: { ...stored, balanceMinor: 0n, heldMinor: 0n, version: 0n, updatedAt: createdAt } }
}

type Opening = OpenAccount & { id: string; createdAt: Date }

export function newAccount({ traceparent, ...account }: Opening): NewAccount {
  return withEvent(account, traceparent)
}

/** The other side of every deposit and withdrawal of a currency. Written beside each new account, and kept by whoever was first. */
export function newWorld(currency: string, createdAt: Date): NewAccount {
  return withEvent({ id: worldIdOf(currency), clientId: null, currency, overdraftLimitMinor: null, createdAt }, null)
}

function withEvent(account: Omit<NewAccount, 'event'>, traceparent: string | null): NewAccount {
  return { ...account, event: { ...announceAccount(account), traceparent } }
}
