/**
 * Every way the ledger can say no. A code, once released, keeps its name. Each decision checks
 * those it knows in this order.
 */
export const rejectionCodes = [
  'amount_not_positive',
  'transaction_not_reversible',
  'transaction_already_reversed',
  'amount_exceeds_original',
  'hold_already_captured',
  'hold_already_released',
  'hold_expired',
  'amount_exceeds_hold',
  'accounts_not_different',
  'account_from_not_found',
  'account_to_not_found',
  'currency_not_equal',
  'effective_before_opening',
  'effective_before_original',
  'effective_before_hold',
  'insufficient_funds',
  'balance_limit_reached',
  // Of a command that was fine, or not tried, in a batch that is all or nothing, because of another one.
  'batch_refused',
] as const
export type Rejection = (typeof rejectionCodes)[number]
