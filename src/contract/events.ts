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

/** Some public copies of the course's wallet turn the words of the field names round. */
const accountAliases = { account_from_id: 'account_id_from', account_to_id: 'account_id_to' }

export const ClientRegistered = defineEvent({
  name: 'ClientRegistered',
  topic: 'clients',
  version: 1,
  kind: 'event-carried state transfer',
  description: 'Tells who a client is, so that nobody has to ask.',
  key: (payload) => payload.id,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({ id: Id, name: Type.String(), email: Type.String(), created_at: Time }),
  example: {
    id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    name: 'Eva',
    email: 'eva@example.com',
    created_at: '2020-01-01T00:00:00.000Z',
  },
})
export type ClientRegistered = Static<typeof ClientRegistered.payload>

export const AccountOpened = defineEvent({
  name: 'AccountOpened',
  topic: 'accounts',
  version: 1,
  kind: 'event collaboration',
  description: 'Tells that an account exists, empty; the read side makes its own row of it.',
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
  example: {
    id: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    client_id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    currency: 'BRL',
    overdraft_limit: 0,
    created_at: '2020-01-01T00:00:00.000Z',
  },
})
export type AccountOpened = Static<typeof AccountOpened.payload>

export const TransactionCreated = defineEvent({
  name: 'TransactionCreated',
  topic: 'transactions',
  version: 1,
  kind: 'event notification',
  description: 'Tells that money moved: which transaction, between whom, and how much.',
  aliases: accountAliases,
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
  example: {
    id: '018d4be9-e038-7c95-a45a-035264d50b14',
    account_id_from: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    account_id_to: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
    amount: 50,
    currency: 'BRL',
    kind: 'transfer',
    reference: null,
    effective_at: '2024-01-27T17:13:55.000Z',
    created_at: '2024-01-27T17:13:55.000Z',
  },
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

export const HoldPlaced = defineEvent({
  name: 'HoldPlaced',
  topic: 'transactions',
  version: 1,
  kind: 'event notification',
  description: 'Tells that money was promised: it stays in the balance, and is no longer available.',
  key: (payload) => payload.account_id_from,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({ ...holdFields, expires_at: Time, created_at: Time }),
  example: {
    id: '019aab9d-2c00-7f38-9a1c-5a1f7b0e4c11',
    account_id_from: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    account_id_to: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
    amount: 25.5,
    currency: 'BRL',
    reference: 'order 1',
    expires_at: '2024-02-03T17:13:55.000Z',
    created_at: '2024-01-27T17:13:55.000Z',
  },
})
export type HoldPlaced = Static<typeof HoldPlaced.payload>

export const HoldReleased = defineEvent({
  name: 'HoldReleased',
  topic: 'transactions',
  version: 1,
  kind: 'event notification',
  description:
    'Tells that a promise ended and nothing was paid; one that was paid ends with the TransactionCreated that bears its hold_id.',
  key: (payload) => payload.account_id_from,
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    ...holdFields,
    reason: Type.Union([Type.Literal('released'), Type.Literal('expired')]),
    created_at: Time,
  }),
  example: {
    id: '019aab9d-2c00-7f38-9a1c-5a1f7b0e4c11',
    account_id_from: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    account_id_to: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
    amount: 25.5,
    currency: 'BRL',
    reference: 'order 1',
    reason: 'released',
    created_at: '2024-01-28T09:00:00.000Z',
  },
})
export type HoldReleased = Static<typeof HoldReleased.payload>

/**
 * The only event of topic `balances`, since the course's readers take every record there for one. Without versions (the course's own) it
 * applies in log order.
 */
export const BalanceUpdated = defineEvent({
  name: 'BalanceUpdated',
  topic: 'balances',
  version: 1,
  kind: 'event-carried state transfer',
  description: 'Tells what both accounts of a movement hold once it is done.',
  aliases: {
    ...accountAliases,
    balance_account_from: 'balance_account_id_from',
    balance_account_to: 'balance_account_id_to',
  },
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
  example: {
    account_id_from: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    account_id_to: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
    balance_account_id_from: 800,
    balance_account_id_to: 1200,
    version_account_id_from: 4,
    version_account_id_to: 4,
    held_account_id_from: 0,
    held_account_id_to: 0,
    transaction_id: '018d4be9-e038-7c95-a45a-035264d50b14',
    amount: 50,
    currency: 'BRL',
    effective_at: '2024-01-27T17:13:55.000Z',
    created_at: '2024-01-27T17:13:55.000Z',
  },
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

/** By name, what each event carries. */
export type Payloads = { [Name in EventName]: Static<(typeof events)[Name]['payload']> }

/** An event as it is told: its name beside its payload. */
export type SaldoEvent = { [Name in EventName]: { name: Name; payload: Payloads[Name] } }[EventName]

/** Every topic the wallet publishes to, in the order in which a movement's events are sent. */
export const topics = ['clients', 'accounts', 'transactions', 'balances'] as const
export type Topic = (typeof topics)[number]
