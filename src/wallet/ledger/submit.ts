/** Every request that moves or reserves money passes here, into the commit queue. */
import type { CommandRequest, RequestResult } from './decide-request'
import { whileInProgress } from './execute-once'
import type { Wallet } from './ledger'

/** `key_in_progress`: this process is still executing the first request under the key. */
export type Submitted = RequestResult | { kind: 'key_in_progress' }

/**
 * Throws a `Fault` when the database stays away, or when the request was queued for longer than
 * `waitMs`: then nothing was done.
 */
export async function submit(wallet: Wallet, request: CommandRequest, waitMs?: number): Promise<Submitted> {
  const { commitQueue } = wallet
  if (!request.idempotencyKey) return commitQueue.submit(request, waitMs)
  return whileInProgress(wallet, request.idempotencyKey, () => commitQueue.submit(request, waitMs))
}
