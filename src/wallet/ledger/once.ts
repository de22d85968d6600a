/**
 * An idempotency key's way with whatever is not a movement: found first, else used up by the
 * statement that does what was asked for.
 */

import { Fault } from '../../platform/fault'
import { violation, withUnavailableFault } from '../../platform/postgres/failures'
import { decideKey, type IdempotencyKey, nameOf } from '../domain/idempotency'
import type { Wallet } from './ledger'
import { loadUsedKeys, type StoredKey, type StoredOutcome } from './store/idempotency-keys'

export type Once<T> =
  | { kind: 'done'; value: T; repeated: boolean }
  | { kind: 'key_reused' | 'key_in_progress' }

export type Work<T> = {
  /** Does it, and stores `key` in the same statement, with what came of it. */
  carryOut(keyOf: (outcome: StoredOutcome) => StoredKey | null): Promise<T>
  /** What was answered then. */
  recall(outcome: StoredOutcome): Promise<T>
}

/** Somebody else may be first with the key, which is found the next time. */
const triesMax = 5

export async function once<T>(
  wallet: Wallet,
  key: IdempotencyKey | null,
  { carryOut, recall }: Work<T>,
): Promise<Once<T>> {
  if (!key) return { kind: 'done', value: await withUnavailableFault(carryOut(() => null)), repeated: false }
  return whileInProgress(wallet, key, async (): Promise<Once<T>> => {
    for (let tries = 1; tries <= triesMax; tries++) {
      const [row] = await withUnavailableFault(loadUsedKeys(wallet.database.sql, [key]))
      const before = decideKey(
        key,
        row && { fingerprint: row.fingerprint, answer: row.outcomes[0] as StoredOutcome },
      )
      if (before.kind === 'reused') return { kind: 'key_reused' }
      if (before.kind === 'repeated')
        return { kind: 'done', value: await withUnavailableFault(recall(before.answer)), repeated: true }
      try {
        const value = await withUnavailableFault(carryOut((outcome) => ({ ...key, stored: [outcome] })))
        return { kind: 'done', value, repeated: false }
      } catch (error) {
        if (violation(error)?.constraint !== 'idempotency_keys_pkey') throw error
      }
    }
    throw new Fault('overloaded', `the key was used by others, and free again, ${triesMax} times`)
  })
}

/**
 * One request of a key at a time; `key_in_progress` is the answer to those beside it. Other
 * processes' collide in the database.
 */
export async function whileInProgress<T>(
  { keysInProgress }: Pick<Wallet, 'keysInProgress'>,
  key: IdempotencyKey,
  work: () => Promise<T>,
): Promise<T | { kind: 'key_in_progress' }> {
  const name = nameOf(key)
  if (keysInProgress.has(name)) return { kind: 'key_in_progress' }
  keysInProgress.add(name)
  try {
    return await work()
  } finally {
    keysInProgress.delete(name)
  }
}
