/** The way of every request that moves or promises money: into the batch, and back with what came of it. */

import type { CommandRequest, RequestResult } from './execute'
import type { Wallet } from './ledger'
import { whileInProgress } from './once'

export type Submitted = RequestResult | { kind: 'key_in_progress' }

/**
 * `key_in_progress` when this process has not answered the first request of the same key yet. Throws a `Fault` when the database stays away, or
 * when the request waited for longer than `waitMs`: then nothing was done for it.
 */
export async function submit(wallet: Wallet, request: CommandRequest, waitMs?: number): Promise<Submitted> {
  if (!request.idempotencyKey) return wallet.commitQueue.submit(request, waitMs)

  return whileInProgress(wallet, request.idempotencyKey, () => wallet.commitQueue.submit(request, waitMs))
}
