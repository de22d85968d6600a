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
const Held = Type.Number({ minimum: 0, description: 'Promised by open holds: part of the balance, and not available.' })
const Version = Type.Integer({
  minimum: 0,
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
    reverses: Type.Optional(
      Type.String({ description: 'The transaction that this one takes back, whole or in part.' }),
    ),
    hold_id: Type.Optional(Type.String({ description: 'The hold that this one captures.' })),
    effective_at: Type.Optional(Time),
    created_at: Type.Optional(Time),
  }),
})
export type TransactionCreated = Static<typeof TransactionCreated.payload>

const holdFields = {
  id: Id,
  account_id_from: Id,
  account_id_to: Id,
  amount: Money,
  currency: Currency,
  reference: Type.Optional(Type.Union([Type.String(), Type.Null()])),
}

/** Tells that money was promised: it stays in the balance, and is no longer available. Notification. */
export const HoldPlaced = defineEvent({
  name: 'HoldPlaced',
  topic: 'transactions',
  version: 1,
  key: (payload) => payload.account_id_from,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({ ...holdFields, expires_at: Time, created_at: Time }),
})
export type HoldPlaced = Static<typeof HoldPlaced.payload>

/** Tells that a promise ended and nothing was paid. One that was paid ends with the TransactionCreated that bears its `hold_id`. Notification. */
export const HoldReleased = defineEvent({
  name: 'HoldReleased',
  topic: 'transactions',
  version: 1,
  key: (payload) => payload.account_id_from,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    ...holdFields,
    reason: Type.Union([Type.Literal('released'), Type.Literal('expired')]),
    created_at: Time,
  }),
})
export type HoldReleased = Static<typeof HoldReleased.payload>

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
    held_account_id_from: Type.Optional(Held),
    held_account_id_to: Type.Optional(Held),
    transaction_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'What led to it: a transaction, a hold, or its release.',
      }),
    ),
    hold_id: Type.Optional(Type.String({ description: 'The hold that began or ended with it.' })),
    amount: Type.Optional(Money),
    currency: Type.Optional(Currency),
    effective_at: Type.Optional(Time),
    created_at: Type.Optional(Time),
  }),
})
export type BalanceUpdated = Static<typeof BalanceUpdated.payload>

export const events = {
  ClientRegistered,
  AccountOpened,
  TransactionCreated,
  HoldPlaced,
  HoldReleased,
  BalanceUpdated,
} as const
export type EventName = keyof typeof events

/** An event as it is told: its name beside its payload. */
export type SaldoEvent = {
  [Name in EventName]: { name: Name; payload: Static<(typeof events)[Name]['payload']> }
}[EventName]

/** Every topic the wallet publishes to, in the order in which a movement's events are sent. */
export const topics = ['clients', 'accounts', 'transactions', 'balances'] as const
export type Topic = (typeof topics)[number]
