/**
 * The events that join the two services. Published by wallet, read by balances, and readable by the
 * course's services: topic, `Name` and the fields they know are theirs, ours stand beside them. A
 * field once released keeps its name and meaning; new ones are optional.
 */
import { type Static, Type } from '@sinclair/typebox'
import { defineEvent } from './define-event'

const idLength = { minLength: 1, maxLength: 255 }
const id = (description: string) => Type.String({ ...idLength, description })
const idOrNull = (description: string) => Type.Union([Type.String(idLength), Type.Null()], { description })
const text = (description: string) => Type.String({ description })
const textOrNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const money = (description: string) => Type.Number({ description: `${description} In major units.` })
/** Beside a number, for what it cannot say: the same amount as a plain decimal. */
const exact = (description: string) =>
  Type.String({ pattern: '^-?(0|[1-9]\\d{0,29})(\\.\\d{1,9})?$', description })
const held = (description: string) => Type.Number({ ...money(description), minimum: 0 })
const version = (description: string) => Type.Integer({ minimum: 0, description })
const currency = (description: string) => Type.String({ pattern: '^[A-Z]{3}$', description })

const effectiveAt = Type.Optional(text('From when it counts in the books: `created_at`, or earlier.'))
const payer = id('The account that pays.')
const payee = id('The account that is paid.')

/** Some public copies of the course's wallet turn the words of the field names round. */
const accountAliases = { account_from_id: 'account_id_from', account_to_id: 'account_id_to' }

export const ClientRegistered = defineEvent({
  name: 'ClientRegistered',
  topic: 'clients',
  version: 1,
  kind: 'event-carried state transfer',
  description: 'Tells who a client is, so that nobody has to ask.',
  key: 'id',
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    id: id('The client.'),
    name: text('The name to show.'),
    email: text('As it was given.'),
    created_at: text('When it was registered.'),
  }),
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
  key: 'id',
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    id: id('The account.'),
    client_id: idOrNull('Whose it is. Null for the system account `world`.'),
    currency: currency('The one currency of the account, for ever.'),
    overdraft_limit: Type.Optional(money('How far below zero it may go.')),
    created_at: text('When it was opened.'),
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
  isOfCourse: true,
  aliases: accountAliases,
  key: 'account_id_from',
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    id: id('The transaction.'),
    account_id_from: payer,
    account_id_to: payee,
    amount: money('How much was moved.'),
    currency: Type.Optional(currency('BRL where absent.')),
    kind: Type.Optional(
      text('`transfer`, `deposit`, `withdrawal`, `reversal` or `capture`; others may follow.'),
    ),
    reference: Type.Optional(textOrNull("A text of the caller's own.")),
    reverses: Type.Optional(text('The transaction that this one takes back, whole or in part.')),
    hold_id: Type.Optional(text('The hold that this one captures.')),
    effective_at: effectiveAt,
    created_at: Type.Optional(text('When it was written.')),
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
  id: id('The hold.'),
  account_id_from: id('The account that promised.'),
  account_id_to: id('The account it was promised to; `world` where none was named.'),
  amount: money('How much.'),
  currency: currency('Of both accounts.'),
  reference: Type.Optional(textOrNull("A text of the caller's own.")),
}

export const HoldPlaced = defineEvent({
  name: 'HoldPlaced',
  topic: 'transactions',
  version: 1,
  kind: 'event notification',
  description: 'Tells that money was promised: it stays in the balance, and is no longer available.',
  key: 'account_id_from',
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    ...holdFields,
    expires_at: text('When it ends by itself.'),
    created_at: text('When it was placed.'),
  }),
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
  key: 'account_id_from',
  subject: (payload) => payload.id,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    ...holdFields,
    reason: Type.Union([Type.Literal('released'), Type.Literal('expired')], { description: 'How it ended.' }),
    created_at: text('When it ended.'),
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
 * The only event of topic `balances`, since the course's readers take every record there for one.
 * Without versions (the course's own) it applies in log order.
 */
export const BalanceUpdated = defineEvent({
  name: 'BalanceUpdated',
  topic: 'balances',
  version: 1,
  kind: 'event-carried state transfer',
  description: 'Tells what both accounts of a movement hold once it is done.',
  isOfCourse: true,
  aliases: {
    ...accountAliases,
    balance_account_from: 'balance_account_id_from',
    balance_account_to: 'balance_account_id_to',
  },
  // One message speaks of two accounts, so no key can order both: readers compare the versions instead.
  key: 'account_id_from',
  subject: (payload) => payload.transaction_id ?? payload.account_id_from,
  time: (payload) => payload.created_at,
  payload: Type.Object({
    account_id_from: id('The account that pays, or promises.'),
    account_id_to: payee,
    balance_account_id_from: money('What the paying account holds afterwards.'),
    balance_account_id_to: money('What the paid account holds afterwards.'),
    exact_balance_account_id_from: Type.Optional(
      exact(
        'Where `balance_account_id_from` has more than 15 digits, and is only the nearest number: the balance itself.',
      ),
    ),
    exact_balance_account_id_to: Type.Optional(
      exact('The same of the paid account. Only `world` comes to this.'),
    ),
    version_account_id_from: Type.Optional(
      version(
        "Which entry of the paying account left that: 1, 2, 3 … Newer wins, whatever the records' order.",
      ),
    ),
    version_account_id_to: Type.Optional(version('The same of the paid account.')),
    held_account_id_from: Type.Optional(
      held('Promised by open holds of the paying account: part of the balance, and not available.'),
    ),
    held_account_id_to: Type.Optional(held('The same of the paid account.')),
    transaction_id: Type.Optional(id('What led to it: a transaction, a hold, or its release.')),
    hold_id: Type.Optional(text('The hold that began or ended with it.')),
    amount: Type.Optional(money('How much was moved; 0 where a hold began or ended without payment.')),
    currency: Type.Optional(currency('Where absent, that of the accounts.')),
    effective_at: effectiveAt,
    created_at: Type.Optional(text('When it was written.')),
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
