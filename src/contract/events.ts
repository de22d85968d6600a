/**
 * The events that join the two services. Published by wallet, read by balances, and readable by the course's services: topic, `Name` and the
 * fields they know are theirs, ours stand beside them. A field once released keeps its name and meaning; new ones are optional.
 */
import { type Static, Type } from '@sinclair/typebox'
import { defineEvent } from './event'

const Id = Type.String({ minLength: 1, maxLength: 255 })
const Money = Type.Number({
  description: 'Major units, at most the decimals of the currency and 15 significant digits.',
})
const Version = Type.Integer({
  minimum: 1,
  description: 'The entry of the account that led to this balance; counts 1, 2, 3 …',
})
const Currency = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217. BRL where absent.' })
const Time = Type.String({ description: 'RFC 3339, UTC.' })

/** Tells who a client is. State transfer: the read side knows owners without asking. */
export const ClientRegistered = defineEvent({
  name: 'ClientRegistered',
  topic: 'clients',
  version: 1,
  key: (payload) => payload.id,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({ id: Id, name: Type.String(), email: Type.String(), created_at: Time }),
})
export type ClientRegistered = Static<typeof ClientRegistered.payload>

/** Tells that an account exists, empty. Event collaboration: the read side makes its own row of it. */
export const AccountOpened = defineEvent({
  name: 'AccountOpened',
  topic: 'accounts',
  version: 1,
  key: (payload) => payload.id,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    id: Id,
    client_id: Type.Union([Id, Type.Null()], { description: 'Null for the system account `world`.' }),
    currency: Currency,
    overdraft_limit: Type.Optional(Money),
    created_at: Time,
  }),
})
export type AccountOpened = Static<typeof AccountOpened.payload>

/** Tells that money moved. Notification: what happened, by id. */
export const TransactionCreated = defineEvent({
  name: 'TransactionCreated',
  topic: 'transactions',
  version: 1,
  key: (payload) => payload.account_id_from,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    id: Id,
    account_id_from: Id,
    account_id_to: Id,
    amount: Money,
    currency: Type.Optional(Currency),
    kind: Type.Optional(Type.String()),
    reference: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    effective_at: Type.Optional(Time),
    created_at: Type.Optional(Time),
  }),
})
export type TransactionCreated = Static<typeof TransactionCreated.payload>

/**
 * Tells what both accounts of a movement hold once it is done. Event-carried state transfer, and the only event of topic `balances`,
 * since the course's readers take every record there for one. Without versions (the course's own) it applies in log order.
 */
export const BalanceUpdated = defineEvent({
  name: 'BalanceUpdated',
  topic: 'balances',
  version: 1,
  // One message speaks of two accounts, so no key can order both: readers compare the versions instead.
  key: (payload) => payload.account_id_from,
  subject: (payload) => payload.transaction_id ?? payload.account_id_from,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    account_id_from: Id,
    account_id_to: Id,
    balance_account_id_from: Money,
    balance_account_id_to: Money,
    version_account_id_from: Type.Optional(Version),
    version_account_id_to: Type.Optional(Version),
    transaction_id: Type.Optional(Id),
    amount: Type.Optional(Money),
    currency: Type.Optional(Currency),
    effective_at: Type.Optional(Time),
    created_at: Type.Optional(Time),
  }),
})
export type BalanceUpdated = Static<typeof BalanceUpdated.payload>

export const events = { ClientRegistered, AccountOpened, TransactionCreated, BalanceUpdated } as const
export type EventName = keyof typeof events

/** An event as it is told: its name beside its payload. */
export type SaldoEvent = {
  [Name in EventName]: { name: Name; payload: Static<(typeof events)[Name]['payload']> }
}[EventName]

/** Every topic the wallet publishes to, in the order in which a movement's events are sent. */
export const topics = ['clients', 'accounts', 'transactions', 'balances'] as const
export type Topic = (typeof topics)[number]
