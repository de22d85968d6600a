/** Accounts for tests of the domain. */
import type { Account } from '../wallet/domain/account'

const openedAt = new Date('2025-06-01T00:00:00Z')

/** An open account in BRL, of version 4, that may not be overdrawn. */
export const testAccount = (id: string, balanceMinor: bigint, more: Partial<Account> = {}): Account => ({
  id,
  clientId: null,
  currency: 'BRL',
  balanceMinor,
  heldMinor: 0n,
  version: 4n,
  overdraftLimitMinor: 0n,
  openingLimitMinor: null,
  status: 'open',
  actor: null,
  changedActor: null,
  createdAt: openedAt,
  updatedAt: openedAt,
  ...more,
})
