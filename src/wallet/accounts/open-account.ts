/** Opens an empty account and emits `AccountOpened`. */
import { randomUUIDv7 } from 'bun'
import { type NewAccount, worldIdOf } from '../domain/account'
import type { IdempotencyKey } from '../domain/idempotency'
import { accountToEvent } from '../events'
import { executeOnce, type OnceResult } from '../ledger/execute-once'
import type { Wallet } from '../ledger/ledger'
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
  { idempotencyKey, ...terms }: OpenAccount,
): Promise<OnceResult<Opened>> {
  const { sql } = wallet.database
  return executeOnce<Opened>(wallet, idempotencyKey, {
    async write(keyOf) {
      if (!(await findClient(wallet.database, terms.clientId))) {
        const rejection = 'client_not_found'
        const key = keyOf({ rejection })
        if (key) await insertKeys(sql, [key])
        return { accepted: false, rejection }
      }
      const createdAt = wallet.clock()
      const { event, ...account } = newAccount({ id: randomUUIDv7('hex', createdAt), createdAt, ...terms })
      const rows = [newWorld(terms.currency, createdAt), { ...account, event }]
      await insertAccounts(sql, rows, keyOf({ account: account.id }))
      wallet.relay.wake()
      return { accepted: true, account: asOpened(account) }
    },
    async replay(outcome) {
      if ('rejection' in outcome) return { accepted: false, rejection: 'client_not_found' }
      const account = 'account' in outcome && (await findAccount(wallet.database, outcome.account))
      if (!account) throw new Error('missing the account that was opened under this key')
      return { accepted: true, account: asOpened(account) }
    },
  })
}

/** The account before its first entry. */
const asOpened = (account: NewAccount): StoredAccount => ({
  ...account,
  ...{ balanceMinor: 0n, heldMinor: 0n, version: 0n, updatedAt: account.createdAt },
})

type AccountWithEvent = NewAccount & { event: OutboxRow }
type Opening = Omit<OpenAccount, 'idempotencyKey'> & { id: string; createdAt: Date }

export const newAccount = ({ traceparent, ...account }: Opening): AccountWithEvent =>
  withEvent(account, traceparent)

/** The counterparty of a currency's deposits and withdrawals. Inserted with each account, stored once. */
export const newWorld = (currency: string, createdAt: Date): AccountWithEvent =>
  withEvent({ id: worldIdOf(currency), clientId: null, currency, overdraftLimitMinor: null, createdAt }, null)

function withEvent(account: NewAccount, traceparent: string | null): AccountWithEvent {
  return { ...account, event: { ...accountToEvent(account), traceparent } }
}
