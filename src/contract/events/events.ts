/**
 * The contract between the two services: published by wallet, consumed by balances, and compatible
 * with the course's services, whose topics, `Name` and fields are kept beside our own fields. A
 * released field keeps its name and meaning; new ones are optional.
 */
import { type Static, Type } from '@sinclair/typebox'
import { defineEvent } from './define-event'

const idLength = { minLength: 1, maxLength: 255 }
const id = (description: string) => Type.String({ ...idLength, description })
const idOrNull = (description: string) => Type.Union([Type.String(idLength), Type.Null()], { description })
const text = (description: string) => Type.String({ description })
const textOrNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })
const money = (description: string) => Type.Number({ description: `${description} In major units.` })
/** The exact amount as a plain decimal, beside a number that cannot hold it. */
const exact = (description: string) =>
  Type.String({ pattern: '^-?(0|[1-9]\\d{0,29})(\\.\\d{1,9})?$', description })
const held = (description: string) => Type.Number({ ...money(description), minimum: 0 })
const version = (description: string) => Type.Integer({ minimum: 0, description })
const epoch = (description: string) => Type.Integer({ minimum: 2, description })
const currency = (description: string) => Type.String({ pattern: '^[A-Z]{3}$', description })

const optional = Type.Optional

const effectiveAt = optional(text('From when it counts in the books: `created_at` or earlier.'))
const status = text('`open`, `debits_frozen`, `frozen` or `closed`; others may be added.')
const actor = optional(text('Who did it, by the name of the API key. Absent without one.'))
const changeId = id('The change. Unique, and the `transaction_id` of its BalanceUpdated, if it has one.')
const payer = id('The account that pays.')
const payee = id('The account that is paid.')

const accountsExample = {
  account_id_from: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
  account_id_to: 'd6a41504-bbd0-11ee-8a24-0242ac120003',
}

/** Some public copies of the course's wallet swap the words of the field names. */
const accountAliases = { account_from_id: 'account_id_from', account_to_id: 'account_id_to' }

export const ClientRegistered = defineEvent({
  name: 'ClientRegistered',
  topic: 'clients',
  version: 1,
  kind: 'event collaboration',
  description: 'A client was registered. Its name and e-mail address are in PersonalDataRecorded.',
  key: 'id',
  payload: Type.Object({
    id: id('The client.'),
    actor,
    created_at: text('When it was registered.'),
  }),
  example: {
    id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    created_at: '2020-01-01T00:00:00.000Z',
  },
})

export const AccountOpened = defineEvent({
  name: 'AccountOpened',
  topic: 'accounts',
  version: 1,
  kind: 'event collaboration',
  description: 'An account was opened, empty. The read side creates its own row.',
  key: 'id',
  payload: Type.Object({
    id: id('The account.'),
    client_id: idOrNull('The client who owns it. Null for the system account `world`.'),
    currency: currency('The currency of the account, which never changes.'),
    overdraft_limit: optional(money('How far below zero the balance may go.')),
    actor,
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

/** In the topic of accounts, since every reader of balances has that one, too. */
export const EpochStarted = defineEvent({
  name: 'EpochStarted',
  topic: 'accounts',
  version: 1,
  kind: 'event notification',
  description:
    'The ledger was restored, and an epoch of it has started: a BalanceUpdated with `starts_epoch` says ' +
    'where each account stands, and the newest event of topic `personal-data` what each client is. Once ' +
    'all of them have arrived, accounts and clients without one belong to a future that was lost.',
  key: 'id',
  payload: Type.Object({
    id: id('The start of the epoch.'),
    epoch: epoch('Its number.'),
    accounts: Type.Integer({ minimum: 0, description: 'How many accounts have a BalanceUpdated of it.' }),
    clients: Type.Integer({ minimum: 0, description: 'How many clients the ledger has.' }),
    created_at: text('When it started.'),
  }),
  example: {
    id: '6f0b8f3e-52a4-4c6e-9a57-0d4b7e0f2c31',
    epoch: 2,
    accounts: 5,
    clients: 4,
    created_at: '2024-03-02T08:00:00.000Z',
  },
})
export type EpochStarted = Static<typeof EpochStarted.payload>

export const ClientUpdated = defineEvent({
  name: 'ClientUpdated',
  topic: 'clients',
  version: 1,
  kind: 'event notification',
  description:
    'The personal data of a client changed, or was erased. PersonalDataRecorded has what it is now, ' +
    'PersonalDataErased follows its erasure.',
  key: 'id',
  payload: Type.Object({
    change_id: id('The change.'),
    id: id('The client.'),
    version: Type.Integer({
      minimum: 2,
      description: 'Number of this state: 1 was that of ClientRegistered.',
    }),
    erased_at: optional(text('When its personal data was erased, which is its last change.')),
    registered_at: text('When the client was registered.'),
    actor,
    created_at: text('When it was changed.'),
  }),
  example: {
    change_id: '019ac1f0-5b7e-7d10-8c55-3b9b7e0f1a01',
    id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    version: 2,
    registered_at: '2020-01-01T00:00:00.000Z',
    created_at: '2024-02-01T09:00:00.000Z',
  },
})

const personal = {
  topic: 'personal-data',
  version: 1,
  kind: 'event-carried state transfer',
  key: 'id',
} as const

export const PersonalDataRecorded = defineEvent({
  name: 'PersonalDataRecorded',
  ...personal,
  description:
    'The name and the e-mail address of a client, as they are now: readers need no query. The highest ' +
    'version wins, in any order. When the data of a client is erased, all that is left is published again, ' +
    'and the records before are deleted.',
  payload: Type.Object({
    change_id: id('The change that led to it; the client itself when nothing has changed since.'),
    id: id('The client.'),
    name: text('The display name.'),
    email: text('The e-mail address.'),
    version: Type.Integer({ minimum: 1, description: 'Number of this state of the client.' }),
    actor,
    created_at: text('Since when it is so.'),
  }),
  example: {
    change_id: '019ac1f0-5b7e-7d10-8c55-3b9b7e0f1a01',
    id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    name: 'Eva Maria',
    email: 'eva@example.com',
    version: 2,
    created_at: '2024-02-01T09:00:00.000Z',
  },
})
export type PersonalDataRecorded = Static<typeof PersonalDataRecorded.payload>

export const PersonalDataErased = defineEvent({
  name: 'PersonalDataErased',
  ...personal,
  description:
    'The name and the e-mail address of a client were erased: readers erase what they keep of them. It is ' +
    'the last state of the client.',
  payload: Type.Object({
    change_id: id('The erasure.'),
    id: id('The client.'),
    version: Type.Integer({ minimum: 2, description: 'Number of this state of the client.' }),
    actor,
    created_at: text('When it was erased.'),
  }),
  example: {
    change_id: '019ac5a0-7c11-7e02-9d40-5b2e8f1a6c07',
    id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    version: 3,
    created_at: '2024-03-01T10:00:00.000Z',
  },
})
export type PersonalDataErased = Static<typeof PersonalDataErased.payload>

export const AccountUpdated = defineEvent({
  name: 'AccountUpdated',
  topic: 'accounts',
  version: 1,
  kind: 'event-carried state transfer',
  description:
    'The status or the overdraft limit of an account changed: both, as they are now. The highest version ' +
    'wins, in any order, also before AccountOpened, which is version 0.',
  key: 'id',
  payload: Type.Object({
    change_id: changeId,
    id: id('The account.'),
    client_id: idOrNull('The client who owns it.'),
    currency: currency('The currency of the account.'),
    status,
    overdraft_limit: money('How far below zero the balance may go.'),
    version: Type.Integer({
      minimum: 1,
      description: "Number of the account's entry that records the change.",
    }),
    reference: optional(textOrNull("The caller's own reference.")),
    actor,
    created_at: text('When it was changed.'),
  }),
  example: {
    change_id: '019ac1f1-2d3c-7b44-9e0e-6d2c8a4b5f02',
    id: 'd6a41403-bbd0-11ee-8a24-0242ac120003',
    client_id: 'd6a3b836-bbd0-11ee-8a24-0242ac120003',
    currency: 'BRL',
    status: 'frozen',
    overdraft_limit: 0,
    version: 5,
    reference: 'case 7',
    created_at: '2024-02-01T09:01:00.000Z',
  },
})
export type AccountUpdated = Static<typeof AccountUpdated.payload>

const notification = {
  topic: 'transactions',
  version: 1,
  kind: 'event notification',
  key: 'account_id_from',
} as const

export const TransactionCreated = defineEvent({
  name: 'TransactionCreated',
  ...notification,
  description: 'Money was moved: the transaction, both accounts, and the amount.',
  isOfCourse: true,
  aliases: accountAliases,
  payload: Type.Object({
    id: id('The transaction.'),
    account_id_from: payer,
    account_id_to: payee,
    amount: money('The amount that was moved.'),
    currency: optional(currency('BRL when absent.')),
    kind: optional(
      text('`transfer`, `deposit`, `withdrawal`, `reversal` or `capture`; others may be added.'),
    ),
    reference: optional(textOrNull("The caller's own reference.")),
    reverses: optional(text('The transaction that this one reverses, in full or in part.')),
    hold_id: optional(text('The hold that this one captures.')),
    actor,
    effective_at: effectiveAt,
    created_at: optional(text('When it was written to the ledger.')),
  }),
  example: {
    id: '018d4be9-e038-7c95-a45a-035264d50b14',
    ...accountsExample,
    amount: 50,
    currency: 'BRL',
    kind: 'transfer',
    reference: null,
    effective_at: '2024-01-27T17:13:55.000Z',
    created_at: '2024-01-27T17:13:55.000Z',
  },
})
export type TransactionCreated = Static<typeof TransactionCreated.payload>

export const PostingsCreated = defineEvent({
  name: 'PostingsCreated',
  ...notification,
  key: 'id',
  description:
    'Money was moved in several legs, all at once: the transaction, and for each leg both accounts and the ' +
    'amount. Published instead of TransactionCreated; each leg has a BalanceUpdated of its own.',
  payload: Type.Object({
    id: id('The transaction.'),
    currency: currency('The currency of all accounts.'),
    kind: text('`postings`, or `reversal` when it reverses such a transaction; others may be added.'),
    reference: optional(textOrNull("The caller's own reference.")),
    reverses: optional(text('The transaction that this one reverses, as a whole.')),
    postings: Type.Array(
      Type.Object({
        account_id_from: payer,
        account_id_to: payee,
        amount: money('The amount that was moved.'),
      }),
      { minItems: 2, description: 'The legs, in the order in which they were executed.' },
    ),
    actor,
    effective_at: effectiveAt,
    created_at: text('When it was written to the ledger.'),
  }),
  example: {
    id: '019ac2d4-7a00-7d1b-8c3e-2f6a9b0c4d15',
    currency: 'BRL',
    kind: 'postings',
    reference: 'order 1',
    postings: [
      { ...accountsExample, amount: 80 },
      {
        account_id_from: accountsExample.account_id_from,
        account_id_to: 'd6a4053e-bbd0-11ee-8a24-0242ac120003',
        amount: 1.2,
      },
    ],
    effective_at: '2024-01-27T17:13:55.000Z',
    created_at: '2024-01-27T17:13:55.000Z',
  },
})
export type PostingsCreated = Static<typeof PostingsCreated.payload>

const holdFields = {
  id: id('The hold.'),
  account_id_from: id('The account whose money is held.'),
  account_id_to: id('The account it is held for; `world` when none was given.'),
  amount: money('The amount held.'),
  currency: currency('The currency of both accounts.'),
  reference: optional(textOrNull("The caller's own reference.")),
}

const holdExample = {
  id: '019aab9d-2c00-7f38-9a1c-5a1f7b0e4c11',
  ...accountsExample,
  amount: 25.5,
  currency: 'BRL',
  reference: 'order 1',
}

export const HoldPlaced = defineEvent({
  name: 'HoldPlaced',
  ...notification,
  description: 'A hold was placed: its amount stays in the balance, and is no longer available.',
  payload: Type.Object({
    ...holdFields,
    expires_at: text('When it expires.'),
    actor,
    created_at: text('When it was placed.'),
  }),
  example: {
    ...holdExample,
    expires_at: '2024-02-03T17:13:55.000Z',
    created_at: '2024-01-27T17:13:55.000Z',
  },
})

export const HoldReleased = defineEvent({
  name: 'HoldReleased',
  ...notification,
  description:
    'A hold ended without payment. A capture ends it with a TransactionCreated that carries its hold_id.',
  payload: Type.Object({
    ...holdFields,
    reason: Type.Union([Type.Literal('released'), Type.Literal('expired')], { description: 'How it ended.' }),
    actor,
    created_at: text('When it ended.'),
  }),
  example: {
    ...holdExample,
    reason: 'released',
    created_at: '2024-01-28T09:00:00.000Z',
  },
})

export const HoldExtended = defineEvent({
  name: 'HoldExtended',
  ...notification,
  description: 'An open hold expires later than before. Nothing else of it changes.',
  payload: Type.Object({
    change_id: changeId,
    ...holdFields,
    expires_at: text('When it expires now.'),
    actor,
    created_at: text('When it was extended.'),
  }),
  example: {
    change_id: '019ac1f2-0a1b-7c22-8f33-1e4d5c6b7a03',
    ...holdExample,
    expires_at: '2024-02-10T17:13:55.000Z',
    created_at: '2024-01-28T08:00:00.000Z',
  },
})

/**
 * The only event of topic `balances`: the course's readers take every record there for one. Events
 * without versions, such as the course's own, apply in log order.
 */
export const BalanceUpdated = defineEvent({
  name: 'BalanceUpdated',
  topic: 'balances',
  version: 1,
  kind: 'event-carried state transfer',
  description: 'The balances of both accounts after a movement.',
  isOfCourse: true,
  aliases: {
    ...accountAliases,
    balance_account_from: 'balance_account_id_from',
    balance_account_to: 'balance_account_id_to',
  },
  // No key orders the events of both accounts: readers compare versions instead.
  key: 'account_id_from',
  payload: Type.Object({
    account_id_from: id('The account that pays, or whose money is held.'),
    account_id_to: payee,
    balance_account_id_from: money('The balance of the paying account afterwards.'),
    balance_account_id_to: money('The balance of the paid account afterwards.'),
    exact_balance_account_id_from: optional(
      exact('The exact balance, when it has more than 15 digits and the number is only the nearest one.'),
    ),
    exact_balance_account_id_to: optional(
      exact('The same for the paid account. Only `world` gets this large.'),
    ),
    version_account_id_from: optional(
      version(
        "Number of the paying account's entry with this balance: 1, 2, 3 … The highest wins, in any order.",
      ),
    ),
    version_account_id_to: optional(version('The same for the paid account.')),
    held_account_id_from: optional(
      held('The amount of open holds of the paying account: part of the balance, but not available.'),
    ),
    held_account_id_to: optional(held('The same for the paid account.')),
    status_account_id_from: optional(
      text('The status of the paying account, as in AccountUpdated; it is `open` when absent.'),
    ),
    status_account_id_to: optional(text('The same for the paid account.')),
    overdraft_limit_account_id_from: optional(
      money('The overdraft limit of the paying account; when absent, that of AccountOpened.'),
    ),
    overdraft_limit_account_id_to: optional(money('The same for the paid account.')),
    transaction_id: optional(id('The cause: a transaction, a hold, its release, or a change.')),
    leg: optional(
      version(
        'Which leg of the transaction: its position in `postings`, from 0. Absent where it has no legs.',
      ),
    ),
    hold_id: optional(text('The hold that was placed, extended or ended by it.')),
    starts_epoch: optional(
      epoch(
        'It is no movement: the ledger was restored, and its epoch of this number starts with this state ' +
          'of the account. Later versions that an earlier epoch had are void.',
      ),
    ),
    amount: optional(money('The amount that was moved; 0 when nothing moved.')),
    currency: optional(currency('The currency of the accounts when absent.')),
    actor,
    effective_at: effectiveAt,
    created_at: optional(text('When it was written to the ledger.')),
  }),
  example: {
    ...accountsExample,
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
  ClientUpdated,
  PersonalDataRecorded,
  PersonalDataErased,
  AccountOpened,
  AccountUpdated,
  EpochStarted,
  TransactionCreated,
  PostingsCreated,
  HoldPlaced,
  HoldExtended,
  HoldReleased,
  BalanceUpdated,
} as const
export type EventName = keyof typeof events

/** By event name. */
export type Payloads = { [Name in EventName]: Static<(typeof events)[Name]['payload']> }

export type SaldoEvent = { [Name in EventName]: { name: Name; payload: Payloads[Name] } }[EventName]

/** All topics of the wallet, in the order in which a movement's events are sent. */
export const topics = ['clients', 'personal-data', 'accounts', 'transactions', 'balances'] as const
export type Topic = (typeof topics)[number]
