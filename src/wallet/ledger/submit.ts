/** Every request that writes passes here, into the commit queue. */
import { nameOf } from '../../platform/idempotency'
import type { CommandRequest, RequestResult } from './decide-request'
import type { Wallet } from './ledger'

/** `key_in_progress`: this process is still executing the first request under the key. */
export type Submitted = RequestResult | { kind: 'key_in_progress' }

/**
 * Throws a `Fault` when the database stays away, or when the request was queued for longer than
 * `waitMs`: then nothing was done. At most one request of a key is in progress in this process;
 * other processes collide in the database.
 */
export async function submit(
  wallet: Pick<Wallet, 'commitQueue' | 'keysInProgress'>,
  request: CommandRequest,
  waitMs?: number,
): Promise<Submitted> {
  const { commitQueue, keysInProgress } = wallet
  if (!request.idempotencyKey) return commitQueue.submit(request, waitMs)
  const name = nameOf(request.idempotencyKey)
  if (keysInProgress.has(name)) return { kind: 'key_in_progress' }
  keysInProgress.set(name, performance.now())
  try {
    return await commitQueue.submit(request, waitMs)
  } finally {
    keysInProgress.delete(name)
  }
}
