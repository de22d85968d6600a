/** What requests of the wallet are about, for keys that are restricted to accounts or a client. */
import { currencyDefault } from '../../contract/money'
import type { Subject } from '../../platform/http/principal'
import type { Database } from '../../platform/postgres/database'
import { worldIdOf } from '../domain/account'
import { findAccount } from '../ledger/store/rows'
import { findById } from './values'

/** The client of an account. */
export const findOwnerIn = (database: Database) => async (accountId: string) =>
  (await findById(accountId, (id) => findAccount(database, id)))?.clientId

type Parties = { accountIdFrom: string; accountIdTo: string; currency: string }

/** The account that pays. Where that is `world`, money enters, which nothing else limits: both accounts. */
export const payersOf = ({ accountIdFrom: from, accountIdTo: to, currency }: Parties): Subject[] =>
  from === worldIdOf(currency) ? [{ account: from }, { account: to }] : [{ account: from }]

type Movement = { account_id_from?: string | undefined; account_id_to?: string | undefined }

/** The same, of a movement as it is sent: without an account to debit, money enters. */
export function payersIn({ account_id_from, account_id_to = '' }: Movement, currency = currencyDefault) {
  const accountIdFrom = account_id_from ?? worldIdOf(currency)
  return payersOf({ accountIdFrom, accountIdTo: account_id_to, currency })
}

type Filter = { account_id?: string | undefined; client_id?: string | undefined }

/** What the filter of a list names. */
export const namedBy = ({ account_id, client_id }: Filter): Subject[] => [
  ...(account_id === undefined ? [] : [{ account: account_id }]),
  ...(client_id === undefined ? [] : [{ client: client_id }]),
]
