/**
 * The refusals of the domain, as both services answer them. Clients switch on name, status and code:
 * once released they stay.
 */
export const problems = {
  insufficientFunds: {
    name: 'insufficient-funds',
    status: 422,
    title: 'Insufficient funds',
    description:
      'The amount exceeds what the payer has available, its overdraft limit included. Nothing was moved. ' +
      'Send a smaller amount, or retry once the account has been funded.',
  },
  accountNotFound: {
    name: 'account-not-found',
    status: 404,
    title: 'Account not found',
    description:
      'No account has this id. At the wallet, open it first with POST /accounts. At balances, an ' +
      'account appears once its event was consumed, usually within milliseconds.',
  },
  notYetConsistent: {
    name: 'not-yet-consistent',
    status: 503,
    title: 'Read model has not caught up with the consistency token',
    description:
      'The request carries a Consistency-Token, and balances has not reached the version of an ' +
      'account in it. Retry after `Retry-After` seconds, or send `Prefer: wait=n` to wait for up to n' +
      ' seconds.',
  },
  deadLetterNotFound: {
    name: 'dead-letter-not-found',
    status: 404,
    title: 'Dead letter not found',
    description:
      'No dead letter has this id. It may have been redriven successfully. GET /dead-letters lists ' +
      'all there are.',
  },
  rebuildConflict: {
    name: 'rebuild-conflict',
    status: 409,
    title: 'The state of the rebuild does not allow this',
    description:
      'Only one rebuild runs at a time, and its state decides what is allowed: start, unless one is ' +
      'building; swap, when it is ready (or, with `force`, when it was refused); cancel, before the ' +
      'swap; roll back, after it. GET /rebuild shows the state.',
  },
  clientNotFound: {
    name: 'client-not-found',
    status: 404,
    title: 'Client not found',
    description: 'No client has this id. Register it first with POST /clients.',
  },
  transactionNotFound: {
    name: 'transaction-not-found',
    status: 404,
    title: 'Transaction not found',
    description: 'No transaction has this id: it was refused, or never sent to this wallet.',
  },
  sameAccount: {
    name: 'same-account',
    status: 422,
    title: 'Both accounts are the same',
    description: 'A transfer needs two different accounts. Nothing was moved.',
  },
  currencyMismatch: {
    name: 'currency-mismatch',
    status: 422,
    title: 'Currencies differ',
    description:
      'A transfer has one currency, which must be that of both accounts. A request without a currency' +
      ' means BRL. Nothing was moved.',
  },
  effectiveTooEarly: {
    name: 'effective-too-early',
    status: 422,
    title: 'Effective time too early',
    description:
      'A movement cannot take effect before its accounts were opened, a reversal before its ' +
      'transaction took effect, a capture before its hold was placed (`code` says which). Nothing was' +
      ' moved. Send a later `effective_at`, or leave it out for now.',
  },
  balanceLimit: {
    name: 'balance-limit',
    status: 422,
    title: 'Balance limit exceeded',
    description:
      'Balances and held amounts have at most 15 significant digits, so that every JSON reader gets ' +
      'them exactly. Nothing was moved.',
  },
  notReversible: {
    name: 'not-reversible',
    status: 422,
    title: 'Transaction not reversible',
    description: 'It is a reversal itself. To undo a reversal, move the money again. Nothing was moved.',
  },
  alreadyReversed: {
    name: 'already-reversed',
    status: 409,
    title: 'Transaction already reversed',
    description: 'It was reversed in full before, by one reversal or by several. Nothing was moved.',
  },
  amountExceedsOriginal: {
    name: 'amount-exceeds-original',
    status: 422,
    title: 'Amount exceeds what can be reversed',
    description:
      'Reversals together never exceed the amount of the transaction. Send a smaller amount, or none ' +
      'to reverse all that is left.',
  },
  holdNotFound: {
    name: 'hold-not-found',
    status: 404,
    title: 'Hold not found',
    description: 'No hold has this id: it was refused, or never sent to this wallet.',
  },
  alreadyCaptured: {
    name: 'already-captured',
    status: 409,
    title: 'Hold already captured',
    description:
      'A hold ends once. This one was captured, in full or in part, and the rest is available again. ' +
      'Nothing was moved.',
  },
  alreadyVoided: {
    name: 'already-voided',
    status: 409,
    title: 'Hold no longer open',
    description:
      'A hold ends once. This one was released or has expired (`code` says which), and its amount is ' +
      'available again. Nothing was moved.',
  },
  amountExceedsHold: {
    name: 'amount-exceeds-hold',
    status: 422,
    title: 'Amount exceeds the hold',
    description:
      'A capture pays at most the held amount. Send a smaller amount, or none to capture all of it.',
  },
  batchRefused: {
    name: 'batch-refused',
    status: 422,
    title: 'Batch refused',
    description:
      'A batch in mode `atomic` is executed in full or not at all. `errors` names the transaction ' +
      'that was refused, and why. Nothing was moved.',
  },
  idempotencyKeyReused: {
    name: 'idempotency-key-reused',
    status: 422,
    title: 'Idempotency key used for another request',
    description:
      'A key stands for one request: its method, its path, and a body of the same meaning. Another ' +
      'request was sent under this key less than 24 hours ago. Nothing was done. Send a new request ' +
      'under a new key.',
  },
  idempotencyInProgress: {
    name: 'idempotency-in-progress',
    status: 409,
    title: 'Request with this idempotency key in progress',
    description:
      'The first request under this key has no response yet. Retry after `Retry-After` seconds to get' +
      ' that response.',
  },
} as const
