/**
 * The refusals of the domain, as both services answer them. Clients switch on name, status and code:
 * once released they stay. `codes` are listed where the name in upper case is not the only one.
 */
export const problems = {
  insufficientFunds: {
    name: 'insufficient-funds',
    status: 422,
    title: 'Insufficient funds',
    cause:
      'The amount exceeds what the payer has available, its overdraft limit included. Nothing was ' +
      'moved.',
    remedy: 'Send a smaller amount, or fund the account first.',
    retry: 'changed',
  },
  accountNotFound: {
    name: 'account-not-found',
    status: 404,
    title: 'Account not found',
    cause:
      'No account has this id. At balances, an account appears once its event was consumed, usually ' +
      'within milliseconds.',
    remedy:
      'At the wallet, open it first with POST /accounts. At balances, send the `Consistency-Token` ' +
      'of what you did to it, with `Prefer: wait=2`.',
    retry: 'changed',
    codes: ['ACCOUNT_NOT_FOUND', 'ACCOUNT_FROM_NOT_FOUND', 'ACCOUNT_TO_NOT_FOUND'],
  },
  accountFrozen: {
    name: 'account-frozen',
    status: 422,
    title: 'Account frozen',
    cause:
      'The account is frozen: nothing can be paid or held from it, and nothing to it either unless only ' +
      'its debits are frozen; `code` says which side. Nothing was moved.',
    remedy: 'Unfreeze it with POST /accounts/{id}/unfreeze, or use another account.',
    retry: 'changed',
    codes: ['ACCOUNT_FROM_FROZEN', 'ACCOUNT_TO_FROZEN'],
  },
  accountClosed: {
    name: 'account-closed',
    status: 422,
    title: 'Account closed',
    cause: 'The account was closed, which is final; `code` says which side. Nothing was done.',
    remedy: 'Use another account, or open one with POST /accounts.',
    retry: 'changed',
    codes: ['ACCOUNT_FROM_CLOSED', 'ACCOUNT_TO_CLOSED', 'ACCOUNT_CLOSED'],
  },
  accountNotEmpty: {
    name: 'account-not-empty',
    status: 422,
    title: 'Account not empty',
    cause: 'Only an account with a balance of zero and without open holds can be closed.',
    remedy: 'Move the rest to another account, pay what is owed, and release its holds first.',
    retry: 'changed',
  },
  overdraftInUse: {
    name: 'overdraft-in-use',
    status: 422,
    title: 'Overdraft in use',
    cause: 'The account has spent or reserved more than the new limit would allow.',
    remedy: 'Fund the account first, or send a higher limit.',
    retry: 'changed',
  },
  notYetConsistent: {
    name: 'not-yet-consistent',
    status: 503,
    title: 'Read model has not caught up with the consistency token',
    cause:
      'The request carries a `Consistency-Token`, and balances has not reached the version of an ' +
      'account in it.',
    remedy: 'Retry, or send `Prefer: wait=n` to wait for up to n seconds.',
    retry: 'same',
  },
  deadLetterNotFound: {
    name: 'dead-letter-not-found',
    status: 404,
    title: 'Dead letter not found',
    cause: 'No dead letter has this id. It may have been redriven successfully.',
    remedy: 'GET /dead-letters lists all there are.',
    retry: 'never',
  },
  consoleFileNotFound: {
    name: 'console-file-not-found',
    status: 404,
    title: 'The console has no such file',
    cause: 'The page consists of few files, and this is none of them.',
    remedy: 'Reload the page at `/`: it names the files that it needs.',
    retry: 'never',
  },
  reconciliationNotFound: {
    name: 'reconciliation-not-found',
    status: 404,
    title: 'Reconciliation not found',
    cause: 'No report of a reconciliation has this id.',
    remedy: 'GET /reconciliations lists all there are.',
    retry: 'never',
  },
  rebuildConflict: {
    name: 'rebuild-conflict',
    status: 409,
    title: 'The state of the rebuild does not allow this',
    cause:
      'Only one rebuild runs at a time, and its state decides what is allowed: start, unless one is ' +
      'building; swap, when it is ready (or, with `force`, when it was refused); cancel, before the ' +
      'swap; roll back, after it.',
    remedy: 'GET /rebuild shows the state.',
    retry: 'changed',
  },
  consoleActionsOff: {
    name: 'console-actions-off',
    status: 403,
    title: 'Actions of the console are off',
    cause: 'They cause failures on purpose, and this installation does not allow them. Nothing was done.',
    remedy: 'For a demonstration: start balances with `CONSOLE_ACTIONS=true`, as `npm start` does.',
    retry: 'never',
  },
  consoleActionNotPossible: {
    name: 'console-action-not-possible',
    status: 409,
    title: 'The action is not possible here, or not now',
    cause:
      'Stopping the broker and killing services is done by `npm start`, where it runs the services, and as ' +
      'their state allows; `code` says which it is. Nothing was done.',
    remedy: 'Try it with `npm start`, or wait until the service runs again.',
    retry: 'changed',
    codes: ['NEEDS_LOCAL_RUN', 'NOT_POSSIBLE'],
  },
  clientNotFound: {
    name: 'client-not-found',
    status: 404,
    title: 'Client not found',
    cause: 'No client has this id.',
    remedy: 'Register it first with POST /clients.',
    retry: 'changed',
  },
  clientErased: {
    name: 'client-erased',
    status: 422,
    title: 'Client erased',
    cause: 'The personal data of the client was erased, which is final. Its accounts go on.',
    remedy: 'Register a new client with POST /clients.',
    retry: 'never',
  },
  transactionNotFound: {
    name: 'transaction-not-found',
    status: 404,
    title: 'Transaction not found',
    cause: 'No transaction has this id: it was refused, or never sent to this wallet.',
    remedy: 'Use the id of the response, or of GET /transactions.',
    retry: 'never',
  },
  sameAccount: {
    name: 'same-account',
    status: 422,
    title: 'Both accounts are the same',
    cause: 'A movement needs two different accounts. Nothing was moved.',
    remedy: 'Name another account.',
    retry: 'changed',
    codes: ['ACCOUNTS_NOT_DIFFERENT'],
  },
  currencyMismatch: {
    name: 'currency-mismatch',
    status: 422,
    title: 'Currencies differ',
    cause:
      'A movement has one currency, which must be that of both accounts. A request without a ' +
      'currency means BRL. Nothing was moved.',
    remedy: 'Send the currency of the accounts.',
    retry: 'changed',
    codes: ['CURRENCY_NOT_EQUAL'],
  },
  effectiveTooEarly: {
    name: 'effective-too-early',
    status: 422,
    title: 'Effective time too early',
    cause:
      'A movement cannot take effect before its accounts were opened, a reversal before its ' +
      'transaction took effect, a capture before its hold was placed; `code` says which. Nothing ' +
      'was moved.',
    remedy: 'Send a later `effective_at`, or leave it out for now.',
    retry: 'changed',
    codes: ['EFFECTIVE_BEFORE_OPENING', 'EFFECTIVE_BEFORE_ORIGINAL', 'EFFECTIVE_BEFORE_HOLD'],
  },
  balanceLimit: {
    name: 'balance-limit',
    status: 422,
    title: 'Balance limit exceeded',
    cause:
      'Balances and held amounts have at most 15 significant digits, so that every JSON reader gets ' +
      'them exactly. Nothing was moved.',
    remedy: 'Spread the money over several accounts.',
    retry: 'changed',
    codes: ['BALANCE_LIMIT_REACHED'],
  },
  notReversible: {
    name: 'not-reversible',
    status: 422,
    title: 'Transaction not reversible',
    cause: 'It is a reversal itself. Nothing was moved.',
    remedy: 'To undo a reversal, move the money again.',
    retry: 'never',
    codes: ['TRANSACTION_NOT_REVERSIBLE'],
  },
  reversalNotWhole: {
    name: 'reversal-not-whole',
    status: 422,
    title: 'Postings are reversed as a whole',
    cause: 'The transaction has several legs, and the request an amount. Nothing was moved.',
    remedy: 'Leave the amount out. To give back a part of it, send a transaction of its own.',
    retry: 'changed',
    codes: ['REVERSAL_NOT_WHOLE'],
  },
  alreadyReversed: {
    name: 'already-reversed',
    status: 409,
    title: 'Transaction already reversed',
    cause: 'It was reversed in full before, by one reversal or by several. Nothing was moved.',
    remedy: 'Nothing is left to do.',
    retry: 'never',
    codes: ['TRANSACTION_ALREADY_REVERSED'],
  },
  amountExceedsOriginal: {
    name: 'amount-exceeds-original',
    status: 422,
    title: 'Amount exceeds what can be reversed',
    cause: 'Reversals together never exceed the amount of the transaction. Nothing was moved.',
    remedy: 'Send a smaller amount, or none to reverse all that is left.',
    retry: 'changed',
  },
  holdNotFound: {
    name: 'hold-not-found',
    status: 404,
    title: 'Hold not found',
    cause: 'No hold has this id: it was refused, or never sent to this wallet.',
    remedy: 'Use the id of the response that placed it.',
    retry: 'never',
  },
  alreadyCaptured: {
    name: 'already-captured',
    status: 409,
    title: 'Hold already captured',
    cause:
      'A hold ends once. This one was captured, in full or in part, and the rest is available ' +
      'again. Nothing was moved.',
    remedy: 'Nothing is left to do. To pay more, send a transfer.',
    retry: 'never',
    codes: ['HOLD_ALREADY_CAPTURED'],
  },
  alreadyVoided: {
    name: 'already-voided',
    status: 409,
    title: 'Hold no longer open',
    cause:
      'A hold ends once. This one was released or has expired (`code` says which), and its amount ' +
      'is available again. Nothing was moved.',
    remedy: 'To reserve the money again, place a new hold.',
    retry: 'never',
    codes: ['HOLD_ALREADY_RELEASED', 'HOLD_EXPIRED'],
  },
  amountExceedsHold: {
    name: 'amount-exceeds-hold',
    status: 422,
    title: 'Amount exceeds the hold',
    cause: 'A capture pays at most the held amount. Nothing was moved.',
    remedy: 'Send a smaller amount, or none to capture all of it.',
    retry: 'changed',
  },
  expiryNotLater: {
    name: 'expiry-not-later',
    status: 422,
    title: 'Expiry not later',
    cause: 'A hold can only be extended, and it expires later than that already.',
    remedy: 'Send a later `expires_at`, or release the hold to end it now.',
    retry: 'changed',
    codes: ['EXPIRES_AT_NOT_LATER'],
  },
  batchRefused: {
    name: 'batch-refused',
    status: 422,
    title: 'Batch refused',
    cause:
      'A batch in mode `atomic` is executed in full or not at all. `errors` names the transaction ' +
      'that was refused, and why. Nothing was moved.',
    remedy: 'Correct or leave out that transaction, or send the batch in mode `best_effort`.',
    retry: 'changed',
  },
} as const
