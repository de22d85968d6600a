/**
 * The refusals of the trade, as both services tell them. Name, status and code are what clients
 * switch on; once released they stay.
 */
export const problems = {
  insufficientFunds: {
    name: 'insufficient-funds',
    status: 422,
    title: 'The account does not hold enough money',
    description:
      'The account to be debited has less available than the amount, its overdraft limit included. Nothing was moved. Send a smaller amount, or the same again once the account holds more.',
  },
  accountNotFound: {
    name: 'account-not-found',
    status: 404,
    title: 'The account does not exist',
    description:
      'No account has this id. At the wallet: open it first with POST /accounts. At balances: an account appears once its event has arrived, usually within milliseconds of its opening.',
  },
  notYetConsistent: {
    name: 'not-yet-consistent',
    status: 503,
    title: 'What was asked for has not arrived yet',
    description:
      'The request bears a Consistency-Token, and an account that it names is not at that version here. Send it again after `Retry-After` seconds, or with `Prefer: wait=n` to wait for up to n seconds.',
  },
  deadLetterNotFound: {
    name: 'dead-letter-not-found',
    status: 404,
    title: 'The dead letter does not exist',
    description:
      'No dead letter has this id: a redrive has applied it, or there never was one. GET /dead-letters lists those there are.',
  },
  rebuildConflict: {
    name: 'rebuild-conflict',
    status: 409,
    title: 'The rebuild is not at that point',
    description:
      'One rebuild goes on at a time. What can be asked of it depends on its state, which GET /rebuild tells: it can be started unless one is building, swapped when it is ready (or, with `force`, when it was refused), cancelled before it was swapped, and rolled back after that.',
  },
  clientNotFound: {
    name: 'client-not-found',
    status: 404,
    title: 'The client does not exist',
    description: 'No client has this id. Register it first with POST /clients.',
  },
  transactionNotFound: {
    name: 'transaction-not-found',
    status: 404,
    title: 'The transaction does not exist',
    description: 'No transaction has this id: it was refused, or it was never sent to this wallet.',
  },
  sameAccount: {
    name: 'same-account',
    status: 422,
    title: 'Both accounts are the same one',
    description: 'A transfer needs two different accounts. Nothing was moved.',
  },
  currencyMismatch: {
    name: 'currency-mismatch',
    status: 422,
    title: 'The currencies differ',
    description:
      'A transfer moves one currency, and both accounts have to be kept in it. A request that names no currency means BRL. Nothing was moved.',
  },
  effectiveTooEarly: {
    name: 'effective-too-early',
    status: 422,
    title: 'The effective time is too early',
    description:
      'A movement cannot count from a time before its accounts were opened, a reversal not from before its transaction does, a capture not from before its hold was placed (`code` says which). Nothing was moved. Send a later `effective_at`, or none for now.',
  },
  balanceLimit: {
    name: 'balance-limit',
    status: 422,
    title: 'The balance would have too many digits',
    description:
      'No balance, and nothing that is held, may have more than 15 significant digits, so that every reader of JSON sees it exactly. Nothing was moved.',
  },
  notReversible: {
    name: 'not-reversible',
    status: 422,
    title: 'The transaction cannot be reversed',
    description: 'It is a reversal itself. To undo a reversal, move the money again. Nothing was moved.',
  },
  alreadyReversed: {
    name: 'already-reversed',
    status: 409,
    title: 'The transaction was reversed already',
    description: 'All of it was taken back before, by one reversal or by several. Nothing was moved.',
  },
  amountExceedsOriginal: {
    name: 'amount-exceeds-original',
    status: 422,
    title: 'The amount is more than can be reversed',
    description:
      'Reversals together never take back more than the transaction moved. Send a smaller amount, or none for all that is left.',
  },
  holdNotFound: {
    name: 'hold-not-found',
    status: 404,
    title: 'The hold does not exist',
    description: 'No hold has this id: it was refused, or it was never sent to this wallet.',
  },
  alreadyCaptured: {
    name: 'already-captured',
    status: 409,
    title: 'The hold was captured already',
    description:
      'A hold ends once. This one was paid, whole or in part, and what was not paid is available again. Nothing was moved.',
  },
  alreadyVoided: {
    name: 'already-voided',
    status: 409,
    title: 'The hold is no longer open',
    description:
      'A hold ends once. This one was released, or its time ran out (`code` says which), and its amount is available again. Nothing was moved.',
  },
  amountExceedsHold: {
    name: 'amount-exceeds-hold',
    status: 422,
    title: 'The amount is more than was held',
    description: 'A capture pays at most what was held. Send a smaller amount, or none for all of it.',
  },
  batchRefused: {
    name: 'batch-refused',
    status: 422,
    title: 'The batch was refused',
    description:
      'A batch in mode `atomic` is carried out whole or not at all. `errors` names the transaction that was refused, and why. Nothing was moved.',
  },
  idempotencyKeyReused: {
    name: 'idempotency-key-reused',
    status: 422,
    title: 'The idempotency key was used for another request',
    description:
      'A key stands for one request: the same method and path, and a body that means the same. This one was sent before with another, less than 24 hours ago. Nothing was done. Send a new request under a new key.',
  },
  idempotencyInProgress: {
    name: 'idempotency-in-progress',
    status: 409,
    title: 'A request with this idempotency key is being answered',
    description:
      'The first request under this key has no answer yet. Send the same again after `Retry-After` seconds: it will get the answer of the first.',
  },
} as const
