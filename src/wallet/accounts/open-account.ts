/** Opens an account, empty, and tells it. */
import { randomUUIDv7 } from 'bun'
import { type NewAccount, worldIdOf } from '../domain/account'
import type { IdempotencyKey } from '../domain/idempotency'
import { accountToEvent } from '../events'
import type { Wallet } from '../ledger/ledger'
import { type Once, once } from '../ledger/once'
import { insertKeys } from '../ledger/store/idempotency-keys'
import type { OutboxRow } from '../outbox/outbox-store'
import { findAccount, insertAccounts, type StoredAccount } from './accounts-store'
import { findClient } from './clients-store'

export type OpenAccount = {
  clientId: string
  currency: string
  overdraftLimitMinor: bigint
  traceparent: string | null
  idempotencyKey: IdempotencyKey | null
}

export type Opened =
  | { accepted: true; account: StoredAccount }
  | { accepted: false; rejection: 'client_not_found' }

export function openAccount(
  wallet: Wallet,
  { idempotencyKey, ...asked }: OpenAccount,
): Promise<Once<Opened>> {
  const { sql } = wallet.database
  return once<Opened>(wallet, idempotencyKey, {
    async carryOut(keyOf) {
      if (!(await findClient(wallet.database, asked.clientId))) {
        const rejection = 'client_not_found'
        const key = keyOf({ rejection })
        if (key) await insertKeys(sql, [key])
        return { accepted: false, rejection }
      }
      const createdAt = wallet.clock()
      const account = newAccount({ id: randomUUIDv7('hex', createdAt), createdAt, ...asked })
      await insertAccounts(
        sql,
        [newWorld(asked.currency, createdAt), account],
        keyOf({ account: account.id }),
      )
      wallet.relay.wake()
      const { event: _, ...stored } = account
      return { accepted: true, account: asOpened(stored) }
    },
    async recall(outcome) {
      if ('rejection' in outcome) return { accepted: false, rejection: 'client_not_found' }
      const account = 'account' in outcome && (await findAccount(wallet.database, outcome.account))
      if (!account) throw new Error('the account is missing that was opened under this key')
      return { accepted: true, account: asOpened(account) }
    },
  })
}

/** The account as it was before anything happened to it. */
const asOpened = (account: NewAccount): StoredAccount => ({
  ...account,
  ...{ balanceMinor: 0n, heldMinor: 0n, version: 0n, updatedAt: account.createdAt },
})

type AccountWithEvent = NewAccount & { event: OutboxRow }
type Opening = Omit<OpenAccount, 'idempotencyKey'> & { id: string; createdAt: Date }

export const newAccount = ({ traceparent, ...account }: Opening): AccountWithEvent =>
  withEvent(account, traceparent)

/**
 * The other side of every deposit and withdrawal of a currency. Written beside each new account,
 * and kept by whoever was first.
 */
export function newWorld(currency: string, createdAt: Date): AccountWithEvent {
  return withEvent(
    { id: worldIdOf(currency), clientId: null, currency, overdraftLimitMinor: null, createdAt },
    null,
  )
}

function withEvent(account: NewAccount, traceparent: string | null): AccountWithEvent {
  return { ...account, event: { ...accountToEvent(account), traceparent } }
}
