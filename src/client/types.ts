/** Generated from the tables of routes (`npm run docs`): do not edit. */
import type { CallOptions, Pages, WatchOptions } from './calls.ts'

/** Each method, with `Amount` as the type of an amount in a response. */
export type Operations<Amount = number | string> = {
  /**
   * Registers a client.
   * `POST /clients` (`createClient`)
   */
  registerClient(body: NewClient & DryRun, options?: CallOptions): Promise<ClientPreview>
  /**
   * Registers a client.
   * `POST /clients` (`createClient`)
   */
  registerClient(body: NewClient, options?: CallOptions): Promise<Client>
  /**
   * Clients, in the order of their ids.
   * `GET /clients` (`listClients`)
   */
  clients(query?: ClientsQuery, options?: CallOptions): Pages<Clients>
  /**
   * A client.
   * `GET /clients/{id}` (`getClient`)
   */
  client(clientId: string, options?: CallOptions): Promise<Client>
  /**
   * Changes the name or the e-mail address of a client. What is absent stays.
   * `PATCH /clients/{id}` (`updateClient`)
   */
  updateClient(
    clientId: string,
    body: ClientUpdate & DryRun,
    options?: CallOptions,
  ): Promise<ClientChangePreview>
  /**
   * Changes the name or the e-mail address of a client. What is absent stays.
   * `PATCH /clients/{id}` (`updateClient`)
   */
  updateClient(clientId: string, body: ClientUpdate, options?: CallOptions): Promise<Client>
  /**
   * All that is stored about a client as a person, in each version, and what became of its erasure.
   * `GET /clients/{id}/personal-data` (`getPersonalData`)
   */
  personalData(clientId: string, options?: CallOptions): Promise<PersonalData>
  /**
   * Erases the name and the e-mail address of a client, in all versions, at both services. Final.
   * `DELETE /clients/{id}/personal-data` (`erasePersonalData`)
   */
  erasePersonalData(clientId: string, options?: CallOptions): Promise<Client>
  /**
   * Opens an account.
   * `POST /accounts` (`createAccount`)
   */
  openAccount(body: NewAccount & DryRun, options?: CallOptions): Promise<AccountPreview<Amount>>
  /**
   * Opens an account.
   * `POST /accounts` (`createAccount`)
   */
  openAccount(body: NewAccount, options?: CallOptions): Promise<Account<Amount>>
  /**
   * Accounts of clients, in the order of their ids.
   * `GET /accounts` (`listAccounts`)
   */
  accounts(query?: AccountsQuery, options?: CallOptions): Pages<Accounts<Amount>>
  /**
   * The accounts `world`, one of each currency in use.
   * `GET /world-accounts` (`listWorldAccounts`)
   */
  worldAccounts(query?: WorldAccountsQuery, options?: CallOptions): Pages<Accounts<Amount>>
  /**
   * An account in the ledger.
   * `GET /accounts/{id}` (`getAccount`)
   */
  account(accountId: string, options?: CallOptions): Promise<Account<Amount>>
  /**
   * Changes the overdraft limit of an account.
   * `PATCH /accounts/{id}` (`updateAccount`)
   */
  updateAccount(
    accountId: string,
    body: AccountUpdate & DryRun,
    options?: CallOptions,
  ): Promise<AccountChangePreview<Amount>>
  /**
   * Changes the overdraft limit of an account.
   * `PATCH /accounts/{id}` (`updateAccount`)
   */
  updateAccount(
    accountId: string,
    body: AccountUpdate,
    options?: CallOptions,
  ): Promise<Account<Amount>>
  /**
   * Freezes an account. Open holds stay, and can be released, but not captured.
   * `POST /accounts/{id}/freeze` (`freezeAccount`)
   */
  freezeAccount(
    accountId: string,
    body: NewFreeze & DryRun,
    options?: CallOptions,
  ): Promise<AccountChangePreview<Amount>>
  /**
   * Freezes an account. Open holds stay, and can be released, but not captured.
   * `POST /accounts/{id}/freeze` (`freezeAccount`)
   */
  freezeAccount(accountId: string, body?: NewFreeze, options?: CallOptions): Promise<Account<Amount>>
  /**
   * Unfreezes an account.
   * `POST /accounts/{id}/unfreeze` (`unfreezeAccount`)
   */
  unfreezeAccount(
    accountId: string,
    body: NewUnfreeze & DryRun,
    options?: CallOptions,
  ): Promise<AccountChangePreview<Amount>>
  /**
   * Unfreezes an account.
   * `POST /accounts/{id}/unfreeze` (`unfreezeAccount`)
   */
  unfreezeAccount(
    accountId: string,
    body?: NewUnfreeze,
    options?: CallOptions,
  ): Promise<Account<Amount>>
  /**
   * Closes an account for good. Its balance has to be zero, and no hold may be open.
   * `POST /accounts/{id}/close` (`closeAccount`)
   */
  closeAccount(
    accountId: string,
    body: NewClosing & DryRun,
    options?: CallOptions,
  ): Promise<AccountChangePreview<Amount>>
  /**
   * Closes an account for good. Its balance has to be zero, and no hold may be open.
   * `POST /accounts/{id}/close` (`closeAccount`)
   */
  closeAccount(accountId: string, body?: NewClosing, options?: CallOptions): Promise<Account<Amount>>
  /**
   * Transfers money between two accounts, or in several postings at once.
   * `POST /transactions` (`createTransfer`)
   */
  transfer(body: NewTransfer & DryRun, options?: CallOptions): Promise<TransactionPreview<Amount>>
  /**
   * Transfers money between two accounts, or in several postings at once.
   * `POST /transactions` (`createTransfer`)
   */
  transfer(
    body: NewPostings & DryRun,
    options?: CallOptions,
  ): Promise<PostingsTransactionPreview<Amount>>
  /**
   * Transfers money between two accounts, or in several postings at once.
   * `POST /transactions` (`createTransfer`)
   */
  transfer(body: NewTransfer, options?: CallOptions): Promise<Transaction<Amount>>
  /**
   * Transfers money between two accounts, or in several postings at once.
   * `POST /transactions` (`createTransfer`)
   */
  transfer(body: NewPostings, options?: CallOptions): Promise<PostingsTransaction<Amount>>
  /**
   * Transactions of an account or a client, or by what was noted about them, newest first.
   * `GET /transactions` (`listTransactions`)
   */
  transactions(query?: TransactionsQuery, options?: CallOptions): Pages<Transactions<Amount>>
  /**
   * Deposits money into an account, from `world`.
   * `POST /accounts/{id}/deposits` (`createDeposit`)
   */
  deposit(
    accountId: string,
    body: NewMovement & DryRun,
    options?: CallOptions,
  ): Promise<TransactionPreview<Amount>>
  /**
   * Deposits money into an account, from `world`.
   * `POST /accounts/{id}/deposits` (`createDeposit`)
   */
  deposit(accountId: string, body: NewMovement, options?: CallOptions): Promise<Transaction<Amount>>
  /**
   * Withdraws money from an account, to `world`.
   * `POST /accounts/{id}/withdrawals` (`createWithdrawal`)
   */
  withdraw(
    accountId: string,
    body: NewMovement & DryRun,
    options?: CallOptions,
  ): Promise<TransactionPreview<Amount>>
  /**
   * Withdraws money from an account, to `world`.
   * `POST /accounts/{id}/withdrawals` (`createWithdrawal`)
   */
  withdraw(accountId: string, body: NewMovement, options?: CallOptions): Promise<Transaction<Amount>>
  /**
   * Reverses a transaction, whole or in part.
   * `POST /transactions/{id}/reverse` (`reverseTransaction`)
   */
  reverseTransaction(
    transactionId: string,
    body: NewReversal & DryRun,
    options?: CallOptions,
  ): Promise<TransactionPreview<Amount> | PostingsTransactionPreview<Amount>>
  /**
   * Reverses a transaction, whole or in part.
   * `POST /transactions/{id}/reverse` (`reverseTransaction`)
   */
  reverseTransaction(
    transactionId: string,
    body?: NewReversal,
    options?: CallOptions,
  ): Promise<Transaction<Amount> | PostingsTransaction<Amount>>
  /**
   * A transaction.
   * `GET /transactions/{id}` (`getTransaction`)
   */
  transaction(
    transactionId: string,
    options?: CallOptions,
  ): Promise<Transaction<Amount> | PostingsTransaction<Amount>>
  /**
   * When a transaction was committed, and where its events are on the broker.
   * `GET /transactions/{id}/delivery` (`getDelivery`)
   */
  delivery(transactionId: string, options?: CallOptions): Promise<Delivery>
  /**
   * Moves money up to a thousand times, all or none, or each on its own.
   * `POST /transactions/batch` (`createBatch`)
   */
  batch(body: NewBatch & DryRun, options?: CallOptions): Promise<BatchPreview<Amount>>
  /**
   * Moves money up to a thousand times, all or none, or each on its own.
   * `POST /transactions/batch` (`createBatch`)
   */
  batch(body: NewBatch, options?: CallOptions): Promise<Batch<Amount>>
  /**
   * Places a hold.
   * `POST /holds` (`createHold`)
   */
  placeHold(body: NewHold & DryRun, options?: CallOptions): Promise<HoldPreview<Amount>>
  /**
   * Places a hold.
   * `POST /holds` (`createHold`)
   */
  placeHold(body: NewHold, options?: CallOptions): Promise<Hold<Amount>>
  /**
   * Holds, newest first.
   * `GET /holds` (`listHolds`)
   */
  holds(query?: HoldsQuery, options?: CallOptions): Pages<Holds<Amount>>
  /**
   * A hold.
   * `GET /holds/{id}` (`getHold`)
   */
  hold(holdId: string, options?: CallOptions): Promise<Hold<Amount>>
  /**
   * Extends a hold, also one of a frozen account.
   * `PATCH /holds/{id}` (`extendHold`)
   */
  extendHold(
    holdId: string,
    body: HoldExtension & DryRun,
    options?: CallOptions,
  ): Promise<HoldChangePreview<Amount>>
  /**
   * Extends a hold, also one of a frozen account.
   * `PATCH /holds/{id}` (`extendHold`)
   */
  extendHold(holdId: string, body: HoldExtension, options?: CallOptions): Promise<Hold<Amount>>
  /**
   * Captures a hold, whole or in part. It ends it.
   * `POST /holds/{id}/capture` (`captureHold`)
   */
  captureHold(
    holdId: string,
    body: NewCapture & DryRun,
    options?: CallOptions,
  ): Promise<TransactionPreview<Amount>>
  /**
   * Captures a hold, whole or in part. It ends it.
   * `POST /holds/{id}/capture` (`captureHold`)
   */
  captureHold(holdId: string, body?: NewCapture, options?: CallOptions): Promise<Transaction<Amount>>
  /**
   * Releases a hold: nothing moves.
   * `POST /holds/{id}/release` (`releaseHold`)
   */
  releaseHold(
    holdId: string,
    body: DryRun,
    options?: CallOptions,
  ): Promise<HoldChangePreview<Amount>>
  /**
   * Releases a hold: nothing moves.
   * `POST /holds/{id}/release` (`releaseHold`)
   */
  releaseHold(holdId: string, body?: NewRelease, options?: CallOptions): Promise<Hold<Amount>>
  /**
   * Balances of all accounts, in the order of their ids.
   * `GET /balances` (`listBalances`)
   */
  balances(query?: BalancesQuery, options?: CallOptions): Pages<Balances<Amount>>
  /**
   * The balance of an account, now or at a time.
   * `GET /balances/{account_id}` (`getBalance`)
   */
  balance(
    accountId: string,
    query?: BalanceQuery,
    options?: CallOptions,
  ): Promise<Balance<Amount> | RecordedBalance<Amount> | EffectiveBalance<Amount>>
  /**
   * What changed the balance of an account, newest first.
   * `GET /balances/{account_id}/statement` (`getStatement`)
   */
  statement(
    accountId: string,
    query?: StatementQuery,
    options?: CallOptions,
  ): Pages<Statement<Amount>>
  /**
   * The entries that add up to the balance of an account, newest first.
   * `GET /balances/{account_id}/explain` (`explainBalance`)
   */
  explainBalance(
    accountId: string,
    query?: ExplainBalanceQuery,
    options?: CallOptions,
  ): Pages<RecordedExplanation<Amount> | EffectiveExplanation<Amount>>
  /**
   * The entries of all accounts, as they are applied.
   * `GET /balances/stream` (`streamBalances`)
   */
  watchBalances(options?: WatchOptions): AsyncGenerator<BalanceEvent<Amount>, void>
  /**
   * The balance of an account, and every entry that follows.
   * `GET /balances/{account_id}/stream` (`streamBalance`)
   */
  watchBalance(accountId: string, options?: WatchOptions): AsyncGenerator<BalanceEvent<Amount>, void>
  /**
   * Large movements, newest first.
   * `GET /large-movements` (`listLargeMovements`)
   */
  largeMovements(query?: LargeMovementsQuery, options?: CallOptions): Pages<LargeMovements<Amount>>
  /**
   * Records that could not be read or applied, newest first.
   * `GET /dead-letters` (`listDeadLetters`)
   */
  deadLetters(query?: DeadLettersQuery, options?: CallOptions): Pages<DeadLetters>
  /**
   * How many dead letters there are of each cause and topic, with an example.
   * `GET /dead-letters/causes` (`listDeadLetterCauses`)
   */
  deadLetterCauses(options?: CallOptions): Promise<DeadLetterGroups>
  /**
   * A dead letter in full.
   * `GET /dead-letters/{id}` (`getDeadLetter`)
   */
  deadLetter(letterId: string, options?: CallOptions): Promise<DeadLetter>
  /**
   * Reprocesses dead letters; those that can be applied leave the list.
   * `POST /dead-letters/redrive` (`redriveDeadLetters`)
   */
  redriveDeadLetters(body?: NewRedrive, options?: CallOptions): Promise<Redrive>
  /**
   * Reports of comparisons with the ledger, newest first.
   * `GET /reconciliations` (`listReconciliations`)
   */
  reconciliations(query?: ReconciliationsQuery, options?: CallOptions): Pages<Reconciliations>
  /**
   * A report in full, with its signature.
   * `GET /reconciliations/{id}` (`getReconciliation`)
   */
  reconciliation(reconciliationId: string, options?: CallOptions): Promise<ReconciliationReport>
  /**
   * The newest rebuild: how far it is, what differs, and how it ended.
   * `GET /rebuild` (`getRebuild`)
   */
  rebuild(options?: CallOptions): Promise<NoRebuild | Rebuild>
  /**
   * Starts a rebuild; swaps, rolls back or cancels one.
   * `POST /rebuild` (`requestRebuild`)
   */
  requestRebuild(body?: NewRebuild, options?: CallOptions): Promise<NoRebuild | Rebuild>
}

export type ClientsQuery = {
  /** Those with this e-mail address, in any letter case. */
  email?: string
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type AccountsQuery = {
  /** Those of this client. */
  client_id?: string
  /** Those in this currency (ISO 4217). */
  currency?: string
  /** Those in this status. */
  status?: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type WorldAccountsQuery = {
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type TransactionsQuery = {
  /** Of this account. */
  account_id?: string
  /** Of all accounts of this client, instead of one account. */
  client_id?: string
  /** Of this kind. */
  kind?: 'transfer' | 'deposit' | 'withdrawal' | 'reversal' | 'capture' | 'postings'
  /** Written at or after this time. */
  since?: string
  /** Written before this time. */
  until?: string
  /** With an `effective_at` at or after this time. */
  effective_since?: string
  /** With an `effective_at` before this time. */
  effective_until?: string
  /** With exactly this reference. */
  reference?: string
  /** The capture of this hold. */
  hold_id?: string
  /** The reversals of this transaction. */
  reverses?: string
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
} & {
  /**
   * `metadata.order=4711`: with this member at the top of its metadata, as text: a string, or
   * the number or boolean that the text is. At most 10 of them.
   */
  [name: `metadata.${string}`]: string | number | boolean | undefined
}

export type HoldsQuery = {
  /** Those of the money of this account. */
  account_id?: string
  /** Those in this status. The open ones are `placed`. */
  status?: 'placed' | 'captured' | 'released' | 'expired'
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type BalancesQuery = {
  /** Those of this client. */
  client_id?: string
  /** Those whose owner has a name that begins so, in capitals or not. */
  owner_name?: string
  /** Those in this currency (ISO 4217). */
  currency?: string
  /** At least this much, in `currency`, which has to be named. */
  min_balance?: string
  /** At most this much, in `currency`, which has to be named. */
  max_balance?: string
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type BalanceQuery = {
  /** As it was then. As it is now when absent. */
  at?: string
  /** Which time counts: `recorded` (when it was written; if absent) or `effective`. */
  time?: 'recorded' | 'effective'
}

export type StatementQuery = {
  /** Written at or after this time. */
  since?: string
  /** Written before this time. */
  until?: string
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type ExplainBalanceQuery = {
  /** As it was then. As it is now when absent. */
  at?: string
  /** Which time counts: `recorded` (when it was written; if absent) or `effective`. */
  time?: 'recorded' | 'effective'
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type LargeMovementsQuery = {
  /** To or from this account. */
  account_id?: string
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type DeadLettersQuery = {
  /** Those of this cause. */
  cause?: string
  /** Those of this topic. */
  topic?: string
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type ReconciliationsQuery = {
  /** Those with this result. */
  result?: 'clean' | 'different' | 'pending'
  /** Rows of a page: 50 when absent, at most 200. */
  limit?: number
  /** `next_cursor` of the page before, for the same filter. */
  cursor?: string
}

export type Account<Amount = number | string> = {
  /** The account. */
  id: string
  /** Its owner. Null for the system account `world`. */
  client_id: string | null
  /** ISO 4217. */
  currency: string
  /**
   * `debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is
   * final.
   */
  status: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** All that was credited less all that was debited. */
  balance: Amount
  /** Reserved by open holds. */
  held: Amount
  /** `balance` less `held`; the overdraft limit comes on top. */
  available: Amount
  /** How far below zero it may go. Null for `world`, which has no limit. */
  overdraft_limit: Amount | null
  /** The number of its entries. */
  version: number
  /** Who opened it, by the name of the API key. Null without one. */
  actor: string | null
  /** Who last changed its status or limit, by the name of the API key. Null without one. */
  changed_actor: string | null
  /** When it was opened. */
  created_at: string
  /** When its newest entry was written. */
  updated_at: string
}

export type AccountChangePreview<Amount = number | string> = {
  /** The account. */
  id: string
  /** Its owner. Null for the system account `world`. */
  client_id: string | null
  /** ISO 4217. */
  currency: string
  /**
   * `debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is
   * final.
   */
  status: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** All that was credited less all that was debited. */
  balance: Amount
  /** Reserved by open holds. */
  held: Amount
  /** `balance` less `held`; the overdraft limit comes on top. */
  available: Amount
  /** How far below zero it may go. Null for `world`, which has no limit. */
  overdraft_limit: Amount | null
  /** The number of its entries. */
  version: number
  /** Who opened it, by the name of the API key. Null without one. */
  actor: string | null
  /** Who last changed its status or limit, by the name of the API key. Null without one. */
  changed_actor: string | null
  /** When it was opened. */
  created_at: string
  /** When its newest entry was written. */
  updated_at: string
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type AccountPreview<Amount = number | string> = {
  /** It would be a new one. */
  id: null
  /** Its owner. Null for the system account `world`. */
  client_id: string | null
  /** ISO 4217. */
  currency: string
  /**
   * `debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is
   * final.
   */
  status: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** All that was credited less all that was debited. */
  balance: Amount
  /** Reserved by open holds. */
  held: Amount
  /** `balance` less `held`; the overdraft limit comes on top. */
  available: Amount
  /** How far below zero it may go. Null for `world`, which has no limit. */
  overdraft_limit: Amount | null
  /** The number of its entries. */
  version: number
  /** Who opened it, by the name of the API key. Null without one. */
  actor: string | null
  /** Who last changed its status or limit, by the name of the API key. Null without one. */
  changed_actor: string | null
  /** When it was opened. */
  created_at: string
  /** When its newest entry was written. */
  updated_at: string
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type AccountUpdate = {
  /** How far below zero it may go from now on, in major units. */
  overdraft_limit: number | string
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
}

export type Accounts<Amount = number | string> = {
  /** The rows of the page. */
  data: Account<Amount>[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type AssumedClientVersion = {
  /** The client. */
  client_id: string
  /** Its version, on which the preview was decided. */
  version: number
}

export type AssumedVersion = {
  /** The account. */
  account_id: string
  /** Its version, on which the preview was decided. */
  version: number
}

export type Balance<Amount = number | string> = {
  /** The same as `account_id`. */
  id: string
  /** The account. */
  account_id: string
  /** All that was credited less all that was debited. */
  balance: Amount | null
  /** Reserved by open holds. */
  held: Amount | null
  /** `balance` less `held`. */
  available: Amount | null
  /**
   * `debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is
   * final.
   */
  status: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** How far below zero it may go. Null for `world`, and until AccountOpened has been applied. */
  overdraft_limit: Amount | null
  /** ISO 4217. */
  currency: string
  /** The version of the account at the wallet. */
  version: number
  /** The owner; null until AccountOpened has been applied. */
  client_id: string | null
  /** Null until PersonalDataRecorded has been applied, and once it was erased. */
  owner_name: string | null
  /** When the account was opened. */
  created_at: string
  /** When its newest entry was written. */
  updated_at: string
}

export type Balances<Amount = number | string> = {
  /** The rows of the page. */
  data: Balance<Amount>[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type Batch<Amount = number | string> = {
  /** The mode of the request. */
  mode: 'atomic' | 'best_effort'
  /** How many were refused. */
  refused: number
  /** In the order of the request. */
  results: (BatchMemberDone<Amount> | BatchMemberRefused)[]
}

export type BatchMemberDone<Amount = number | string> = {
  /** It was executed. */
  status: 201
  transaction: Transaction<Amount> | PostingsTransaction<Amount>
}

export type BatchMemberPreview<Amount = number | string> = {
  /** It was executed. */
  status: 201
  transaction: TransactionToBe<Amount> | PostingsTransactionToBe<Amount>
}

export type BatchMemberProblem = {
  /** As of Problem Details. */
  type: string
  /** As of Problem Details. */
  title: string
  /** As of Problem Details. */
  status: number
  /** As of Problem Details. */
  detail: string
  /** As of Problem Details. */
  code: string
}

export type BatchMemberRefused = {
  /** It was refused. */
  status: number
  problem: BatchMemberProblem
}

export type BatchPreview<Amount = number | string> = {
  /** The mode of the request. */
  mode: 'atomic' | 'best_effort'
  /** How many were refused. */
  refused: number
  /** In the order of the request. */
  results: (BatchMemberPreview<Amount> | BatchMemberRefused)[]
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type Client = {
  /** The client. */
  id: string
  /** As it was sent. Null once it was erased. */
  name: string | null
  /** As it was sent. Null once it was erased. */
  email: string | null
  /** 1 at first, and one more with each change. */
  version: number
  /** Who registered it, by the name of the API key. Null without one. */
  actor: string | null
  /** Who last changed it, by the name of the API key. Null without one. */
  changed_actor: string | null
  /** When it was registered. */
  created_at: string
  /** When this version was written. */
  updated_at: string
  /** When its personal data was erased. Null while it is there. */
  erased_at: string | null
}

export type ClientChangePreview = {
  /** The client. */
  id: string
  /** As it was sent. Null once it was erased. */
  name: string | null
  /** As it was sent. Null once it was erased. */
  email: string | null
  /** 1 at first, and one more with each change. */
  version: number
  /** Who registered it, by the name of the API key. Null without one. */
  actor: string | null
  /** Who last changed it, by the name of the API key. Null without one. */
  changed_actor: string | null
  /** When it was registered. */
  created_at: string
  /** When this version was written. */
  updated_at: string
  /** When its personal data was erased. Null while it is there. */
  erased_at: string | null
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the client, as it was. */
  assumed: AssumedClientVersion[]
}

export type ClientPreview = {
  /** It would be a new one. */
  id: null
  /** As it was sent. Null once it was erased. */
  name: string | null
  /** As it was sent. Null once it was erased. */
  email: string | null
  /** 1 at first, and one more with each change. */
  version: number
  /** Who registered it, by the name of the API key. Null without one. */
  actor: string | null
  /** Who last changed it, by the name of the API key. Null without one. */
  changed_actor: string | null
  /** When it was registered. */
  created_at: string
  /** When this version was written. */
  updated_at: string
  /** When its personal data was erased. Null while it is there. */
  erased_at: string | null
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type ClientUpdate = {
  /** Must be a name of 1 to 255 visible characters, without line breaks and other controls. */
  name?: string | null
  /** Must be an e-mail address such as eva@example.com, of at most 254 characters. */
  email?: string | null
}

export type Clients = {
  /** The rows of the page. */
  data: Client[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type DeadLetter = {
  /** A number, as text. */
  id: string
  /** Of the record. */
  topic: string
  /** Of the record. */
  partition: number
  /** Of the record. */
  offset: number
  /** The last one, where a whole batch cannot be read. */
  offset_last: number | null
  /** For programs. */
  cause: string
  /** For people. */
  detail: string
  /** As text, if it is UTF-8. */
  key?: string | null
  /** Instead, if it is not. */
  key_base64?: string
  /** As text, if it is UTF-8. */
  value?: string | null
  /** Instead, if it is not. */
  value_base64?: string
  /** Length of the whole key. */
  key_bytes: number | null
  /** Length of the whole value. */
  value_bytes: number | null
  /** Whether the list leaves out a part; `href` has it all. */
  truncated: boolean
  /** The path of the whole letter. */
  href: string
  /** Of the record. */
  headers: RecordHeader[]
  /** The timestamp of the record. */
  record_at: string | null
  /** When it failed first. */
  recorded_at: string
  /** How often it was processed. */
  attempts: number
  /** When the newest attempt was published to the dead-letter topic. */
  sent_at: string | null
}

export type DeadLetterGroup = {
  /** For programs. */
  cause: string
  /** The topic of the records. */
  topic: string
  /** How many there are. */
  count: number
  /** Of the oldest. */
  first_recorded_at: string
  /** Of the newest. */
  last_recorded_at: string
  /** One of them. */
  example_id: string
}

export type DeadLetterGroups = {
  /** The rows of the page. */
  data: DeadLetterGroup[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type DeadLetters = {
  /** The rows of the page. */
  data: DeadLetter[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type Delivery = {
  /** The transaction. */
  transaction_id: string
  /** When it was committed. */
  committed_at: string
  /** `pending` while an event waits in the outbox. */
  status: 'pending' | 'published'
  /** The events of the transaction. */
  events: EventDelivery[]
  /** What a pending event waits for. Null once all are published. */
  waits_for: DeliveryWait | null
}

export type DeliveryWait = {
  /**
   * `relay`: no process publishes. `broker`: it does not answer. `send`: its turn, or a
   * failure.
   */
  cause: 'relay' | 'broker' | 'send'
  /** For people: why sends fail, where they do. */
  detail: string | null
}

export type EffectiveBalance<Amount = number | string> = {
  /** The same as `account_id`. */
  id: string
  /** The account. */
  account_id: string
  /** The time it is about. */
  at: string
  /** The time that counts. */
  time: 'effective'
  /** At that time. */
  balance: Amount | null
  /** ISO 4217. */
  currency: string
  /**
   * False where entries that may count are missing or in flight; null where too many follow to
   * check.
   */
  complete: boolean | null
}

export type EffectiveExplanation<Amount = number | string> = {
  /** The same as `account_id`. */
  id: string
  /** The account. */
  account_id: string
  /** The time it is about. */
  at: string
  /** The time that counts. */
  time: 'effective'
  /** At that time. */
  balance: Amount | null
  /** ISO 4217. */
  currency: string
  /**
   * False where entries that may count are missing or in flight; null where too many follow to
   * check.
   */
  complete: boolean | null
  /** The balance after the entries of the page. */
  closing: Amount | null
  /** The balance before them. */
  opening: Amount | null
  /** The rows of the page. */
  data: (Entry<Amount> | Gap<Amount>)[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type Entry<Amount = number | string> = {
  /** The version of the account that it led to. */
  version: number
  /** Signed. Null for the first of an account that was not opened here. */
  amount: Amount | null
  /** All that was credited less all that was debited. */
  balance: Amount | null
  /** Reserved by open holds. */
  held: Amount | null
  /** `balance` less `held`. */
  available: Amount | null
  /**
   * `debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is
   * final.
   */
  status: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** How far below zero it may go after it. Null as in a balance. */
  overdraft_limit: Amount | null
  /** The transaction, hold, release or change that led to it. */
  transaction_id: string | null
  /** The hold that was placed, extended, captured or released. */
  hold_id: string | null
  /** The other account. */
  counterparty_account_id: string | null
  /** Who did it, by the name of the API key. Null without one. */
  actor: string | null
  /** From when it counts in the books. */
  effective_at: string
  /** When it was written. */
  created_at: string
}

export type EventDelivery = {
  /** The kind of event. */
  name: string
  /** Which posting it is about. Null where it is about all. */
  leg: number | null
  /** Its topic on the broker. */
  topic: string
  /** `pending` while it waits in the outbox. */
  status: 'pending' | 'published'
  /** Null while pending, and when no longer recorded. */
  partition: number | null
  /** Null while pending, and when no longer recorded. */
  offset: number | null
  /** Null while pending, and when no longer recorded. */
  published_at: string | null
  /** Since the commit. Null once published. */
  waiting_seconds: number | null
}

export type Gap<Amount = number | string> = {
  gap: MissingVersions<Amount>
}

export type Hold<Amount = number | string> = {
  /** The hold. */
  id: string
  /** Only a `placed` hold is open. A hold ends once. */
  status: 'placed' | 'captured' | 'released' | 'expired'
  /** The account whose money is held. */
  account_id_from: string
  /** The payee; `world` where the request names none. */
  account_id_to: string
  /** What is held. */
  amount: Amount
  /** What was paid of it. Null while it is open, 0 when nothing was captured. */
  captured: Amount | null
  /** ISO 4217. */
  currency: string
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that captured it. */
  transaction_id: string | null
  /** Who placed it, by the name of the API key. Null without one. */
  actor: string | null
  /**
   * Who captured or released it, or last extended it while it is open, by the name of the API
   * key. Null without one.
   */
  changed_actor: string | null
  /** The version of the account that its newest change led to. */
  version_account_id_from: number
  /** When it expires unless it is captured or released before. */
  expires_at: string
  /** When it was placed. */
  created_at: string
  /** When it was captured, released, or expired. */
  ended_at: string | null
}

export type HoldChangePreview<Amount = number | string> = {
  /** The hold. */
  id: string
  /** Only a `placed` hold is open. A hold ends once. */
  status: 'placed' | 'captured' | 'released' | 'expired'
  /** The account whose money is held. */
  account_id_from: string
  /** The payee; `world` where the request names none. */
  account_id_to: string
  /** What is held. */
  amount: Amount
  /** What was paid of it. Null while it is open, 0 when nothing was captured. */
  captured: Amount | null
  /** ISO 4217. */
  currency: string
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that captured it. */
  transaction_id: string | null
  /** Who placed it, by the name of the API key. Null without one. */
  actor: string | null
  /**
   * Who captured or released it, or last extended it while it is open, by the name of the API
   * key. Null without one.
   */
  changed_actor: string | null
  /** The version of the account that its newest change led to. */
  version_account_id_from: number
  /** When it expires unless it is captured or released before. */
  expires_at: string
  /** When it was placed. */
  created_at: string
  /** When it was captured, released, or expired. */
  ended_at: string | null
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type HoldExtension = {
  /** When it expires from now on: later than before, at most a year ahead. */
  expires_at: string
}

export type HoldPreview<Amount = number | string> = {
  /** It would be a new one. */
  id: null
  /** Only a `placed` hold is open. A hold ends once. */
  status: 'placed' | 'captured' | 'released' | 'expired'
  /** The account whose money is held. */
  account_id_from: string
  /** The payee; `world` where the request names none. */
  account_id_to: string
  /** What is held. */
  amount: Amount
  /** What was paid of it. Null while it is open, 0 when nothing was captured. */
  captured: Amount | null
  /** ISO 4217. */
  currency: string
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that captured it. */
  transaction_id: string | null
  /** Who placed it, by the name of the API key. Null without one. */
  actor: string | null
  /**
   * Who captured or released it, or last extended it while it is open, by the name of the API
   * key. Null without one.
   */
  changed_actor: string | null
  /** The version of the account that its newest change led to. */
  version_account_id_from: number
  /** When it expires unless it is captured or released before. */
  expires_at: string
  /** When it was placed. */
  created_at: string
  /** When it was captured, released, or expired. */
  ended_at: string | null
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type Holds<Amount = number | string> = {
  /** The rows of the page. */
  data: Hold<Amount>[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type LargeMovement<Amount = number | string> = {
  /** The transaction. */
  transaction_id: string
  /** Which leg of it, from 0; 0 where it has no other. */
  leg: number
  /** The account that was debited. */
  account_id_from: string
  /** The account that was credited. */
  account_id_to: string
  /** What was moved. */
  amount: Amount | null
  /** ISO 4217. */
  currency: string
  /** A text of the payer's own. */
  reference: string | null
  /** When the transaction was written. */
  created_at: string
}

export type LargeMovements<Amount = number | string> = {
  /** The rows of the page. */
  data: LargeMovement<Amount>[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type MissingVersions<Amount = number | string> = {
  /** The first that is missing. */
  from_version: number
  /** The last that is missing. */
  to_version: number
  /** What the missing entries did together; null where that is not known. */
  amount: Amount | null
}

export type NewAccount = {
  /** Its owner. */
  client_id: string
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** How far below zero it may go, in major units. 0 when absent. */
  overdraft_limit?: number | string | null
}

export type NewBatch = {
  /** `atomic`, all or none, when absent; `best_effort` executes each on its own. */
  mode?: 'atomic' | 'best_effort' | null
  /** 1 to 1000, executed in this order. Each posting of a member counts. */
  transactions: (NewBatchMember | NewBatchPostings)[]
}

export type NewBatchMember = {
  /** `transfer` when absent. */
  kind?: 'transfer' | 'deposit' | 'withdrawal' | null
  /** The account to debit. Absent for a deposit. */
  account_id_from?: string | null
  /** The account to credit. Absent for a withdrawal. */
  account_id_to?: string | null
  /**
   * In major units of the currency, greater than zero: a number or the same as text, with at
   * most the decimals of the currency and 15 digits.
   */
  amount: number | string
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewBatchPostings = {
  /** As in the answer. */
  kind?: 'postings' | null
  /** 2 to 100, executed in this order: each has to be covered when it is its turn. */
  postings: NewPosting[]
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewCapture = {
  /** As of a movement. All that is left when absent. */
  amount?: number | string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewClient = {
  /** Must be a name of 1 to 255 visible characters, without line breaks and other controls. */
  name: string
  /** Must be an e-mail address such as eva@example.com, of at most 254 characters. */
  email: string
}

export type NewClosing = {
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
}

export type NewFreeze = {
  /** `all`, if absent: nothing leaves the account or reaches it. `debits`: nothing leaves it. */
  scope?: 'all' | 'debits' | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
}

export type NewHold = {
  /** The account whose money is held. */
  account_id_from: string
  /** The payee. `world` when absent. */
  account_id_to?: string | null
  /**
   * In major units of the currency, greater than zero: a number or the same as text, with at
   * most the decimals of the currency and 15 digits.
   */
  amount: number | string
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /** When it expires: in the future, at most a year ahead. In 7 days when absent. */
  expires_at?: string | null
}

export type NewMovement = {
  /**
   * In major units of the currency, greater than zero: a number or the same as text, with at
   * most the decimals of the currency and 15 digits.
   */
  amount: number | string
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewPosting = {
  /** The account to debit. `world` when absent: the money enters. */
  account_id_from?: string | null
  /** The account to credit. `world` when absent: the money leaves. */
  account_id_to?: string | null
  /**
   * In major units of the currency, greater than zero: a number or the same as text, with at
   * most the decimals of the currency and 15 digits.
   */
  amount: number | string
}

export type NewPostings = {
  /** 2 to 100, executed in this order: each has to be covered when it is its turn. */
  postings: NewPosting[]
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewRebuild = {
  /** `start` when absent. */
  action?: 'start' | 'swap' | 'rollback' | 'cancel' | null
  /** Start: wait for a swap by hand. */
  manual?: boolean | null
  /** Start or swap: also when the tables differ. */
  force?: boolean | null
}

export type NewRedrive = {
  /** These. One of `ids`, `all` and `cause` is required. */
  ids?: string[] | null
  /** All there are. */
  all?: true | null
  /** Those of this cause. */
  cause?: string | null
  /** Those of this topic. */
  topic?: string | null
  /** `next_cursor` of the answer before. */
  cursor?: string | null
  /** Only report what would happen. */
  dry_run?: boolean | null
}

export type NewRelease = Record<string, never>

export type NewReversal = {
  /** As of a movement. All that is left when absent. */
  amount?: number | string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewTransfer = {
  /** The account to debit. */
  account_id_from: string
  /** The account to credit. */
  account_id_to: string
  /**
   * In major units of the currency, greater than zero: a number or the same as text, with at
   * most the decimals of the currency and 15 digits.
   */
  amount: number | string
  /** ISO 4217; BRL when absent. */
  currency?: string | null
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
  /** A JSON object of at most 4096 characters. */
  metadata?: Record<string, unknown> | null
  /**
   * From when it counts in the books: not in the future, with at most milliseconds. Now when
   * absent.
   */
  effective_at?: string | null
}

export type NewUnfreeze = {
  /** A text of the caller's own, such as an order number. At most 255 characters. */
  reference?: string | null
}

export type NoRebuild = {
  /** There was none. */
  state: 'none'
}

export type PersonalData = {
  /** The client. */
  client_id: string
  /** The newest last. None once they were erased. */
  versions: PersonalDataVersion[]
  /** When they were erased. Null while they are there. */
  erased_at: string | null
  /**
   * When no record of the topics had them any more. Null before; it follows the erasure by
   * itself.
   */
  purged_at: string | null
}

export type PersonalDataVersion = {
  /** Of the client. */
  version: number
  /** As it was sent. */
  name: string
  /** As it was sent. */
  email: string
  /** From when it was so, until the next version. */
  since: string
}

export type Posting<Amount = number | string> = {
  /** The account that was debited; `world` where the money entered. */
  account_id_from: string
  /** The account that was credited; `world` where the money left. */
  account_id_to: string
  /** What was moved. */
  amount: Amount
  /** The version of the debited account that this leg led to. */
  version_account_id_from: number
  /** The version of the credited account that this leg led to. */
  version_account_id_to: number
}

export type PostingsTransaction<Amount = number | string> = {
  /** The transaction. */
  id: string
  /** The legs, in the order in which they were executed. */
  postings: Posting<Amount>[]
  /** ISO 4217. */
  currency: string
  /** `reversal` when it takes back another transaction with postings. */
  kind: 'postings' | 'reversal'
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that this one takes back, as a whole. */
  reverses: string | null
  /** What was taken back of it so far: nothing, or the sum of all legs. */
  reversed: Amount
  /** Who made it, by the name of the API key. Null without one. */
  actor: string | null
  /** From when it counts in the caller's books. */
  effective_at: string
  /** When it was written. */
  created_at: string
}

export type PostingsTransactionPreview<Amount = number | string> = {
  /** It would be a new one. */
  id: null
  /** The legs, in the order in which they were executed. */
  postings: Posting<Amount>[]
  /** ISO 4217. */
  currency: string
  /** `reversal` when it takes back another transaction with postings. */
  kind: 'postings' | 'reversal'
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that this one takes back, as a whole. */
  reverses: string | null
  /** What was taken back of it so far: nothing, or the sum of all legs. */
  reversed: Amount
  /** Who made it, by the name of the API key. Null without one. */
  actor: string | null
  /** From when it counts in the caller's books. */
  effective_at: string
  /** When it was written. */
  created_at: string
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type PostingsTransactionToBe<Amount = number | string> = {
  /** It would be a new one. */
  id: null
  /** The legs, in the order in which they were executed. */
  postings: Posting<Amount>[]
  /** ISO 4217. */
  currency: string
  /** `reversal` when it takes back another transaction with postings. */
  kind: 'postings' | 'reversal'
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that this one takes back, as a whole. */
  reverses: string | null
  /** What was taken back of it so far: nothing, or the sum of all legs. */
  reversed: Amount
  /** Who made it, by the name of the API key. Null without one. */
  actor: string | null
  /** From when it counts in the caller's books. */
  effective_at: string
  /** When it was written. */
  created_at: string
}

export type ProblemDetails = {
  /** The kind of problem. It is the address of its explanation. */
  type: string
  /** The kind of problem, for people. */
  title: string
  /** The status of the response. */
  status: number
  /** What happened in this case. */
  detail: string
  /** The path of the request. */
  instance: string
  /** For programs: the name of the problem, or the exact reason where it has several. */
  code: string
  /** The values at fault, if it is about values. */
  errors?: ProblemError[]
  /** The trace under which the logs have the cause. */
  trace_id: string
  /** The rate limits that were exceeded, if it is about those: `key` or `address`. */
  'violated-policies'?: string[]
  /** It answers a preview: nothing was written. */
  dry_run?: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed?: AssumedVersion[]
}

export type ProblemError = {
  /** What is expected of the value. */
  detail: string
  /** The value, as a JSON Pointer in the form of a URI fragment. */
  pointer: string
  /** Of a member of a batch: why it was refused. */
  code?: string
}

export type Rebuild = {
  /** How far it is. */
  state: 'building' | 'ready' | 'refused' | 'swapped' | 'rolled_back' | 'cancelled'
  records: RebuildRecords
  /** Records, on average since it began. */
  per_second: number
  /** Estimated by that average. Null before the first record. */
  seconds_left: number | null
  /** Null before the tables were compared. */
  divergence: RebuildDivergence | null
  /** How it ended, or why it waits. */
  message: string | null
  /** Whether it waits for a swap by hand. */
  manual: boolean
  /** Whether it is swapped although the tables differ. */
  force: boolean
  /** When it began. */
  started_at: string
  /** When it ended. */
  ended_at: string | null
}

export type RebuildDivergence = {
  /** That differ from the live tables. */
  accounts: number
  /** That differ from the live tables. */
  entries: number
  /** That differ from the live tables. */
  clients: number
  /** That only the new tables have. */
  accounts_added: number
  /** That only the new tables have. */
  entries_added: number
  /** Some differences, in words. */
  examples: string[]
}

export type RebuildRecords = {
  /** Read so far. */
  done: number
  /** In the topics when it began. */
  total: number
}

export type Reconciliation = {
  /** A number, as text. */
  id: string
  /** `clean`: no difference; `different`; `pending`: none so far, but events were in flight. */
  result: 'clean' | 'different' | 'pending'
  /** Everything committed by then was compared. */
  watermark: string
  /** How many there were. */
  differences_total: number
  /** The thumbprint (RFC 7638) of the key that signed the report; null where there was none. */
  signed_by: string | null
  /** When the report was kept. */
  stored_at: string
  /** The path of the report. */
  href: string
}

export type ReconciliationReport = {
  /** A number, as text. */
  id: string
  /** `clean`: no difference; `different`; `pending`: none so far, but events were in flight. */
  result: 'clean' | 'different' | 'pending'
  /** Everything committed by then was compared. */
  watermark: string
  /** How many there were. */
  differences_total: number
  /** The thumbprint (RFC 7638) of the key that signed the report; null where there was none. */
  signed_by: string | null
  /** When the report was kept. */
  stored_at: string
  /** The path of the report. */
  href: string
  /**
   * What was read, up to where, by which version, and what was found, as `saldo reconcile
   * --json`.
   */
  report: Record<string, unknown>
  /** The same, signed: JWS in compact serialization (RFC 7515) with Ed25519. */
  jws: string | null
}

export type Reconciliations = {
  /** The rows of the page. */
  data: Reconciliation[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type RecordHeader = {
  /** As text, if it is UTF-8. */
  name?: string | null
  /** Instead, if it is not. */
  name_base64?: string
  /** As text, if it is UTF-8. */
  value?: string | null
  /** Instead, if it is not. */
  value_base64?: string
}

export type RecordedBalance<Amount = number | string> = {
  /** The same as `account_id`. */
  id: string
  /** The account. */
  account_id: string
  /** The time it is about. */
  at: string
  /** The time that counts. */
  time: 'recorded'
  /** At that time. */
  balance: Amount | null
  /** ISO 4217. */
  currency: string
  /**
   * False where entries that may count are missing or in flight; null where too many follow to
   * check.
   */
  complete: boolean | null
  /** Reserved by holds that were open then. */
  held: Amount | null
  /** `balance` less `held`. */
  available: Amount | null
  /** Of the account at that time; 0 before its first entry. */
  version: number
}

export type RecordedExplanation<Amount = number | string> = {
  /** The same as `account_id`. */
  id: string
  /** The account. */
  account_id: string
  /** The time it is about. */
  at: string
  /** The time that counts. */
  time: 'recorded'
  /** At that time. */
  balance: Amount | null
  /** ISO 4217. */
  currency: string
  /**
   * False where entries that may count are missing or in flight; null where too many follow to
   * check.
   */
  complete: boolean | null
  /** Reserved by holds that were open then. */
  held: Amount | null
  /** `balance` less `held`. */
  available: Amount | null
  /** Of the account at that time; 0 before its first entry. */
  version: number
  /** The balance after the entries of the page. */
  closing: Amount | null
  /** The balance before them. */
  opening: Amount | null
  /** The rows of the page. */
  data: (Entry<Amount> | Gap<Amount>)[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type Redrive = {
  /** Whether nothing was done. */
  dry_run: boolean
  /** By outcome. */
  counts: {
    /** How many. */
    applied: number
    /** How many. */
    skipped: number
    /** How many. */
    superseded: number
    /** How many. */
    still_failing: number
    /** How many. */
    gone: number
  }
  /** The rows of the page. */
  data: RedriveResult[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type RedriveResult = {
  /** The dead letter. */
  id: string
  /** What became of it. */
  outcome: 'applied' | 'skipped' | 'superseded' | 'still_failing' | 'gone'
  /** Why it fails still. */
  cause: string | null
  /** The same, for people. */
  detail: string | null
}

export type Statement<Amount = number | string> = {
  /** The account. */
  account_id: string
  /** ISO 4217. */
  currency: string
  /** Whether no entry of the page is missing and none of the period can still arrive. */
  complete: boolean
  /** The rows of the page. */
  data: (Entry<Amount> | Gap<Amount>)[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

export type StreamReset = {
  /** What to load before reading on. */
  load: string
}

export type StreamedEntry<Amount = number | string> = {
  /** The account. */
  account_id: string
  /** ISO 4217. */
  currency: string
  /** The version of the account that it led to. */
  version: number
  /** Signed. Null for the first of an account that was not opened here. */
  amount: Amount | null
  /** All that was credited less all that was debited. */
  balance: Amount | null
  /** Reserved by open holds. */
  held: Amount | null
  /** `balance` less `held`. */
  available: Amount | null
  /**
   * `debits_frozen`: nothing leaves it. `frozen`: nothing leaves or reaches it. `closed` is
   * final.
   */
  status: 'open' | 'debits_frozen' | 'frozen' | 'closed'
  /** How far below zero it may go after it. Null as in a balance. */
  overdraft_limit: Amount | null
  /** The transaction, hold, release or change that led to it. */
  transaction_id: string | null
  /** The hold that was placed, extended, captured or released. */
  hold_id: string | null
  /** The other account. */
  counterparty_account_id: string | null
  /** Who did it, by the name of the API key. Null without one. */
  actor: string | null
  /** From when it counts in the books. */
  effective_at: string
  /** When it was written. */
  created_at: string
}

export type StreamedGap = {
  /** The account. */
  account_id: string
  /** The first that is missing. */
  from_version: number
  /** The last that is missing. */
  to_version: number
}

export type Transaction<Amount = number | string> = {
  /** The transaction. */
  id: string
  /** The account that was debited; `world` for a deposit. */
  account_id_from: string
  /** The account that was credited; `world` for a withdrawal. */
  account_id_to: string
  /** What was moved. */
  amount: Amount
  /** ISO 4217. */
  currency: string
  /** What moved the money. */
  kind: 'transfer' | 'deposit' | 'withdrawal' | 'reversal' | 'capture'
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that this one takes back, whole or in part. */
  reverses: string | null
  /** The hold that this one captures. */
  hold_id: string | null
  /** Who made it, by the name of the API key. Null without one. */
  actor: string | null
  /** What was taken back of it so far, by the transactions that have it as `reverses`. */
  reversed: Amount
  /** The version of the debited account that this one led to. */
  version_account_id_from: number
  /** The version of the credited account that this one led to. */
  version_account_id_to: number
  /** From when it counts in the caller's books. */
  effective_at: string
  /** When it was written. */
  created_at: string
}

export type TransactionPreview<Amount = number | string> = {
  /** It would be a new one. */
  id: null
  /** The account that was debited; `world` for a deposit. */
  account_id_from: string
  /** The account that was credited; `world` for a withdrawal. */
  account_id_to: string
  /** What was moved. */
  amount: Amount
  /** ISO 4217. */
  currency: string
  /** What moved the money. */
  kind: 'transfer' | 'deposit' | 'withdrawal' | 'reversal' | 'capture'
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that this one takes back, whole or in part. */
  reverses: string | null
  /** The hold that this one captures. */
  hold_id: string | null
  /** Who made it, by the name of the API key. Null without one. */
  actor: string | null
  /** What was taken back of it so far, by the transactions that have it as `reverses`. */
  reversed: Amount
  /** The version of the debited account that this one led to. */
  version_account_id_from: number
  /** The version of the credited account that this one led to. */
  version_account_id_to: number
  /** From when it counts in the caller's books. */
  effective_at: string
  /** When it was written. */
  created_at: string
  /** It answers a preview: nothing was written. */
  dry_run: true
  /** Of a preview: the accounts of the request, as they were. Those that exist. */
  assumed: AssumedVersion[]
}

export type TransactionToBe<Amount = number | string> = {
  /** It would be a new one. */
  id: null
  /** The account that was debited; `world` for a deposit. */
  account_id_from: string
  /** The account that was credited; `world` for a withdrawal. */
  account_id_to: string
  /** What was moved. */
  amount: Amount
  /** ISO 4217. */
  currency: string
  /** What moved the money. */
  kind: 'transfer' | 'deposit' | 'withdrawal' | 'reversal' | 'capture'
  /** A text of the caller's own. */
  reference: string | null
  /** An object of the caller's own. */
  metadata: Record<string, unknown> | null
  /** The transaction that this one takes back, whole or in part. */
  reverses: string | null
  /** The hold that this one captures. */
  hold_id: string | null
  /** Who made it, by the name of the API key. Null without one. */
  actor: string | null
  /** What was taken back of it so far, by the transactions that have it as `reverses`. */
  reversed: Amount
  /** The version of the debited account that this one led to. */
  version_account_id_from: number
  /** The version of the credited account that this one led to. */
  version_account_id_to: number
  /** From when it counts in the caller's books. */
  effective_at: string
  /** When it was written. */
  created_at: string
}

export type Transactions<Amount = number | string> = {
  /** The rows of the page. */
  data: (Transaction<Amount> | PostingsTransaction<Amount>)[]
  /** Send it as `cursor` for the next page; null on the last one. */
  next_cursor: string | null
}

/** Of a body: the answer is only a preview, and nothing is written. */
export type DryRun = { dry_run: true }

export type BalanceEvent<Amount = number | string> =
  /** An entry, or the balance with which a stream begins. */
  | { event: 'balance'; id: string; data: StreamedEntry<Amount> }
  /** Versions that are missing. */
  | { event: 'gap'; id: string; data: StreamedGap }
  /** Earlier events do not lead to what follows: load the balances again. */
  | { event: 'reset'; id: string; data: StreamReset }

/** Status and codes of each problem, by its name. */
export type Problems = {
  /**
   * The request has invalid values. Each entry of `errors` names a value by JSON Pointer and
   * says what is expected. Correct them.
   */
  'validation': {
    status: 422
    code: 'VALIDATION' | 'AMOUNT_NOT_POSITIVE'
  }
  /** Malformed request. `detail` says which. Correct it. */
  'malformed': {
    status: 400
    code: 'MALFORMED'
  }
  /** Not found. The routes are at /openapi. */
  'not-found': {
    status: 404
    code: 'NOT_FOUND'
  }
  /** Method not allowed. The `Allow` header lists its methods. */
  'method-not-allowed': {
    status: 405
    code: 'METHOD_NOT_ALLOWED'
  }
  /** Body too large. Split the request, or leave out what the ledger need not know. */
  'body-too-large': {
    status: 413
    code: 'BODY_TOO_LARGE'
  }
  /** Body timeout. Send it again on a new connection. */
  'body-timeout': {
    status: 408
    code: 'BODY_TIMEOUT'
  }
  /**
   * No valid API key. Send a valid key as `Authorization: Bearer saldo_…`. The operator of the
   * service creates keys with `npm run saldo -- keys create`.
   */
  'unauthenticated': {
    status: 401
    code:
      | 'KEY_MISSING'
      | 'KEY_MALFORMED'
      | 'KEY_UNKNOWN'
      | 'KEY_REVOKED'
      | 'KEY_EXPIRED'
  }
  /**
   * The API key does not allow that. Use a key that allows it. With a restricted key, name an
   * account or a client that it may use.
   */
  'insufficient-scope': {
    status: 403
    code: 'INSUFFICIENT_SCOPE' | 'KEY_RESTRICTED'
  }
  /**
   * Too many requests. Retry after `Retry-After` seconds, and send less often: `RateLimit`
   * says what is left.
   */
  'quota-exceeded': {
    status: 429
    code: 'QUOTA_EXCEEDED'
  }
  /** Host name not allowed. Use localhost or an API key, or add the name to `ALLOWED_HOSTS`. */
  'host-not-allowed': {
    status: 403
    code: 'HOST_NOT_ALLOWED'
  }
  /** Origin not allowed. If the page is yours, add its origin to `CORS_ORIGINS`. */
  'origin-not-allowed': {
    status: 403
    code: 'ORIGIN_NOT_ALLOWED'
  }
  /**
   * Unsupported media type. Send `Content-Type: application/json`, no other charset and no
   * `Content-Encoding`.
   */
  'unsupported-media-type': {
    status: 415
    code: 'UNSUPPORTED_MEDIA_TYPE'
  }
  /**
   * Service unavailable. Retry, writes under the same `Idempotency-Key`: they take effect
   * once.
   */
  'unavailable': {
    status: 503
    code: 'UNAVAILABLE'
  }
  /** Service overloaded. Retry later, and less often. */
  'overloaded': {
    status: 503
    code: 'OVERLOADED'
  }
  /** Internal error. The logs of the service have the cause under this `trace_id`. Report it. */
  'internal': {
    status: 500
    code: 'INTERNAL'
  }
  /** Insufficient funds. Send a smaller amount, or fund the account first. */
  'insufficient-funds': {
    status: 422
    code: 'INSUFFICIENT_FUNDS'
  }
  /**
   * Account not found. At the wallet, open it first with POST /accounts. At balances, send the
   * `Consistency-Token` of what you did to it, with `Prefer: wait=2`.
   */
  'account-not-found': {
    status: 404
    code:
      | 'ACCOUNT_NOT_FOUND'
      | 'ACCOUNT_FROM_NOT_FOUND'
      | 'ACCOUNT_TO_NOT_FOUND'
  }
  /** Account frozen. Unfreeze it with POST /accounts/{id}/unfreeze, or use another account. */
  'account-frozen': {
    status: 422
    code: 'ACCOUNT_FROM_FROZEN' | 'ACCOUNT_TO_FROZEN'
  }
  /** Account closed. Use another account, or open one with POST /accounts. */
  'account-closed': {
    status: 422
    code:
      | 'ACCOUNT_FROM_CLOSED'
      | 'ACCOUNT_TO_CLOSED'
      | 'ACCOUNT_CLOSED'
  }
  /**
   * Account not empty. Move the rest to another account, pay what is owed, and release its
   * holds first.
   */
  'account-not-empty': {
    status: 422
    code: 'ACCOUNT_NOT_EMPTY'
  }
  /** Overdraft in use. Fund the account first, or send a higher limit. */
  'overdraft-in-use': {
    status: 422
    code: 'OVERDRAFT_IN_USE'
  }
  /**
   * Read model has not caught up with the consistency token. Retry, or send `Prefer: wait=n`
   * to wait for up to n seconds.
   */
  'not-yet-consistent': {
    status: 503
    code: 'NOT_YET_CONSISTENT'
  }
  /** Dead letter not found. GET /dead-letters lists all there are. */
  'dead-letter-not-found': {
    status: 404
    code: 'DEAD_LETTER_NOT_FOUND'
  }
  /** The console has no such file. Reload the page at `/`: it names the files that it needs. */
  'console-file-not-found': {
    status: 404
    code: 'CONSOLE_FILE_NOT_FOUND'
  }
  /** Reconciliation not found. GET /reconciliations lists all there are. */
  'reconciliation-not-found': {
    status: 404
    code: 'RECONCILIATION_NOT_FOUND'
  }
  /** The state of the rebuild does not allow this. GET /rebuild shows the state. */
  'rebuild-conflict': {
    status: 409
    code: 'REBUILD_CONFLICT'
  }
  /**
   * Actions of the console are off. For a demonstration: start balances with
   * `CONSOLE_ACTIONS=true`, as `npm start` does.
   */
  'console-actions-off': {
    status: 403
    code: 'CONSOLE_ACTIONS_OFF'
  }
  /**
   * The action is not possible here, or not now. Try it with `npm start`, or wait until the
   * service runs again.
   */
  'console-action-not-possible': {
    status: 409
    code: 'NEEDS_LOCAL_RUN' | 'NOT_POSSIBLE'
  }
  /** Client not found. Register it first with POST /clients. */
  'client-not-found': {
    status: 404
    code: 'CLIENT_NOT_FOUND'
  }
  /** Client erased. Register a new client with POST /clients. */
  'client-erased': {
    status: 422
    code: 'CLIENT_ERASED'
  }
  /** Transaction not found. Use the id of the response, or of GET /transactions. */
  'transaction-not-found': {
    status: 404
    code: 'TRANSACTION_NOT_FOUND'
  }
  /** Both accounts are the same. Name another account. */
  'same-account': {
    status: 422
    code: 'ACCOUNTS_NOT_DIFFERENT'
  }
  /** Currencies differ. Send the currency of the accounts. */
  'currency-mismatch': {
    status: 422
    code: 'CURRENCY_NOT_EQUAL'
  }
  /** Effective time too early. Send a later `effective_at`, or leave it out for now. */
  'effective-too-early': {
    status: 422
    code:
      | 'EFFECTIVE_BEFORE_OPENING'
      | 'EFFECTIVE_BEFORE_ORIGINAL'
      | 'EFFECTIVE_BEFORE_HOLD'
  }
  /** Balance limit exceeded. Spread the money over several accounts. */
  'balance-limit': {
    status: 422
    code: 'BALANCE_LIMIT_REACHED'
  }
  /** Transaction not reversible. To undo a reversal, move the money again. */
  'not-reversible': {
    status: 422
    code: 'TRANSACTION_NOT_REVERSIBLE'
  }
  /**
   * Postings are reversed as a whole. Leave the amount out. To give back a part of it, send a
   * transaction of its own.
   */
  'reversal-not-whole': {
    status: 422
    code: 'REVERSAL_NOT_WHOLE'
  }
  /** Transaction already reversed. Nothing is left to do. */
  'already-reversed': {
    status: 409
    code: 'TRANSACTION_ALREADY_REVERSED'
  }
  /**
   * Amount exceeds what can be reversed. Send a smaller amount, or none to reverse all that is
   * left.
   */
  'amount-exceeds-original': {
    status: 422
    code: 'AMOUNT_EXCEEDS_ORIGINAL'
  }
  /** Hold not found. Use the id of the response that placed it. */
  'hold-not-found': {
    status: 404
    code: 'HOLD_NOT_FOUND'
  }
  /** Hold already captured. Nothing is left to do. To pay more, send a transfer. */
  'already-captured': {
    status: 409
    code: 'HOLD_ALREADY_CAPTURED'
  }
  /** Hold no longer open. To reserve the money again, place a new hold. */
  'already-voided': {
    status: 409
    code: 'HOLD_ALREADY_RELEASED' | 'HOLD_EXPIRED'
  }
  /** Amount exceeds the hold. Send a smaller amount, or none to capture all of it. */
  'amount-exceeds-hold': {
    status: 422
    code: 'AMOUNT_EXCEEDS_HOLD'
  }
  /** Expiry not later. Send a later `expires_at`, or release the hold to end it now. */
  'expiry-not-later': {
    status: 422
    code: 'EXPIRES_AT_NOT_LATER'
  }
  /**
   * Batch refused. Correct or leave out that transaction, or send the batch in mode
   * `best_effort`.
   */
  'batch-refused': {
    status: 422
    code: 'BATCH_REFUSED'
  }
  /** Idempotency key used for another request. Send a new request under a new key. */
  'idempotency-key-reused': {
    status: 422
    code: 'IDEMPOTENCY_KEY_REUSED'
  }
  /** Request with this idempotency key in progress. Retry to get that response. */
  'idempotency-in-progress': {
    status: 409
    code: 'IDEMPOTENCY_IN_PROGRESS'
  }
}

type Named<Name extends keyof Problems> = { name: Name; type: `/problems/${Name}` } & Problems[Name]

/** All problems, by `name` and `type`. */
export type Problem =
  | { [Name in keyof Problems]: Named<Name> }[keyof Problems]
  | { name: 'unknown'; type: string; status: number; code: string }

/** Of any request. */
export type CommonProblem =
  | 'validation'
  | 'malformed'
  | 'not-found'
  | 'method-not-allowed'
  | 'body-too-large'
  | 'body-timeout'
  | 'unauthenticated'
  | 'insufficient-scope'
  | 'quota-exceeded'
  | 'host-not-allowed'
  | 'origin-not-allowed'
  | 'unsupported-media-type'
  | 'unavailable'
  | 'overloaded'
  | 'internal'
  | 'unknown'

/** Beside those: the problems of each method. */
export type ProblemsOf = {
  registerClient: 'idempotency-key-reused' | 'idempotency-in-progress'
  clients: never
  client: 'client-not-found'
  updateClient:
    | 'client-not-found'
    | 'client-erased'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  personalData: 'client-not-found'
  erasePersonalData:
    | 'client-not-found'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  openAccount:
    | 'client-not-found'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  accounts: never
  worldAccounts: never
  account: 'account-not-found'
  updateAccount:
    | 'account-not-found'
    | 'account-closed'
    | 'overdraft-in-use'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  freezeAccount:
    | 'account-not-found'
    | 'account-closed'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  unfreezeAccount:
    | 'account-not-found'
    | 'account-closed'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  closeAccount:
    | 'account-not-found'
    | 'account-not-empty'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  transfer:
    | 'account-not-found'
    | 'currency-mismatch'
    | 'account-closed'
    | 'account-frozen'
    | 'insufficient-funds'
    | 'balance-limit'
    | 'same-account'
    | 'effective-too-early'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  transactions: never
  deposit:
    | 'account-not-found'
    | 'currency-mismatch'
    | 'account-closed'
    | 'account-frozen'
    | 'balance-limit'
    | 'same-account'
    | 'effective-too-early'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  withdraw:
    | 'account-not-found'
    | 'currency-mismatch'
    | 'account-closed'
    | 'account-frozen'
    | 'insufficient-funds'
    | 'balance-limit'
    | 'same-account'
    | 'effective-too-early'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  reverseTransaction:
    | 'transaction-not-found'
    | 'not-reversible'
    | 'reversal-not-whole'
    | 'already-reversed'
    | 'amount-exceeds-original'
    | 'account-closed'
    | 'account-frozen'
    | 'insufficient-funds'
    | 'balance-limit'
    | 'effective-too-early'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  transaction: 'transaction-not-found'
  delivery: 'transaction-not-found'
  batch:
    | 'batch-refused'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  placeHold:
    | 'account-not-found'
    | 'currency-mismatch'
    | 'account-closed'
    | 'account-frozen'
    | 'insufficient-funds'
    | 'balance-limit'
    | 'same-account'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  holds: never
  hold: 'hold-not-found'
  extendHold:
    | 'hold-not-found'
    | 'already-captured'
    | 'already-voided'
    | 'expiry-not-later'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  captureHold:
    | 'hold-not-found'
    | 'already-captured'
    | 'already-voided'
    | 'amount-exceeds-hold'
    | 'account-closed'
    | 'account-frozen'
    | 'balance-limit'
    | 'effective-too-early'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  releaseHold:
    | 'hold-not-found'
    | 'already-captured'
    | 'already-voided'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
  balances: 'not-yet-consistent'
  balance: 'account-not-found' | 'not-yet-consistent'
  statement: 'account-not-found' | 'not-yet-consistent'
  explainBalance: 'account-not-found' | 'not-yet-consistent'
  watchBalances: never
  watchBalance: 'account-not-found'
  largeMovements: never
  deadLetters: never
  deadLetterCauses: never
  deadLetter: 'dead-letter-not-found'
  redriveDeadLetters: 'idempotency-key-reused' | 'idempotency-in-progress'
  reconciliations: never
  reconciliation: 'reconciliation-not-found'
  rebuild: never
  requestRebuild:
    | 'rebuild-conflict'
    | 'idempotency-key-reused'
    | 'idempotency-in-progress'
}
