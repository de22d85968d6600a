/**
 * What an event, or a row of the read model, asserts about the ledger: each assertion is about one
 * entry, account, client, transaction or hold. Pure.
 */
import type { BalanceUpdated, SaldoEvent } from '../contract/events/events'
import { currencyDefault, parseMoney, wideMinorMax } from '../contract/money'
import type { Fields, Reference } from './ledger-store'
import type { ModelBalance, ModelClient, ModelEntry } from './read-model-store'

export type Assertion = Reference & {
  fields: Fields
  /**
   * It proves that its subject was published or applied. A state that an event carries along proves
   * nothing.
   */
  isEvidence: boolean
}

export function assertionsOfEvent({ name: subject, payload }: SaldoEvent): Assertion[] {
  if (subject === 'BalanceUpdated') return assertionsOfBalances(payload)
  if (subject === 'PersonalDataErased') return [assertionOfClient({ ...payload, name: null })]
  if (subject === 'PersonalDataRecorded') {
    const { fields, ...assertion } = assertionOfClient(payload)
    return [{ ...assertion, fields: { ...fields, email: payload.email } }]
  }
  // It is about all of them, and asserts nothing about any.
  if (subject === 'EpochStarted') return []
  const { actor = null } = payload
  if (subject === 'ClientRegistered')
    return [{ subject, name: payload.id, fields: { actor }, isEvidence: true }]
  if (subject === 'ClientUpdated') {
    const fields = { erasedAt: payload.erased_at ?? null, actor }
    return [{ subject, name: `${payload.id}:${payload.version}`, fields, isEvidence: true }]
  }
  if (subject === 'AccountUpdated') {
    const {
      change_id: transactionId,
      client_id: clientId,
      currency,
      status,
      overdraft_limit: limit,
    } = payload
    const fields = {
      transactionId,
      clientId,
      currency,
      status,
      overdraftLimitMinor: minorOf(limit, currency),
      actor,
    }
    return [{ subject, name: `${payload.id}:${payload.version}`, fields, isEvidence: true }]
  }
  if (subject === 'AccountOpened') {
    const { id, client_id: clientId, currency, overdraft_limit: limit } = payload
    // The first version of the event had no limit, and `world` has none.
    const limits: Fields = limit === undefined ? {} : { overdraftLimitMinor: minorOf(limit, currency) }
    return [{ subject, name: id, fields: { clientId, currency, actor, ...limits }, isEvidence: true }]
  }
  if (subject === 'PostingsCreated') {
    const { id, currency, postings } = payload
    return postings.map((leg, index) => ({
      subject,
      name: `${id}/${index}`,
      fields: {
        accountIdFrom: leg.account_id_from,
        accountIdTo: leg.account_id_to,
        amountMinor: minorOf(leg.amount, currency),
        currency,
        actor,
      },
      isEvidence: true,
    }))
  }
  const { account_id_from: accountIdFrom, account_id_to: accountIdTo } = payload
  const { currency = currencyDefault } = payload
  const fields = {
    ...{ accountIdFrom, accountIdTo, amountMinor: minorOf(payload.amount, currency), currency, actor },
    ...('expires_at' in payload ? { expiresAt: payload.expires_at } : {}),
  }
  return [
    { subject, name: 'change_id' in payload ? payload.change_id : payload.id, fields, isEvidence: true },
  ]
}

function assertionsOfBalances(payload: BalanceUpdated): Assertion[] {
  const { transaction_id: transactionId = null, currency = currencyDefault, actor = null } = payload
  const amount = minorOf(payload.amount, currency)
  return (['from', 'to'] as const).map((side) => {
    const accountId = payload[`account_id_${side}`]
    const balance = payload[`exact_balance_account_id_${side}`] ?? payload[`balance_account_id_${side}`]
    const state = {
      balanceMinor: minorOf(balance, currency),
      heldMinor: minorOf(payload[`held_account_id_${side}`] ?? 0, currency),
      currency,
      status: payload[`status_account_id_${side}`] ?? 'open',
      overdraftLimitMinor: minorOf(payload[`overdraft_limit_account_id_${side}`], currency),
    }
    const version = payload[`version_account_id_${side}`]
    if (payload.starts_epoch !== undefined) return assertionOfState(accountId, version, state)
    // A hold does not move money to the payee: its state here belongs to another event.
    if (side === 'to' && amount === 0n) return assertionOfState(accountId, version, state)
    const amountMinor = amount && (side === 'from' ? -amount : amount)
    const fields = { transactionId, amountMinor, actor, ...state }
    return { ...referenceOf(accountId, version), fields, isEvidence: true }
  })
}

/** An account without entries has only its opening. */
const assertionOfState = (
  accountId: string,
  version: bigint | number | undefined,
  state: Fields,
): Assertion =>
  Number(version) === 0
    ? {
        subject: 'AccountOpened',
        name: accountId,
        fields: { currency: state.currency ?? null },
        isEvidence: false,
      }
    : { ...referenceOf(accountId, version), fields: state, isEvidence: false }

/** Records of the course carry no version; `?` matches no entry. */
const referenceOf = (accountId: string, version: bigint | number | undefined): Reference => ({
  subject: 'entry',
  name: `${accountId}:${version ?? '?'}`,
})

/** Null, which no ledger record has, for what is not money. */
function minorOf(amount: number | string | undefined, currency: string): bigint | null {
  const money = parseMoney(amount, currency, wideMinorMax)
  return money.ok ? money.minor : null
}

/** The owner is left out until the read model has it. */
export function assertionsOfBalance(balance: ModelBalance): Assertion[] {
  const { accountId, clientId, currency, version, openingLimitMinor } = balance
  const { balanceMinor, heldMinor, status, overdraftLimitMinor } = balance
  const state = { balanceMinor, heldMinor, status, overdraftLimitMinor, currency }
  const fields = {
    currency,
    ...(clientId ? { clientId } : {}),
    ...(openingLimitMinor === null ? {} : { overdraftLimitMinor: openingLimitMinor }),
  }
  return [
    { subject: 'AccountOpened', name: accountId, fields, isEvidence: true },
    assertionOfState(accountId, version, state),
  ]
}

/** A column that no event has filled asserts nothing. */
export function assertionOfEntry(entry: ModelEntry): Assertion {
  const { accountId, version, status, overdraftLimitMinor, ...columns } = entry
  const fields = Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== null))
  const terms = { status: status ?? 'open', overdraftLimitMinor }
  return { ...referenceOf(accountId, version), fields: { ...fields, ...terms }, isEvidence: true }
}

/** A client without a name was erased. */
export const assertionOfClient = ({
  id,
  name,
  version,
}: Pick<ModelClient, 'id' | 'name'> & { version: bigint | number }): Assertion => ({
  subject: name === null ? 'PersonalDataErased' : 'PersonalDataRecorded',
  name: `${id}:${version}`,
  fields: name === null ? {} : { clientName: name },
  isEvidence: true,
})
