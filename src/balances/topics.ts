/** What the read side needs. `transactions` is not among them: a BalanceUpdated carries all that is kept. */
export const topics = ['clients', 'accounts', 'balances'] as const
