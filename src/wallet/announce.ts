/** Turns what happened into the events that tell it, as rows of the outbox. Pure. */

import { type EncodedEvent, encodeEvent } from '../contract/envelope'
import type { AccountOpened, ClientRegistered, SaldoEvent } from '../contract/events'
import { presentMoney } from '../contract/money'
import type { Transfer } from './domain/transfer'

export function announceClient(client: ClientRegistered): EncodedEvent {
  return encodeEvent({ name: 'ClientRegistered', payload: client }, client.created_at)
}

export function announceAccount(account: AccountOpened): EncodedEvent {
  return encodeEvent({ name: 'AccountOpened', payload: account }, account.created_at)
}

/** The notification first, as the course's wallet does, then the balances of both accounts as they stand afterwards. */
export function announceTransfer(transfer: Transfer, createdAt: string): EncodedEvent[] {
  const { transactionId, accountIdFrom, accountIdTo, currency, kind, reference, entryFrom, entryTo } = transfer
  const amount = presentMoney(transfer.amountMinor, currency)
  const accounts = { account_id_from: accountIdFrom, account_id_to: accountIdTo }
  const times = { effective_at: createdAt, created_at: createdAt }
  const told: SaldoEvent[] = [
    {
      name: 'TransactionCreated',
      payload: { id: transactionId, ...accounts, amount, currency, kind, reference, ...times },
    },
    {
      name: 'BalanceUpdated',
      payload: {
        ...accounts,
        balance_account_id_from: presentMoney(entryFrom.balanceMinor, currency),
        balance_account_id_to: presentMoney(entryTo.balanceMinor, currency),
        version_account_id_from: Number(entryFrom.version),
        version_account_id_to: Number(entryTo.version),
        transaction_id: transactionId,
        amount,
        currency,
        ...times,
      },
    },
  ]
  return told.map((event) => encodeEvent(event, createdAt))
}
