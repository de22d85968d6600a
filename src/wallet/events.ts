/** Turns facts into events, encoded for the outbox. Pure. */
import { events, type SaldoEvent } from '../contract/events/events'
import { exactMoney, moneyNumber } from '../contract/money'
import { type EncodedEvent, encodeEvent } from '../contract/wire/envelope'
import type { Account, AccountSnapshot } from './domain/account'
import type { Change, Client, Creation, Hold, Legs, PublishedMovement, Transaction } from './domain/types'

/** A version of a client, by the id of the change that led to it: that of the client itself at first. */
export type ClientVersion = {
  changeId: string
  client: Omit<Client, 'name' | 'email'>
}

export function clientToEvent({ changeId, client }: ClientVersion): EncodedEvent {
  const { id, version, actor, changedActor, createdAt, updatedAt, erasedAt } = client
  if (version === 1n) {
    const payload = { id, ...by(actor), created_at: createdAt.toISOString() }
    return encodeEvent({ name: 'ClientRegistered', payload }, payload.created_at)
  }
  const payload = {
    change_id: changeId,
    id,
    version: Number(version),
    ...(erasedAt && { erased_at: erasedAt.toISOString() }),
    registered_at: createdAt.toISOString(),
    ...by(changedActor),
    created_at: updatedAt.toISOString(),
  }
  return encodeEvent({ name: 'ClientUpdated', payload }, payload.created_at)
}

/**
 * Has the relay publish the personal data of a client, or that it was erased: as it is when it is sent. So
 * neither the outbox nor what is read from it ever holds any.
 */
export function personalDataToEvent({ changeId, client }: ClientVersion): EncodedEvent {
  const { topic, name } = client.erasedAt ? events.PersonalDataErased : events.PersonalDataRecorded
  const time = client.updatedAt.toISOString()
  return { topic, key: client.id, value: readWhenSent, name, subject: changeId, time }
}
const readWhenSent = '{}'

type Opening = Pick<
  Account,
  'id' | 'clientId' | 'currency' | 'overdraftLimitMinor' | 'openingLimitMinor' | 'actor' | 'createdAt'
>

export function accountToEvent(account: Opening): EncodedEvent {
  const { id, clientId, currency, createdAt } = account
  const overdraftLimitMinor = account.openingLimitMinor ?? account.overdraftLimitMinor
  const payload = {
    id,
    client_id: clientId,
    currency,
    ...(overdraftLimitMinor === null ? {} : { overdraft_limit: moneyNumber(overdraftLimitMinor, currency) }),
    ...by(account.actor),
    created_at: createdAt.toISOString(),
  }
  return encodeEvent({ name: 'AccountOpened', payload }, payload.created_at)
}

/** An account as it is at the start of an epoch of the ledger. */
export function accountAtStart(account: Account, epoch: number): EncodedEvent {
  const { id, currency, balanceMinor, heldMinor, version } = account
  const exact = exactMoney(balanceMinor, currency)
  const created_at = account.updatedAt.toISOString()
  const payload = {
    account_id_from: id,
    account_id_to: id,
    balance_account_id_from: moneyNumber(balanceMinor, currency),
    balance_account_id_to: moneyNumber(balanceMinor, currency),
    ...(exact === undefined
      ? {}
      : { exact_balance_account_id_from: exact, exact_balance_account_id_to: exact }),
    version_account_id_from: Number(version),
    version_account_id_to: Number(version),
    held_account_id_from: moneyNumber(heldMinor, currency),
    held_account_id_to: moneyNumber(heldMinor, currency),
    ...termsOf(account, 'from'),
    ...termsOf(account, 'to'),
    starts_epoch: epoch,
    amount: 0,
    currency,
    created_at,
  }
  return encodeEvent({ name: 'BalanceUpdated', payload }, created_at)
}

/** After all of these, and the personal data of all clients. */
export function epochToEvent({
  startedAt,
  ...started
}: {
  id: string
  epoch: number
  accounts: number
  clients: number
  startedAt: Date
}): EncodedEvent {
  const payload = { ...started, created_at: startedAt.toISOString() }
  return encodeEvent({ name: 'EpochStarted', payload }, payload.created_at)
}

/** An event that cannot be encoded fails the whole write. */
export function toEvents(fact: PublishedMovement | Creation): EncodedEvent[] {
  if ('client' in fact) {
    const version = { changeId: fact.id, client: fact.client }
    return [clientToEvent(version), personalDataToEvent(version)]
  }
  if (fact.type === 'opening') return fact.accounts.map(accountToEvent)
  const createdAt = fact.createdAt.toISOString()
  // The notification first, as in the course's wallet, then both balances.
  return [...notificationOf(fact, createdAt), balancesOf(fact, createdAt)].map((event) =>
    encodeEvent(event, createdAt),
  )
}

function notificationOf(fact: PublishedMovement, createdAt: string): SaldoEvent[] {
  if (fact.type === 'leg') return fact.whole ? [postingsCreated(fact.whole, createdAt)] : []
  if (fact.transaction) return [transactionCreated(fact.transaction, createdAt)]
  if (fact.type === 'change') return [accountUpdated(fact, createdAt)]
  if (fact.type === 'extension') return [holdExtended(fact.change, fact.hold, createdAt)]
  return [(fact.type === 'hold' ? holdPlaced : holdReleased)(fact.hold, createdAt)]
}

function accountUpdated(
  { change, clientId, from: { currency } }: Extract<PublishedMovement, { type: 'change' }>,
  createdAt: string,
): SaldoEvent {
  const { id, accountId, status, overdraftLimitMinor, version, reference, actor } = change
  return {
    name: 'AccountUpdated',
    payload: {
      change_id: id,
      id: accountId,
      client_id: clientId,
      currency,
      status,
      overdraft_limit: moneyNumber(overdraftLimitMinor, currency),
      version: Number(version),
      reference,
      ...by(actor),
      created_at: createdAt,
    },
  }
}

/** The hold may have been extended again since then. */
function holdExtended({ id, expiresAt, actor }: Change, hold: Hold, createdAt: string): SaldoEvent {
  const expires_at = (expiresAt ?? hold.expiresAt).toISOString()
  return {
    name: 'HoldExtended',
    payload: { change_id: id, ...holdFields(hold, actor, createdAt), expires_at },
  }
}

function holdPlaced(hold: Hold, createdAt: string): SaldoEvent {
  return {
    name: 'HoldPlaced',
    payload: { ...holdFields(hold, hold.actor, createdAt), expires_at: hold.expiresAt.toISOString() },
  }
}

function holdReleased(hold: Hold, createdAt: string): SaldoEvent {
  const reason = hold.status === 'expired' ? 'expired' : 'released'
  return { name: 'HoldReleased', payload: { ...holdFields(hold, hold.endedActor, createdAt), reason } }
}

const holdFields = (hold: Hold, actor: string | null, createdAt: string) => ({
  id: hold.id,
  account_id_from: hold.accountIdFrom,
  account_id_to: hold.accountIdTo,
  amount: moneyNumber(hold.amountMinor, hold.currency),
  currency: hold.currency,
  reference: hold.reference,
  ...by(actor),
  created_at: createdAt,
})

function transactionCreated(transaction: Transaction, createdAt: string): SaldoEvent {
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
      ...by(transaction.actor),
      effective_at: transaction.effectiveAt.toISOString(),
      created_at: createdAt,
    },
  }
}

function postingsCreated(legs: Legs, createdAt: string): SaldoEvent {
  const [{ id, currency, kind, reference, reverses, actor, effectiveAt }] = legs
  return {
    name: 'PostingsCreated',
    payload: {
      id,
      currency,
      kind,
      reference,
      ...(reverses === null ? {} : { reverses }),
      postings: legs.map(({ accountIdFrom, accountIdTo, amountMinor }) => ({
        account_id_from: accountIdFrom,
        account_id_to: accountIdTo,
        amount: moneyNumber(amountMinor, currency),
      })),
      ...by(actor),
      effective_at: effectiveAt.toISOString(),
      created_at: createdAt,
    },
  }
}

/** For every change of an account's state. A hold changes the payer only: the payee keeps its version. */
function balancesOf(fact: PublishedMovement, createdAt: string): SaldoEvent {
  const { id, from, to, transaction, hold } = fact
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
      ...termsOf(from, 'from'),
      ...termsOf(to, 'to'),
      transaction_id: id,
      ...(fact.type === 'leg' ? { leg: fact.transaction.leg } : {}),
      ...(hold ? { hold_id: hold.id } : {}),
      amount: moneyNumber(transaction?.amountMinor ?? 0n, currency),
      currency,
      ...by(actorOf(fact)),
      effective_at: transaction?.effectiveAt.toISOString() ?? createdAt,
      created_at: createdAt,
    },
  }
}

/** Left out without one. */
const by = (actor: string | null) => (actor === null ? {} : { actor })

function actorOf(fact: PublishedMovement): string | null {
  if (fact.transaction) return fact.transaction.actor
  if ('change' in fact) return fact.change.actor
  return fact.type === 'hold' ? fact.hold.actor : fact.hold.endedActor
}

/**
 * Where they are not as at the opening. Part of the state of a version, as the balance is: so a reader who
 * waits for a version never sees older terms with it, in whichever order events arrive.
 */
function termsOf(
  { status, overdraftLimitMinor: limit, openingLimitMinor, currency }: AccountSnapshot,
  side: 'from' | 'to',
) {
  const hasOtherLimit = openingLimitMinor !== null && limit !== null && limit !== openingLimitMinor
  return {
    ...(status !== 'open' && { [`status_account_id_${side}`]: status }),
    ...(hasOtherLimit && { [`overdraft_limit_account_id_${side}`]: moneyNumber(limit, currency) }),
  }
}
