/** Turns facts into events, encoded for the outbox. Pure. */
import { type Dispatched, Dispatcher } from '../contract/events/dispatcher'
import type { SaldoEvent } from '../contract/events/events'
import { exactMoney, moneyNumber } from '../contract/money'
import { type EncodedEvent, encodeEvent } from '../contract/wire/envelope'
import type { NewAccount } from './domain/account'
import type { Client } from './domain/client'
import type { Hold, PublishedFact, Transaction } from './domain/types'

export function clientToEvent({ id, name, email, createdAt }: Client): EncodedEvent {
  const payload = { id, name, email, created_at: createdAt.toISOString() }
  return encodeEvent({ name: 'ClientRegistered', payload }, payload.created_at)
}

export function accountToEvent(account: NewAccount): EncodedEvent {
  const { id, clientId, currency, overdraftLimitMinor, createdAt } = account
  const payload = {
    id,
    client_id: clientId,
    currency,
    ...(overdraftLimitMinor === null ? {} : { overdraft_limit: moneyNumber(overdraftLimitMinor, currency) }),
    created_at: createdAt.toISOString(),
  }
  return encodeEvent({ name: 'AccountOpened', payload }, payload.created_at)
}

type Facts = { [Type in PublishedFact['type']]: PublishedFact & { type: Type } }

/** The notification first, as in the course's wallet, then both balances. */
const eventsOf = new Dispatcher<Facts, string, SaldoEvent>()
  .register('transaction', transactionCreated)
  .register('transaction', balancesOf)
  .register('capture', transactionCreated)
  .register('capture', balancesOf)
  .register('hold', holdPlaced)
  .register('hold', balancesOf)
  .register('release', holdReleased)
  .register('release', balancesOf)

/** An event that cannot be encoded fails the whole write. */
export function toEvents(fact: PublishedFact): EncodedEvent[] {
  const createdAt = fact.createdAt.toISOString()
  const dispatched = { name: fact.type, payload: fact } as Dispatched<Facts>
  return eventsOf.dispatch(dispatched, createdAt).map((event) => encodeEvent(event, createdAt))
}

function holdPlaced({ hold }: { hold: Hold }, createdAt: string): SaldoEvent {
  return {
    name: 'HoldPlaced',
    payload: { ...holdFields(hold, createdAt), expires_at: hold.expiresAt.toISOString() },
  }
}

function holdReleased({ hold }: { hold: Hold }, createdAt: string): SaldoEvent {
  const reason = hold.status === 'expired' ? 'expired' : 'released'
  return { name: 'HoldReleased', payload: { ...holdFields(hold, createdAt), reason } }
}

const holdFields = (hold: Hold, createdAt: string) => ({
  id: hold.id,
  account_id_from: hold.accountIdFrom,
  account_id_to: hold.accountIdTo,
  amount: moneyNumber(hold.amountMinor, hold.currency),
  currency: hold.currency,
  reference: hold.reference,
  created_at: createdAt,
})

function transactionCreated({ transaction }: { transaction: Transaction }, createdAt: string): SaldoEvent {
  return {
    name: 'TransactionCreated',
    payload: {
      id: transaction.id,
      account_id_from: transaction.accountIdFrom,
      account_id_to: transaction.accountIdTo,
      amount: moneyNumber(transaction.amountMinor, transaction.currency),
      currency: transaction.currency,
      kind: transaction.kind,
      reference: transaction.reference,
      ...(transaction.reverses === null ? {} : { reverses: transaction.reverses }),
      ...(transaction.holdId === null ? {} : { hold_id: transaction.holdId }),
      effective_at: transaction.effectiveAt.toISOString(),
      created_at: createdAt,
    },
  }
}

/** For every change of an account's state. A hold changes the payer only: the payee keeps its version. */
function balancesOf({ id, from, to, transaction, hold }: PublishedFact, createdAt: string): SaldoEvent {
  const { currency } = from
  const [exactFrom, exactTo] = [
    exactMoney(from.balanceMinor, currency),
    exactMoney(to.balanceMinor, currency),
  ]
  return {
    name: 'BalanceUpdated',
    payload: {
      account_id_from: from.id,
      account_id_to: to.id,
      balance_account_id_from: moneyNumber(from.balanceMinor, currency),
      balance_account_id_to: moneyNumber(to.balanceMinor, currency),
      ...(exactFrom === undefined ? {} : { exact_balance_account_id_from: exactFrom }),
      ...(exactTo === undefined ? {} : { exact_balance_account_id_to: exactTo }),
      version_account_id_from: Number(from.version),
      version_account_id_to: Number(to.version),
      held_account_id_from: moneyNumber(from.heldMinor, currency),
      held_account_id_to: moneyNumber(to.heldMinor, currency),
      transaction_id: id,
      ...(hold ? { hold_id: hold.id } : {}),
      amount: moneyNumber(transaction?.amountMinor ?? 0n, currency),
      currency,
      effective_at: transaction?.effectiveAt.toISOString() ?? createdAt,
      created_at: createdAt,
    },
  }
}
