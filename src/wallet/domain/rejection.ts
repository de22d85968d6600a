/**
 * Why the ledger rejects a command. Codes are part of the API and never renamed. Each decision
 * checks its own in this order.
 */
export const rejectionCodes = [
  'amount_not_positive',
  'transaction_not_reversible',
  'reversal_not_whole',
  'transaction_already_reversed',
  'amount_exceeds_original',
  'hold_already_captured',
  'hold_already_released',
  'hold_expired',
  'amount_exceeds_hold',
  'expires_at_not_later',
  'client_not_found',
  'client_erased',
  'accounts_not_different',
  'account_from_not_found',
  'account_to_not_found',
  'account_not_found',
  'currency_not_equal',
  'account_from_closed',
  'account_to_closed',
  'account_closed',
  'account_from_frozen',
  'account_to_frozen',
  'account_not_empty',
  'overdraft_in_use',
  'effective_before_opening',
  'effective_before_original',
  'effective_before_hold',
  'insufficient_funds',
  'balance_limit_reached',
  // In an atomic batch: another command was rejected.
  'batch_refused',
] as const
export type Rejection = (typeof rejectionCodes)[number]
