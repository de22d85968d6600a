/** Moves money from one account to another, or says why not. */
import { nameOf } from './domain/idempotency'
import type { Command, Settled } from './settle'
import type { Wallet } from './wallet'

/** `in_progress` when this process has not answered the first command of the same key yet. Throws a `Fault` when the database stays away. */
export async function transferMoney(wallet: Wallet, command: Command): Promise<Settled | 'in_progress'> {
  if (!command.idempotencyKey) return wallet.transfers.submit(command)

  const name = nameOf(command.idempotencyKey)
  if (wallet.keysInProgress.has(name)) return 'in_progress'
  wallet.keysInProgress.add(name)
  try {
    return await wallet.transfers.submit(command)
  } finally {
    wallet.keysInProgress.delete(name)
  }
}
