/**
 * What an event, or a row of the read model, says of the ledger: claims, each about one entry,
 * account, transaction or hold. Pure.
 */
import type { Balance } from '../balances/queries/balances-store'
import type { BalanceUpdated, SaldoEvent } from '../contract/events/events'
import { currencyDefault, parseMoney, wideMinorMax } from '../contract/money'
import type { Fields, Name } from './ledger-store'
import type { ShownClient, ShownEntry } from './read-model-store'

export type Claim = Name & {
  fields: Fields
  /** Whether it is about what this is meant to tell, rather than about how somebody stands meanwhile. */
  tells: boolean
}

export function claimsOfEvent({ name: subject, payload }: SaldoEvent): Claim[] {
  if (subject === 'BalanceUpdated') return claimsOfBalances(payload)
  if (subject === 'ClientRegistered')
    return [
      { subject, name: payload.id, fields: { clientName: payload.name, email: payload.email }, tells: true },
    ]
  if (subject === 'AccountOpened') {
    const { id, client_id: clientId, currency, overdraft_limit: limit } = payload
    // The first version of the event had no limit, and `world` has none.
    const limits: Fields = limit === undefined ? {} : { overdraftLimitMinor: minorOf(limit, currency) }
    return [{ subject, name: id, fields: { clientId, currency, ...limits }, tells: true }]
  }
  const {
    id,
    account_id_from: accountIdFrom,
    account_id_to: accountIdTo,
    currency = currencyDefault,
  } = payload
  const amountMinor = minorOf(payload.amount, currency)
  return [{ subject, name: id, fields: { accountIdFrom, accountIdTo, amountMinor, currency }, tells: true }]
}

function claimsOfBalances(payload: BalanceUpdated): Claim[] {
  const { transaction_id: transactionId = null, currency = currencyDefault } = payload
  const amount = minorOf(payload.amount, currency)
  return (['from', 'to'] as const).map((side) => {
    const accountId = payload[`account_id_${side}`]
    const state = {
      balanceMinor: minorOf(
        payload[`exact_balance_account_id_${side}`] ?? payload[`balance_account_id_${side}`],
        currency,
      ),
      heldMinor: minorOf(payload[`held_account_id_${side}`] ?? 0, currency),
      currency,
    }
    const version = payload[`version_account_id_${side}`]
    // Where nothing moved, as with a hold, the payee is told of as it stands.
    if (side === 'to' && amount === 0n) return claimOfState(accountId, version, state)
    const amountMinor = amount && (side === 'from' ? -amount : amount)
    return { ...entryOf(accountId, version), fields: { transactionId, amountMinor, ...state }, tells: true }
  })
}

/** Of an account that has no entry yet there is nothing to say but that it is there. */
const claimOfState = (accountId: string, version: bigint | number | undefined, state: Fields): Claim =>
  Number(version) === 0
    ? {
        subject: 'AccountOpened',
        name: accountId,
        fields: { currency: state.currency ?? null },
        tells: false,
      }
    : { ...entryOf(accountId, version), fields: state, tells: false }

/** The course's records do not say which entry they are about, and no entry is called so. */
const entryOf = (accountId: string, version: bigint | number | undefined): Name => ({
  subject: 'entry',
  name: `${accountId}:${version ?? '?'}`,
})

/** Null, which no ledger says, for what is not money. */
function minorOf(amount: number | string | undefined, currency: string): bigint | null {
  const money = parseMoney(amount, currency, wideMinorMax)
  return money.ok ? money.minor : null
}

/** The owner is left out as long as nobody has told of it. */
export const claimsOfBalance = ({
  accountId,
  clientId,
  currency,
  version,
  balanceMinor,
  heldMinor,
}: Balance): Claim[] => [
  {
    subject: 'AccountOpened',
    name: accountId,
    fields: { currency, ...(clientId ? { clientId } : {}) },
    tells: true,
  },
  claimOfState(accountId, version, { balanceMinor, heldMinor, currency }),
]

/** What the read side was not told, it does not say either. */
export function claimOfEntry({ accountId, version, ...fields }: ShownEntry): Claim {
  const said = Object.entries(fields).filter(([, value]) => value !== null)
  return { ...entryOf(accountId, version), fields: Object.fromEntries(said), tells: true }
}

export const claimOfClient = ({ id, name, email }: ShownClient): Claim => ({
  subject: 'ClientRegistered',
  name: id,
  fields: { clientName: name, email },
  tells: true,
})
